"""What sandboxes were at a moment, and what began as that: snapshots, copies, branches, resumes."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from agent_eval.event import Event


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
