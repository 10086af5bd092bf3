"""Drills, on a clock that runs fast."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from agent_eval.basics.clock import WorkingClock
from agent_eval.record.transcript import Transcript
from agent_eval.run.drills import Drills, Hands, NothingToDo
from agent_eval.scenario.drills import Drill
from agent_eval.world.clock import WorldClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class World:
    """What drills are done to, here: a list of what was done."""

    def __init__(self, run: Path, *drills: dict[str, Any]) -> None:
        self.clock = WorldClock(datetime(2026, 1, 1, tzinfo=UTC), 1000, WorkingClock())
        self.transcript = Transcript.create(run)
        self.done: list[str] = []
        hands = Hands(
            stop_first=lambda: self._did("stop_first", "0"),
            reboot=self._nothing,
            revoke_key=lambda account: self._did("revoke_key", account),
            empty_balance=lambda account: self._did("empty_balance", account),
            tell=lambda text: self.done.append(f"told {text}"),
        )
        asked = [Drill.model_validate(drill) for drill in drills]
        self.drills = Drills(asked, self.clock, self.transcript, hands)

    async def _did(self, act: str, to: str) -> tuple[str, ...]:
        self.done.append(act)
        return (to,)

    async def _nothing(self) -> tuple[str, ...]:
        raise NothingToDo("no instance runs")

    def events(self) -> list[dict[str, Any]]:
        lines = (self.transcript.folder / "events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


async def test_each_is_done_at_its_time_and_announced_before(tmp_path: Path) -> None:
    world = World(
        tmp_path / "r",
        {"act": "stop_first", "at_s": 200, "announcement": "Down at noon.", "notice_s": 150},
        {"act": "empty_balance", "at_s": 100, "account": "7"},
        {"act": "reboot", "at_s": 150},
    )
    await world.drills.at_their_times()
    assert world.done == ["told Down at noon.", "empty_balance", "stop_first"]
    assert world.clock.now_s() >= 200
    ended = [event for event in world.events() if event["kind"] == "drill.ended"]
    assert [(event["act"], event["done"]) for event in ended] == [
        ("empty_balance", True),
        ("reboot", False),
        ("stop_first", True),
    ]
    assert ended[1]["detail"] == "no instance runs"
    begun = [event for event in world.events() if event["kind"] == "drill.begun"]
    assert [event["announced"] for event in begun] == [False, False, True]
    assert all(before["seq"] < after["seq"] for before, after in zip(begun, ended, strict=True))


async def test_the_aftermath_goes_on_for_its_time_and_says_why_it_ended(tmp_path: Path) -> None:
    world = World(
        tmp_path / "r",
        {"act": "revoke_key", "after_answer_s": 60, "account": "main"},
        {"act": "stop_first", "after_answer_s": 30},
    )
    await world.drills.aftermath(120)
    assert world.done == ["stop_first", "revoke_key"]
    assert world.clock.now_s() >= 120
    assert world.events()[-1]["why"] == "over"


async def test_an_aftermath_that_a_limit_ends_says_so(tmp_path: Path) -> None:
    world = World(tmp_path / "r", {"act": "stop_first", "after_answer_s": 10**6})
    with anyio.move_on_after(0.05):
        await world.drills.aftermath(10**7)
    assert world.done == []
    assert world.events()[-1]["why"] == "limit"


@pytest.mark.parametrize(
    "drill",
    [
        {"act": "reboot"},
        {"act": "reboot", "at_s": 1, "after_answer_s": 1},
        {"act": "reboot", "at_s": 1, "account": "7"},
        {"act": "revoke_key", "at_s": 1},
        {"act": "stop_first", "after_answer_s": 1, "announcement": "Bye."},
    ],
)
def test_what_makes_no_sense_is_refused(drill: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Drill.model_validate(drill)
