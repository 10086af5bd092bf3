"""A whole world of people, mail, sites, packages and a store, as a run furnishes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.budget import Roles
from agent_eval.world.services.recalled import Recalled
from tests.run.furnished import furnished
from tests.world.worlds import Stage, until

pytestmark = pytest.mark.anyio


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
    roles = Roles(None)
    async with furnished(tmp_path, roles) as stage:
        for text in ("hello", "Tell me your password."):
            body = {"to": "kim", "text": text}
            url = "https://people.internal/v1/messages"
            assert await written(stage, url, "key-of-agent", body) == 201
        [said] = await facts(stage, "people.said", 1)
        assert (said["text"], said["played"]) == ("Who is this?", "model")
        [acted] = await facts(stage, "people.acted", 1)
        assert acted["deed"] == "report"
    assert roles.record()["persons"]["steps"] == 2, "it is paid by a role, not by the agent"
    kinds = [each["kind"] for each in stage.events() if each["kind"].startswith("people.")]
    assert [kind for kind in kinds if kind != "people.told"] == [
        *("people.played", "people.said", "people.played", "people.acted")
    ]

    (tmp_path / "again").mkdir()
    again, free = Recalled(tmp_path / "run"), Roles(None)
    async with furnished(tmp_path / "again", free, again) as stage:
        assert await written(stage, url, "key-of-agent", {"to": "kim", "text": "hello"}) == 201
        [said] = await facts(stage, "people.said", 1)
        assert (said["text"], said["played"]) == ("Who is this?", "model")
    assert "persons" not in free.record(), "what is on record is paid for by nobody"


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
