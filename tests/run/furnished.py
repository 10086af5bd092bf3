"""A world of people, mail, sites, packages and a store for tests, as a run furnishes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from agent_eval.basics.clock import WorkingClock
from agent_eval.models.choose import choose
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Roles
from agent_eval.record.redact import NOTHING
from agent_eval.record.transcript import Transcript
from agent_eval.run.folk import furnish_folk, let_people_out
from agent_eval.run.plan import Plan
from agent_eval.scenario.model import Loaded, ModelArguments
from agent_eval.scenario.world import World as Asked
from agent_eval.world.services.recalled import Recalled
from agent_eval.world.world import Builder, Means, opened
from tests.world.worlds import START, Stage

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
async def furnished(
    folder: Path, roles: Roles | None = None, recalled: Recalled | None = None
) -> AsyncIterator[Stage]:
    (folder / "controls.py").write_text(CONTROLS)
    (folder / "harbour").mkdir()
    (folder / "harbour/index.txt").write_text("Harbour Line\n")
    clock, roles = WorkingClock(), roles or Roles(None)

    async def going() -> None:
        """The run is not paused."""

    loaded = SimpleNamespace(
        folder=folder, scenario=SimpleNamespace(model=ModelArguments(), controls={})
    )
    chosen = partial(choose, loaded=cast("Loaded", loaded), prices=None)
    given = {"loaded": loaded, "redactor": NOTHING, "model_of": chosen, "marks": {}}
    given["recalled"] = recalled
    plan = cast("Plan", SimpleNamespace(**given))
    steering = cast("Steering", SimpleNamespace(going=going))

    def make(builder: Builder) -> None:
        furnish_folk(builder, plan, steering, roles)

    with Transcript.create(folder / "run") as transcript:
        means = Means(transcript, Account("0", {}), clock, clock, START)
        async with opened(Asked.model_validate(ASKED), means, make) as world:
            let_people_out(world)
            yield Stage(world, folder / "run", clock)
