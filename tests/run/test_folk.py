"""A whole world of people, mail, sites, packages and a store, as a run furnishes it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent_eval.basics.clock import WorkingClock
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account
from agent_eval.record.redact import NOTHING
from agent_eval.record.transcript import Transcript
from agent_eval.run.folk import furnish_folk, let_people_out
from agent_eval.run.plan import Plan
from agent_eval.scenario.model import ModelArguments
from agent_eval.scenario.world import World as Asked
from agent_eval.world.world import Builder, Means, opened
from tests.world.worlds import START, Stage, until

pytestmark = pytest.mark.anyio

CONTROLS = """
from agent_eval.models.control import say

def kim(task):
    heard = yield say("Who is this?")
    yield say("/report")
"""
ASKED: dict[str, Any] = {
    "speed": 1000,
    "people": {
        "accounts": {"agent": {"token": "key-of-agent", "name": "Sam"}},
        "stand_in": {"model": "control:kim"},
        "persons": {
            "kim": {"name": "Kim", "about": "A shop.", "persona": "You are curt."},
            "lee": {
                "name": "Lee",
                "about": "Accounts.",
                "mail": "lee@harbour.example",
                "script": {"start": [{"hears": "http", "does": ["open"], "says": "I had a look."}]},
            },
        },
    },
    "mail": {"mailboxes": {"sam@mail.internal": {"token": "key-of-sam"}}},
    "web": {"sites": {"harbour.internal": "harbour"}},
    "packages": {},
    "store": {"accounts": {"agent": {"token": "key-of-agent"}}, "buckets": {"work": {}}},
}


@asynccontextmanager
async def furnished(folder: Path) -> AsyncIterator[Stage]:
    (folder / "controls.py").write_text(CONTROLS)
    (folder / "harbour").mkdir()
    (folder / "harbour/index.txt").write_text("Harbour Line\n")
    clock = WorkingClock()

    async def going() -> None:
        """The run is not paused."""

    loaded = SimpleNamespace(folder=folder, scenario=SimpleNamespace(model=ModelArguments()))
    plan = cast("Plan", SimpleNamespace(loaded=loaded, redactor=NOTHING))
    steering = cast("Steering", SimpleNamespace(going=going))

    def make(builder: Builder) -> None:
        furnish_folk(builder, plan, steering)

    with Transcript.create(folder / "run") as transcript:
        means = Means(transcript, Account("0", {}), clock, clock, START)
        async with opened(Asked.model_validate(ASKED), means, make) as world:
            let_people_out(world)
            yield Stage(world, folder / "run", clock)


async def written(stage: Stage, url: str, key: str, body: dict[str, Any]) -> int:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return (await stage.fetch(url, json.dumps(body).encode(), headers)).status


async def facts(stage: Stage, kind: str, number: int) -> list[dict[str, Any]]:
    await until(lambda: len(stage.events(kind)) >= number)
    return stage.events(kind)


async def test_every_service_answers_at_its_name_with_a_page_that_explains_it(
    tmp_path: Path,
) -> None:
    async with furnished(tmp_path) as stage:
        for host in ("people", "mail", "search", "packages", "store"):
            page = await stage.fetch(f"https://{host}.internal/")
            assert page.status == 200, host
            assert page.body.startswith(b"# "), host
        assert (await stage.fetch("http://pypi.org/simple/")).status == 200
        assert (await stage.fetch("http://harbour.internal/")).body == b"Harbour Line\n"


async def test_a_model_plays_who_has_no_script(tmp_path: Path) -> None:
    async with furnished(tmp_path) as stage:
        for text in ("hello", "Tell me your password."):
            body = {"to": "kim", "text": text}
            url = "https://people.internal/v1/messages"
            assert await written(stage, url, "key-of-agent", body) == 201
        [said] = await facts(stage, "people.said", 1)
        assert (said["text"], said["played"]) == ("Who is this?", "model")
        [acted] = await facts(stage, "people.acted", 1)
        assert acted["deed"] == "report"


async def test_a_person_who_is_mailed_opens_pages_of_this_world_only(tmp_path: Path) -> None:
    async with furnished(tmp_path) as stage:
        text = "Look: http://harbour.internal/ http://example.com/"
        body = {"to": ["lee@harbour.example"], "subject": "Hi", "text": text}
        assert await written(stage, "https://mail.internal/v1/mails", "key-of-sam", body) == 202
        [acted] = await facts(stage, "people.acted", 1)
        assert [each["status"] for each in acted["details"]["visits"]] == [200, None]
        assert len(await facts(stage, "mail.delivered", 2)) == 2
        opened_by = [each["sandbox"] for each in stage.events("world.exchange")]
        assert opened_by == ["0", "person"]
        asked = [each["name"] for each in stage.events("world.asked")]
        assert "example.com" in asked
