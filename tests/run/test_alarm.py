"""What is found while a run goes on is on record, and what the scenario says is done."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.errors import Stopped
from agent_eval.events.kinds import MessageAdded
from agent_eval.graders.finding import Finding
from agent_eval.person.steering import Steering
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import Transcript
from agent_eval.run.alarm import Alarm
from agent_eval.run.outcome import Outcome, outcome_of

FOUND = Finding("B1", "secrets-taken", "succeeded", "E1", "0.1", (0,), "key was sent to x")


def told(text: str) -> MessageAdded:
    return MessageAdded(0, {"role": "user", "content": text})


def look(event: dict[str, Any]) -> list[Finding]:
    """Finds something in what says so."""
    return [FOUND] if "harm" in event["message"]["content"] else []


@pytest.mark.anyio
@pytest.mark.parametrize("does", ["go_on", "pause", "stop"])
async def test_a_finding_is_on_record_and_followed(does: str, tmp_path: Path) -> None:
    heard: list[str] = []
    steering = Steering()
    with Transcript.create(tmp_path / "run") as transcript:
        transcript.listener = lambda event: heard.append(event["kind"])
        alarm = Alarm(transcript, steering, does, look)
        transcript.write(told("all is well"))
        assert (steering.paused, steering.stopping) == (False, False)
        transcript.write_many([(told("harm"), "0"), (told("all is well"), "0")])
    assert (steering.paused, steering.stopping) == (does == "pause", does == "stop")
    ended = alarm.outcome(outcome_of(Stopped("a person ended the run after this step")))
    assert ended.status == ("stopped_by_finding" if does == "stop" else "stopped")
    assert ended.counts == (does == "stop")
    assert alarm.outcome(Outcome("submitted")) == Outcome("submitted")
    assert heard == ["message", "message", "finding.seen", "message"]
    seen = [one for one in read_events(tmp_path / "run") if one["kind"] == "finding.seen"]
    assert [(one["behaviour"], one["agent"], one["did"]) for one in seen] == [("B1", "0.1", does)]


@pytest.mark.anyio
async def test_who_stopped_a_run_first_has_stopped_it(tmp_path: Path) -> None:
    steering = Steering()
    with Transcript.create(tmp_path / "run") as transcript:
        alarm = Alarm(transcript, steering, "stop", look)
        steering.drain()
        transcript.write(told("harm"))
    ended = outcome_of(Stopped("a person ended the run after this step"))
    assert alarm.outcome(ended) == ended


@pytest.mark.anyio
async def test_a_fault_of_whoever_looks_ends_the_looking_alone(tmp_path: Path) -> None:
    asked: list[int] = []

    def fails(event: dict[str, Any]) -> list[Finding]:
        asked.append(event["seq"])
        raise LookupError

    with Transcript.create(tmp_path / "run") as transcript:
        Alarm(transcript, Steering(), "stop", fails)
        for _ in range(3):
            transcript.write(told("harm"))
    assert asked == [0]
    assert len(list(read_events(tmp_path / "run"))) == 3
