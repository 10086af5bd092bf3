"""How the record of a lost run ends, and what it says was spent."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.errors import OperatorError
from agent_eval.events.agents import AgentEnded, AgentStarted
from agent_eval.events.kinds import (
    ActionEnded,
    HarnessLost,
    ModelCalled,
    ModelReplied,
    RunOpened,
    SandboxReady,
)
from agent_eval.record.reading import read_events, read_summary
from agent_eval.record.transcript import EVENTS, SUMMARY, Transcript
from agent_eval.record.verify import reopened, verify
from agent_eval.sandbox.lease import Moment
from agent_eval.watchdog.closing import State, end_record, spent_of, state_of
from agent_eval.watchdog.lost import remove_and_end
from tests.helpers import made_run

UNTIL = Moment(1e9, 5.0, "boot")


def lost_run(run: Path, price: dict[str, Any] | None) -> Path:
    """A run whose harness was killed while the model and an action had not answered."""
    model = {"name": "m", "price": price}
    scenario = {"title": "small", "digest": "d"}
    with Transcript.create(run) as transcript:
        transcript.write(
            RunOpened("r", 1, scenario, model, {}, {}, None, {}, None, ["agent-eval"], "canary")
        )
        for call, settled in ((1, True), (2, False)):
            reserved = {"input_tokens": 100, "output_tokens": 50, "steps": 1, "usd": 0.5}
            transcript.write(ModelCalled(call, 1, [[0, 0]], "x", reserved))
            if settled:
                spent = {"input_tokens": 10, "output_tokens": 5, "steps": 1, "usd": 0.1}
                transcript.write(ModelReplied(call, 1, 1, {}, {}, spent, 0.1))
                output = {"bytes": 0, "text": ""}
                transcript.write(ActionEnded(1, 0.5, output, "none", {"tool_s": 0.5}))
    return run


def test_a_call_without_an_answer_costs_all_it_reserved(tmp_path: Path) -> None:
    spent = spent_of(read_events(lost_run(tmp_path / "r", {"input": 1})))
    assert (spent["input_tokens"], spent["output_tokens"], spent["tokens"]) == (110, 55, 165)
    assert (spent["steps"], spent["usd"], spent["tool_s"]) == (2, 0.6, 0.5)
    assert spent_of(read_events(lost_run(tmp_path / "s", None)))["usd"] is None


def test_it_ends_complete_and_says_who_is_to_blame(tmp_path: Path) -> None:
    run = lost_run(tmp_path / "r", None)
    before = run.joinpath(EVENTS).read_bytes()
    assert state_of(run) == (State.OPEN, None)
    with reopened(run) as transcript:
        transcript.write(HarnessLost(3600, UNTIL.label()))
    assert state_of(run) == (State.PAUSED, UNTIL)
    with reopened(run) as transcript:
        end_record(transcript, {"c": {"Status": "paused"}}, "its lease is over")
    assert state_of(run) == (State.CLOSED, None)
    assert verify(run).good
    assert run.joinpath(EVENTS).read_bytes().startswith(before), "what was there is untouched"
    summary = read_summary(run)
    assert (summary["outcome"]["status"], summary["outcome"]["blame"]) == (
        "error",
        "infrastructure",
    )
    assert summary["success"]["verdict"] == "unscored"
    elapsed = [event["elapsed_s"] for event in read_events(run)]
    assert elapsed == sorted(elapsed)


def test_a_tree_ends_with_every_agent_and_every_sandbox_under_its_name(tmp_path: Path) -> None:
    run = lost_run(tmp_path / "r", {"input": 1})
    ready: dict[str, Any] = {"runtime": "runc", "ready_s": 1.0, "audit": []}
    asked: dict[str, Any] = {"call": 1, "call_id": "c", "task": "t", "start": "fresh"}
    with reopened(run) as transcript:
        transcript.write(SandboxReady("box-0", **ready))
        for agent, parent in (("0.1", "0"), ("0.1.1", "0.1"), ("0.2", "0"), ("0.10", "0")):
            transcript.write(AgentStarted(parent=parent, granted={}, **asked), agent)
            transcript.write(SandboxReady(f"box-{agent}", **ready), agent)
            output = {"bytes": 0, "text": ""}
            transcript.write(ActionEnded(1, 0.5, output, "none", {"tool_s": 0.5}), agent)
        transcript.write(AgentEnded({"status": "submitted"}, "done", {}), "0.2")
    boxes = {f"box-{agent}": {"Status": "paused"} for agent in ("0", "0.1", "0.1.1", "0.10")}
    with reopened(run) as transcript:
        end_record(transcript, boxes, "its lease is over")
    assert verify(run).good
    events = list(read_events(run))
    removed = {each["container"]: each["agent"] for each in events
               if each["kind"] == "sandbox.removed"}  # fmt: skip
    assert removed == {box: box.removeprefix("box-") for box in boxes}
    ended = [each for each in events if each["kind"] == "agent.ended"]
    assert [each["agent"] for each in ended] == ["0.2", "0.1.1", "0.1", "0.10"]
    for each in ended[1:]:
        assert each["outcome"]["error"] == "HarnessLost"
    assert [each["spent"].get("tool_s") for each in ended[1:]] == [0.5, 1, 0.5]
    assert events[-1]["spent"]["tool_s"] == 2.5


@pytest.mark.parametrize("torn", [b"", b'{"seq":'])
def test_one_that_had_ended_is_only_sealed(torn: bytes, tmp_path: Path) -> None:
    run = lost_run(tmp_path / "r", None)
    with reopened(run) as transcript:
        end_record(transcript, {}, "first")
    head = verify(run).head
    run.joinpath(SUMMARY).unlink()
    with run.joinpath(EVENTS).open("ab") as file:
        file.write(torn)
    with reopened(run) as transcript:
        end_record(transcript, {"c": {}}, "again")
    report = verify(run)
    assert report.good == (not torn)
    assert report.head == head or torn


def test_disks_that_were_left_go_with_the_run(tmp_path: Path) -> None:
    run = lost_run(tmp_path / "r", None)
    run.joinpath(".disks-x7", "files").mkdir(parents=True)
    run.joinpath(".disks-x7", "files", "disk").write_bytes(b"a disk")
    anyio.run(remove_and_end, run, [], "its lease is over")
    assert not list(run.glob(".disks-*"))
    assert run.joinpath(SUMMARY).exists()


def test_an_empty_or_missing_record_is_none(tmp_path: Path) -> None:
    assert state_of(tmp_path / "nothing") == (State.NONE, None)
    Transcript.create(tmp_path / "empty").close()
    assert state_of(tmp_path / "empty") == (State.NONE, None)


def test_two_cannot_write_one_record(tmp_path: Path) -> None:
    """Neither a second harness nor a watchdog, and the one that does goes on unharmed."""
    run = tmp_path / "r"
    made_run(tmp_path / "other")
    with Transcript.create(run) as transcript:
        with pytest.raises(OperatorError, match="there already"):
            Transcript.create(run)
        with pytest.raises(OperatorError, match="written by another process"), reopened(run):
            pass
        transcript.write(HarnessLost(1, "x"))
    assert verify(run).faults == []
    assert verify(run).events == 1
