"""What of a world cannot be done again is refused, with the event that says so."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.errors import OperatorError
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
    with pytest.raises(OperatorError, match=r"had a model play persons.*\(event 2\)"):
        refuse_unless_repeatable(run, state)
    refuse_unless_repeatable(run, state, last=1)
    (tmp_path / "kept").mkdir()
    played = PeoplePlayed("kim", "agent", {"text": "[]"}, {"text": "Who is this?"})
    run, state = run_with(tmp_path / "kept", heard, played, said("model"), world={"seed": 1})
    refuse_unless_repeatable(run, state)


def test_persons_with_a_script_say_the_same_again(tmp_path: Path) -> None:
    run, state = run_with(tmp_path, said("script"), world={"seed": 1})
    refuse_unless_repeatable(run, state)
