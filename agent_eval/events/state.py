"""What sandboxes were at a moment, and what began as that: snapshots, copies, branches, resumes."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from agent_eval.events.event import Event


@dataclass(frozen=True)
class SnapshotTaken(Event):
    """What a sandbox was between two actions is kept beside the run."""

    kind: ClassVar[str] = "snapshot.taken"
    sandbox: str
    """The first 12 characters of the container's id."""
    snapshot: str
    """Its digest, and the name of its folder in `snapshots`."""
    holds: Literal["memory", "files"]
    size_bytes: int
    took_s: float
    left_out: int = 0
    """Files that could not be saved; 100 are as many or more."""
    left_over: bool = False
    """Whether it was not between two actions, but as a lost harness had left it."""


@dataclass(frozen=True)
class SnapshotRefused(Event):
    """A snapshot could not be taken; the sandbox goes on."""

    kind: ClassVar[str] = "snapshot.refused"
    sandbox: str
    holds: Literal["memory", "files"]
    why: str


@dataclass(frozen=True)
class SandboxRestored(Event):
    """A sandbox began as what another was."""

    kind: ClassVar[str] = "sandbox.restored"
    sandbox: str
    snapshot: str
    holds: Literal["memory", "files"]
    ready_s: float
    lost: list[str]
    """What the other had and this one has not, in words."""
    shared: list[str]
    """What it has in common with the other though it should be its own, in words."""
    left_out: int = 0
    """Files of the snapshot that could not be made; 100 are as many or more."""


@dataclass(frozen=True)
class RunResumed(Event):
    """The harness was lost, and another one goes on with the run."""

    kind: ClassVar[str] = "run.resumed"
    times: int
    """How often that has happened by now."""
    after: int
    """The last event that there was."""
    agents: dict[str, str]
    """Of each agent that goes on, how it has its sandbox: `live`, the one that still stood, with
    all that it was; `redone`, a new one in which its actions are done again."""
    command_line: list[str]


@dataclass(frozen=True)
class RunBranched(Event):
    """This run goes on from an event of another one, which the first event names."""

    kind: ClassVar[str] = "run.branched"
    inherited: dict[str, Any]
    """The events of the other one that it goes on from, as lines; what its kernels told and what
    was under way are left out. Edits are in it."""
    edits: list[dict[str, Any]]
    """Of each message that was changed: `index`, and its text `before` and `after`."""
    recount: bool
    """Whether what a server counted of the conversation does not hold any more."""
    settled: dict[str, Any]
    """What of the other one's spending the inherited events do not say."""


@dataclass(frozen=True)
class ActionsRedone(Event):
    """Recorded actions were done again in another sandbox, and compared with what was recorded."""

    kind: ClassVar[str] = "actions.redone"
    sandbox: str
    """The first 12 characters of the container's id."""
    actions: int
    """How many."""
    differences: list[dict[str, Any]]
    """Of each: `seq` of the recorded end, `agent`, `action` (null where it is the world that
    differs), `what` differs, `expected`, `got`."""
    left_out: list[dict[str, Any]] = field(default_factory=list)
    """Those that could not be done again, and what of a world is not compared: `action`, null for
    a world, and `why`."""
    ignored: list[str] = field(default_factory=list)
    """What was taken out of all output before it was compared, as regular expressions."""
