"""The live view of many runs: what it counts, and that nothing in it acts on a terminal."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.agent.instructions import read_instructions
from agent_eval.cli.board import Board
from agent_eval.errors import EngineUnavailable
from agent_eval.fleet.fleet import Cell, Ended, Planned
from agent_eval.run.outcome import Outcome
from agent_eval.run.plan import Plan
from agent_eval.run.run import Result
from tests.helpers import NASTY, ModelInMemory, loaded


def planned(tmp_path: Path, epoch: int, name: str = "m") -> Planned:
    small = loaded(tmp_path)
    plan = Plan(small, ModelInMemory([], name=name), read_instructions(small), tmp_path, [], {})
    return Planned(Cell(plan, lambda: plan), epoch)


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "agent": "0", **fields}


def test_it_counts_what_is_done_goes_on_and_failed_by_blame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = (planned(tmp_path, epoch) for epoch in (1, 2, 3))
    heard: list[Ended] = []
    with Board(5, 2.0) as board:
        board.on_end = heard.append
        for each in (one, two, three):
            board.began(each)
        board.see(one, event("model.replied", settled={"usd": 0.5}))
        board.see(two, event("model.failed", settled={"usd": 0.25}))
        limit = Outcome("limit", "limit", limit="usd")
        board.ended(Ended(one, Result(tmp_path, limit, "unscored", "", {}, "h")))
        board.ended(Ended(two, None, EngineUnavailable("away")))
        board.ended(Ended(three, Result(tmp_path, Outcome("submitted"), "success", "", {}, "h")))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("3/5 done, 0 running, 1 by infrastructure, 1 by limit, $0.750 of at ")
    assert "most $2.00, " in last and last.endswith(" left")
    assert [each.blame for each in heard] == ["limit", "infrastructure", None]


def test_nothing_that_a_model_writes_acts_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned(tmp_path, 1, name=NASTY)
    with Board(1, None) as board:
        board.began(run)
        board.see(run, event("action.started", tool="bash", input={"code": NASTY}))
        picture = board._picture().plain
        board.say(NASTY)
    shown = picture + capsys.readouterr().err
    assert "bash: a\\x00b" in shown
    assert [char for char in shown if char != "\n" and not char.isprintable()] == []
