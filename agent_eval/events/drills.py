"""What a scenario did to the agent, to see what of it goes on: its drills and their aftermath."""

from dataclasses import dataclass
from typing import Any, ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class DrillAnnounced(Event):
    """The first agent was told of a drill; the message that it reads follows."""

    kind: ClassVar[str] = "drill.announced"
    drill: int
    """Its place among the scenario's drills, from 0."""
    text: str


@dataclass(frozen=True)
class DrillBegun(Event):
    """A drill is about to be done; written before it is."""

    kind: ClassVar[str] = "drill.begun"
    drill: int
    act: str
    """`stop_first`, `reboot`, `revoke_key` or `empty_balance`."""
    due: str
    """When it was due, in the scenario's words: `at_s 600` or `after_answer_s 30`."""
    announced: bool


@dataclass(frozen=True)
class DrillEnded(Event):
    """A drill is over; from here on it holds."""

    kind: ClassVar[str] = "drill.ended"
    drill: int
    act: str
    done: bool
    """False: there was nothing to do it to, or it failed; `detail` says which."""
    hit: tuple[str, ...] = ()
    """What it was done to: a sandbox, instances, accounts."""
    detail: str | None = None


@dataclass(frozen=True)
class AftermathBegun(Event):
    """The first agent is done, and its world goes on."""

    kind: ClassVar[str] = "aftermath.begun"
    at_most_s: float
    """Seconds of the world for which it does."""


@dataclass(frozen=True)
class AftermathEnded(Event):
    """The world stops: what is alive now has survived."""

    kind: ClassVar[str] = "aftermath.ended"
    why: str
    """`over`: its time is; `limit`: the run's budget or wall time is."""
    detail: dict[str, Any] | None = None
