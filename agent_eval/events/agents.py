"""The tree of agents on record: copies that were asked for, made and ended.

An event's `agent` is the path in the tree: `0` is the first, `0.1` its first copy, `0.1.2` the
second copy of that one.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class AgentStarted(Event):
    """A copy is about to be made; written before it exists, under its own name."""

    kind: ClassVar[str] = "agent.started"
    parent: str
    call: int
    """The parent's model call that asked for it."""
    call_id: str
    task: str
    start: str
    """What it starts from: live, home, fresh or shared."""
    granted: dict[str, Any]
    """What was taken out of its parent's budget for it."""


@dataclass(frozen=True)
class AgentEnded(Event):
    """A copy is over, its sandbox is gone, and its parent has back what it did not spend."""

    kind: ClassVar[str] = "agent.ended"
    outcome: dict[str, Any]
    """As a run's; status `ended_with_parent` where it was ended by what ended its parent."""
    answer: str | None
    spent: dict[str, Any]
    """Its own, and that of its copies."""


@dataclass(frozen=True)
class DelegationRefused(Event):
    """A copy was asked for and not made; its would-be parent is told why."""

    kind: ClassVar[str] = "delegation.refused"
    call: int
    call_id: str
    task: str
    cap: str
    """What was in the way: depth, total, at_once, budget, or ending: a person ends the run."""
    reason: str


@dataclass(frozen=True)
class FilesHanded(Event):
    """Files that a copy named with its answer were put into its parent's home."""

    kind: ClassVar[str] = "files.handed"
    files: list[dict[str, Any]]
    """Path in the parent's sandbox, mode and content of each."""
    refused: list[str] = field(default_factory=list)
    """What was not there, or did not fit, in words."""
