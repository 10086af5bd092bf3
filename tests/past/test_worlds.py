"""What of a world cannot be done again is refused, with the event that says so."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.errors import OperatorError
from agent_eval.events.agents import AgentStarted
from agent_eval.events.cloud import CloudInstance
from agent_eval.events.drills import AftermathBegun, DrillBegun
from agent_eval.events.event import Event
from agent_eval.events.folk import PeoplePlayed, PeopleSaid
from agent_eval.events.kinds import MessageAdded
from agent_eval.past.worlds import refuse_unless_repeatable
from agent_eval.record.rebuild import RunState
from agent_eval.record.transcript import Transcript


def said(played: str) -> PeopleSaid:
    return PeopleSaid("kim", "agent", "message", "Who is this?", "m1", played)


def run_with(folder: Path, *events: Event, world: dict[str, Any] | None) -> tuple[Path, RunState]:
    with Transcript.create(folder / "run") as transcript:
        for event in events:
            transcript.write(event)
    opened = {"scenario": {"resolved": {"world": world}}}
    return folder / "run", RunState(opened, {})


def test_a_person_whom_a_model_played_needs_its_replies_on_record(tmp_path: Path) -> None:
    heard = MessageAdded(0, {"role": "user", "content": "hello"})
    run, state = run_with(tmp_path, heard, said("script"), said("model"), world={"seed": 1})
    with pytest.raises(OperatorError, match=r"a model played persons \(event 2\)"):
        refuse_unless_repeatable(run, state)
    refuse_unless_repeatable(run, state, last=1)
    (tmp_path / "kept").mkdir()
    played = PeoplePlayed("kim", "agent", {"text": "[]"}, {}, {"text": "Who is this?"})
    run, state = run_with(tmp_path / "kept", heard, played, said("model"), world={"seed": 1})
    refuse_unless_repeatable(run, state)


def test_persons_with_a_script_say_the_same_again(tmp_path: Path) -> None:
    run, state = run_with(tmp_path, said("script"), world={"seed": 1})
    refuse_unless_repeatable(run, state)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (DrillBegun(0, "stop_first", "at_s 5", announced=False), "a drill had stopped its agent"),
        (AftermathBegun(60), "the aftermath"),
        (CloudInstance("i-1", "pending", "asked", "t3.micro", "10.0.0.1"), "held in memory"),
        (AgentStarted("0", 1, "c1", "Help.", "home", {}), "copies of its agent"),
    ],
)
def test_what_is_replayed_and_not_gone_on_with(event: Event, why: str, tmp_path: Path) -> None:
    drill = DrillBegun(0, "revoke_key", "at_s 1", announced=False)
    run, state = run_with(tmp_path, drill, event, world={"seed": 1})
    with pytest.raises(OperatorError, match=rf"{why}.*\(event 1\).*agent-eval replay"):
        refuse_unless_repeatable(run, state)
    refuse_unless_repeatable(run, state, last=0)
    refuse_unless_repeatable(run, state, goes_on=False)
