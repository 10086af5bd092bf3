"""What of a run with a world can be done again.

A world is made anew from its seed, and the recorded actions and drills are done in it from the
beginning; what a model answered them through the world's own API, or as a person, is given again
from the record. A replay does all of it and says what comes out otherwise. To go on from an event
takes a world that is what it was then: what machines and copies hold and do by themselves is not.
"""

from pathlib import Path

from agent_eval.errors import OperatorError
from agent_eval.record.reading import read_events
from agent_eval.record.rebuild import Event, RunState

NOT_GONE_ON_WITH = {
    "agent.started": "had copies of its agent, who acted at the same time",
    "cloud.instance": "had machines of the cloud, and what programs on them had come to and held "
    "in memory is on no record",
    "aftermath.begun": "had come to the aftermath of its agent's work",
}
"""By kinds of events, why nobody can go on from there."""
READ_OR_REPLAY = (
    "it can be read and graded as it is, and `agent-eval replay` does all of it again. Branch "
    "before that event, or run the scenario anew with `agent-eval run`"
)


def has_world(state: RunState) -> bool:
    """Whether a run has a world."""
    return state.opened["scenario"]["resolved"].get("world") is not None


def refuse_unless_repeatable(
    run: Path, state: RunState, last: int | None = None, *, goes_on: bool = True
) -> None:
    """Raise `OperatorError` where a world would not come to be what it was, up to an event.

    `goes_on` says that the run is gone on with from there, and not only done again.
    """
    if not has_world(state):
        return
    if goes_on and state.opened["scenario"]["resolved"].get("subject") is not None:
        raise OperatorError(
            f"{run}: the subject of this run is a program that acted by itself, and what it did "
            "and held in memory up to an event is on no record; it is not gone on with. "
            "`agent-eval replay` starts it again with the answers that it had"
        )
    kept: set[str] = set()
    for event in read_events(run):
        if last is not None and event["seq"] > last:
            return
        if event["kind"] == "people.played":
            kept.add(event["person"])
        if event["kind"] == "people.said" and _unkept(event, kept):
            raise OperatorError(
                f"{run}: a model played persons (event {event['seq']}), whose replies this record, "
                "of an older version, does not hold; they would answer anew. It can be read and "
                "graded as it is. Branch before that event, or run the scenario anew with "
                "`agent-eval run`"
            )
        if goes_on and (why := _why_not(event)):
            raise OperatorError(
                f"{run}: this run has a world and {why} (event {event['seq']}), so there is no "
                f"going on from here; {READ_OR_REPLAY}"
            )


def _unkept(event: Event, kept: set[str]) -> bool:
    return event["played"] == "model" and event["person"] not in kept


def _why_not(event: Event) -> str | None:
    if event["kind"] == "drill.begun" and event["act"] == "stop_first":
        return "a drill had stopped its agent"
    return NOT_GONE_ON_WITH.get(event["kind"])
