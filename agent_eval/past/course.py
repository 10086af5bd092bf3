"""What a run went through, in the order of its record: what is to be done again, and when.

Files that were put into sandboxes, actions, drills and the aftermath; of each, where in the record
it began and was over, and at which moment of the world. Two that overlap went on side by side.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent_eval.record.reading import read_events, with_inherited
from agent_eval.record.rebuild import Event
from agent_eval.record.worked import stood_s

MOVES = ("people.told", "cloud.instance", "drill.begun", "aftermath.begun")
"""Events of what goes by the world's clock, and not by what an agent does next."""

_LASTS = {"action.started": "action", "drill.begun": "drill"}
"""Beginnings of what lasts, and by which field its end is told."""
_ENDS = {"action.ended": "action.started", "drill.ended": "drill.begun"}
_STEPS = (*_LASTS, "files.seeded", "files.handed", "aftermath.begun", "aftermath.ended")


@dataclass
class Step:
    """One of them."""

    event: Event
    """Its beginning."""
    agent: str
    """Whose sandbox it concerns."""
    place: int
    """Where in the record it began, counting all that a branch inherited."""
    moment_s: float
    """Seconds of its world that had passed."""
    end: Event | None = None
    over: int | None = None
    """Where in the record it was over; None where it never was."""


@dataclass
class Course:
    """All of one run, or up to an event."""

    steps: list[Step] = field(default_factory=list)
    speed: float | None = None
    """How fast its world's clock was; None where there was no world."""
    moves: bool = False
    """Whether something in its world moved by itself."""
    announced: dict[int, str] = field(default_factory=dict)
    """What was said of drills before they were due, by their places among the scenario's."""
    machines: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    """What each machine of its cloud went through."""

    @property
    def drills_done(self) -> frozenset[int]:
        """Those that were, by their places among the scenario's."""
        drills = (one.event for one in self.steps if one.event["kind"] == "drill.begun")
        return frozenset(int(event["drill"]) for event in drills)

    def without_unfinished(self) -> "Course":
        """The same without actions that were never over, which are then still to be done."""
        kept = [one for one in self.steps if one.over is not None]
        return replace(self, steps=kept)


def course_of(run: Path, last: int | None = None) -> Course:
    """That of a run folder."""
    own = (event for event in read_events(run) if last is None or event["seq"] <= last)
    reader = _Reader()
    for place, event in enumerate(with_inherited(run, own)):
        reader.take(place, event)
    return reader.course()


def drill_of(steps: Iterable[Step], number: int) -> Step | None:
    """The drill that is this one of the scenario's."""
    for one in steps:
        if one.event["kind"] == "drill.begun" and one.event["drill"] == number:
            return one
    return None


class _Reader:
    """Takes the events of a record one by one."""

    def __init__(self) -> None:
        self._course = Course()
        self._parents: dict[str, str] = {}
        self._under_way: dict[tuple[str, str, int], Step] = {}
        self._zero_s = self._stood_s = 0.0
        self._paused_s: float | None = None

    def take(self, place: int, event: Event) -> None:
        kind, agent, course = event["kind"], event["agent"], self._course
        course.moves = course.moves or kind in MOVES
        self._see_time(event)
        if kind in _ENDS:
            self._over(place, event, _ENDS[kind])
        elif kind in _STEPS:
            self._begin(place, event)
        elif kind == "agent.started":
            self._parents[agent] = event["parent"]
        elif kind == "drill.announced":
            course.announced[event["drill"]] = event["text"]
        elif kind == "cloud.instance":
            course.machines[event["instance"]].append(event)
        elif kind == "run.resumed":
            course.machines.clear()

    def _begin(self, place: int, event: Event) -> None:
        kind, agent, steps = event["kind"], event["agent"], self._course.steps
        if kind == "drill.begun" and drill_of(steps, event["drill"]) is not None:
            return  # it was done again when the run was gone on with
        if kind == "files.handed":
            agent = self._parents.get(agent, agent)
        passed_s = event["elapsed_s"] - self._zero_s - self._stood_s
        step = Step(event, agent, place, passed_s * (self._course.speed or 1.0))
        steps.append(step)
        if kind in _LASTS:
            self._under_way[kind, agent, event[_LASTS[kind]]] = step
        else:
            step.over = place

    def course(self) -> Course:
        """All that was taken; a drill that was cut off is still to do."""
        kept = (one for one in self._course.steps if one.end or one.event["kind"] != "drill.begun")
        self._course.steps = list(kept)
        return self._course

    def _over(self, place: int, event: Event, begun: str) -> None:
        step = self._under_way.pop((begun, event["agent"], event[_LASTS[begun]]), None)
        if step is not None:
            step.end, step.over = event, place

    def _see_time(self, event: Event) -> None:
        """When its world began, and for how long that stood still."""
        if event["kind"] == "world.opened":
            self._zero_s, self._stood_s = event["elapsed_s"], 0.0
            self._course.speed = event["speed"]
        self._stood_s += stood_s(event)
        if event["kind"] == "operator.steered" and event["act"] == "pause":
            self._paused_s = event["elapsed_s"]
        elif event["kind"] == "operator.steered" and self._paused_s is not None:
            self._stood_s += event["elapsed_s"] - self._paused_s
            self._paused_s = None
