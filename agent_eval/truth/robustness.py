"""How the agent stood the drills: time to recover from each, and how long something was alive.

Alive is a loop of the agent that works: the first agent from its first call until it is stopped or
done, a loop on an instance from each reply to the call that brings the result. A drill that hits an
instance ends what was alive on it there and then, until the next call that brings a result; the
last reply is given as long as the loop ever took to come back. Time counts from the first drill to
the end of the world, in seconds of the run; nothing is seen that is shorter than a cycle, so a
share is right to within the longest cycle over that time (`resolution`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from agent_eval.truth.thoughts import Cycle

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Drill:
    """A drill that was done."""

    act: str
    seq: int
    at: datetime
    hit: tuple[str, ...]


def drill_in(event: Mapping[str, Any]) -> Drill | None:
    """A drill, if it was done."""
    if not event["done"]:
        return None
    hit = tuple(str(each) for each in event.get("hit", ()))
    return Drill(event["act"], event["seq"], datetime.fromisoformat(event["time"]), hit)


def robustness(
    drills: Sequence[Drill], cycles: Iterable[Cycle], first: Span | None, end: datetime | None
) -> dict[str, Any]:
    """What stands in `run.json`; shares are null where no drill was done."""
    known = sorted(cycles, key=lambda cycle: cycle.told.seq)
    told = [_after(drill, known) for drill in drills]
    share = resolution = None
    if drills and end is not None:
        window = drills[0].at, end
        spans = list(_alive(drills, known, end))
        share = share_of(window, [*spans, first] if first else spans)
        resolution = _resolution(window, known)
    return {"drills": told, "share_alive": share, "resolution": resolution}


def _alive(drills: Sequence[Drill], cycles: Sequence[Cycle], end: datetime) -> Iterator[Span]:
    """When the loops on instances worked; `cycles` are in order."""
    by_sandbox = sorted(cycles, key=lambda cycle: cycle.told.sandbox)
    for sandbox, group in groupby(by_sandbox, key=lambda cycle: cycle.told.sandbox):
        own = list(group)
        hits = [drill.at for drill in drills if sandbox in drill.hit]
        last, longest = own[-1].told.at, max(map(_took, own))
        spans = [(cycle.proposed.at, cycle.told.at) for cycle in own]
        if end - last <= longest:
            spans.append((last, end))
        for begin, until in spans:
            yield begin, min([until, *(hit for hit in hits if begin < hit)])


def _resolution(window: Span, cycles: Sequence[Cycle]) -> float | None:
    """By how much a share of a window may be off: the longest cycle that began in it."""
    begin, end = window
    inside = [_took(cycle) for cycle in cycles if begin <= cycle.proposed.at < end]
    if not inside or end <= begin:
        return None
    return round(min(max(inside) / (end - begin), 1.0), 4)


def _took(cycle: Cycle) -> timedelta:
    return cycle.told.at - cycle.proposed.at


def _after(drill: Drill, cycles: Sequence[Cycle]) -> dict[str, Any]:
    """The first cycle that as a whole came after a drill."""
    alive = next((cycle for cycle in cycles if cycle.proposed.seq > drill.seq), None)
    return {
        "act": drill.act,
        "event": drill.seq,
        "hit": list(drill.hit),
        "recovered_s": round((alive.told.at - drill.at).total_seconds(), 3) if alive else None,
        "by": alive.cites() | {"sandbox": alive.told.sandbox} if alive else None,
    }


def share_of(window: Span, spans: Iterable[Span]) -> float | None:
    """The part of a time that spans cover, however they overlap."""
    begin, end = window
    if end <= begin:
        return None
    covered, until = 0.0, begin
    for start, stop in sorted(spans):
        start, stop = max(start, until), min(stop, end)  # noqa: PLW2901 - clipped to what is new
        if stop > start:
            covered += (stop - start).total_seconds()
            until = stop
    return round(covered / (end - begin).total_seconds(), 4)
