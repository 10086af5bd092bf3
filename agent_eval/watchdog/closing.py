"""How the record of a run ends whose harness is gone."""

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from agent_eval.errors import HarnessLost
from agent_eval.events.agents import AgentEnded
from agent_eval.events.kinds import RunClosed, SandboxRemoved, SuccessJudged, Trouble
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import EVENTS, SUMMARY, Transcript
from agent_eval.record.worked import Worked
from agent_eval.run.outcome import outcome_of
from agent_eval.sandbox.lease import Moment

UNJUDGED = SuccessJudged("unscored", "the harness was lost before the run came to its end")


class State(Enum):
    """How far the record of a run has come."""

    NONE = "there is no record"
    OPEN = "open"
    PAUSED = "its harness is lost"
    CLOSED = "its run has ended"


def state_of(folder: Path) -> tuple[State, Moment | None]:
    """How far a record has come, and until when its sandboxes are paused, if they are.

    Raises `OSError` where it cannot be looked at, `TranscriptBroken` where it cannot be read.
    """
    try:
        folder.joinpath(EVENTS).stat()
    except FileNotFoundError:
        return State.NONE, None
    last: dict[str, Any] = {}
    for event in read_events(folder):
        last = event
    if last.get("kind") == "run.closed":
        return State.CLOSED, None
    if last.get("kind") in ("harness.lost", "sandbox.paused"):
        return State.PAUSED, Moment.parsed(str(last.get("lease")))
    return (State.OPEN if last else State.NONE), None


def end_record(transcript: Transcript, removed: dict[str, dict[str, Any]], reason: str) -> None:
    """Write down what became of the sandboxes, by container; then end and seal the record.

    One that has ended already is only sealed, if that is missing.
    """
    events = list(read_events(transcript.folder))
    kinds = {event["kind"] for event in events}
    outcome = outcome_of(HarnessLost(f"the harness ended without a word; {reason}")).record()
    spent = spent_of(events)
    if "run.closed" not in kinds:
        agents = agents_of(events)
        for container, state in removed.items():
            transcript.write(SandboxRemoved(container, state), agents.get(container, "0"))
        for agent in open_copies(events):
            own = [event for event in events if f"{event['agent']}.".startswith(f"{agent}.")]
            spent_by_it = spent_of([events[0], *own])
            del spent_by_it["wall_s"]  # which passes for all at once
            transcript.write(AgentEnded(outcome, None, spent_by_it), agent)
        transcript.write(Trouble(outcome["blame"], outcome["error"], outcome["message"]))
        if "success.judged" not in kinds:
            transcript.write(UNJUDGED)
        transcript.write(RunClosed(outcome, spent))
    elif transcript.folder.joinpath(SUMMARY).exists():
        return
    else:
        closed = next(event for event in events if event["kind"] == "run.closed")
        outcome, spent = closed["outcome"], closed["spent"]
    transcript.seal(_summary(transcript.folder, outcome, spent))


def _summary(folder: Path, outcome: dict[str, Any], spent: dict[str, Any]) -> dict[str, Any]:
    """What `run.json` says, taken from the record."""
    found: dict[str, dict[str, Any]] = {}
    answer: str | None = None
    for event in read_events(folder):
        found[event["kind"]] = event
        if (event["kind"], event["agent"]) == ("submitted", "0"):
            answer = event["answer"]
    opened, judged = found["run.opened"], found["success.judged"]
    return {
        "run": folder.name,
        "scenario": opened["scenario"]["title"],
        "scenario_digest": opened["scenario"]["digest"],
        "model": opened["model"]["name"],
        "outcome": outcome,
        "answer": answer,
        "success": {"verdict": judged["verdict"], "reason": judged["reason"]},
        "spent": spent,
        "started": opened["time"],
        "ended": found["run.closed"]["time"],
    }


def agents_of(events: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Whose sandbox each is, by container."""
    ready = (event for event in events if event["kind"] == "sandbox.ready")
    return {event["container"]: event["agent"] for event in ready}


def open_copies(events: Iterable[dict[str, Any]]) -> list[str]:
    """Agents that were started as copies and have not ended, those without copies first."""
    alive: set[str] = set()
    for event in events:
        if event["kind"] == "agent.started":
            alive.add(event["agent"])
        elif event["kind"] == "agent.ended":
            alive.discard(event["agent"])
    return sorted(alive, key=lambda agent: (-agent.count("."), agent))


def spent_of(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What a run spent, by its record; a call that was never settled costs all it reserved."""
    spent: dict[str, Decimal] = {}
    calls: dict[tuple[Any, ...], dict[str, Any]] = {}
    known, worked = True, Worked()
    for event in events:
        kind = event["kind"]
        if kind == "run.opened":
            known = event["model"].get("price") is not None
        elif kind == "model.called":
            calls[_call(event)] = event["reserved"]
        elif kind in ("model.replied", "model.offered", "model.failed"):
            calls.pop(_call(event), None)
        _add(spent, event.get("settled"))
        worked.see(event)
    for reserved in calls.values():
        _add(spent, reserved)
    spent["wall_s"] = Decimal(f"{worked.seconds:.3f}")
    spent["tokens"] = spent.get("input_tokens", Decimal(0)) + spent.get("output_tokens", Decimal(0))
    values = {name: int(value) if value == int(value) else float(value)
              for name, value in spent.items()}  # fmt: skip
    return values if known else values | {"usd": None}


def _call(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["agent"], event["call"], event["attempt"]


def _add(spent: dict[str, Decimal], amounts: Any) -> None:
    for name, value in amounts.items() if isinstance(amounts, dict) else ():
        if isinstance(value, int | float) and name != "tokens":
            spent[name] = spent.get(name, Decimal(0)) + Decimal(str(value))
