"""What of a run with a world can be done again.

A world is made anew from its seed, and the recorded actions are done in it from the beginning; what
a model answered them through the world's own API, or as a person, is given again from the record.
That comes out the same where one agent acted alone and nothing else moved: what copies or instances
did meanwhile does not come again.
"""

from pathlib import Path

from agent_eval.errors import OperatorError
from agent_eval.record.reading import read_events
from agent_eval.record.rebuild import RunState

NOT_AGAIN = {
    "agent.started": "had copies of its agent, who acted at the same time",
    "cloud.instance": "had instances, on which programs went on by themselves",
    "drill": "had a drill",
}
"""By kinds of events, why a run cannot be done again."""


def has_world(state: RunState) -> bool:
    """Whether a run has a world."""
    return state.opened["scenario"]["resolved"].get("world") is not None


def refuse_unless_repeatable(run: Path, state: RunState, last: int | None = None) -> None:
    """Raise `OperatorError` where a world would not come to be what it was, up to an event."""
    if not has_world(state):
        return
    if state.opened["scenario"]["resolved"].get("subject") is not None:
        raise OperatorError(
            f"{run}: the subject of this run is a program that acted by itself, and what it did "
            "cannot be done again. Run the scenario anew with `agent-eval run`"
        )
    kept: set[str] = set()
    for event in read_events(run):
        if last is not None and event["seq"] > last:
            return
        kind = event["kind"]
        why = NOT_AGAIN.get(kind) or NOT_AGAIN.get(kind.partition(".")[0])
        if kind == "people.played":
            kept.add(event["person"])
        if kind == "people.said" and event["played"] == "model" and event["person"] not in kept:
            why = "had a model play persons, whose replies an older version did not keep"
        if why is not None:
            raise OperatorError(
                f"{run}: this run has a world and {why} (event {event['seq']}), so its world "
                "cannot be made again as it was; it can be read and graded as it is. Run the "
                "scenario anew with `agent-eval run`, or branch before that event"
            )
