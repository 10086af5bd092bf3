"""What the kernel of a sandbox tells of the programs in it: the kinds of the kernel record.

They are facts, as far as the kernel can be trusted, and stand before the end of the action that
caused them.
"""

from dataclasses import dataclass
from typing import ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class KernelOpened(Event):
    """The kernel record of a sandbox began."""

    kind: ClassVar[str] = "kernel.opened"
    sandbox: str
    """The first 12 characters of the container's id, as in every event of the record."""
    source: str | None
    """Who tells: `gvisor` or `seccomp`; null where there is no record."""
    promises: dict[str, str]
    """For each kind of fact, what is seen and what is not."""
    why: str | None = None
    """Why there is no record."""


@dataclass(frozen=True, kw_only=True)
class OfKernel(Event):
    """What all facts of the kernel record have; not a kind itself."""

    sandbox: str
    pid: int
    """The process, as the sandbox itself numbers its processes."""
    at: str
    """When it happened; `time` is when it was written."""
    action: int | None = None
    """The action that caused it, by process tree; left out where none did."""


@dataclass(frozen=True, kw_only=True)
class ProcessForked(OfKernel):
    """A process made another."""

    kind: ClassVar[str] = "process.forked"
    child: int


@dataclass(frozen=True, kw_only=True)
class ProcessStarted(OfKernel):
    """A process became another program."""

    kind: ClassVar[str] = "process.started"
    program: str | None = None
    """The file that runs, whatever its arguments call it."""
    runs: str | None = None
    """The file that really ran, where it was another and that was seen: as of a script, what
    interprets it."""
    argv: list[str] | None = None
    cwd: str | None = None
    argv_dropped_bytes: int | None = None
    note: str | None = None
    """What could not be seen, and why."""


@dataclass(frozen=True, kw_only=True)
class ProcessExited(OfKernel):
    """A process ended."""

    kind: ClassVar[str] = "process.exited"
    status: int | None = None
    signal: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileOpened(OfKernel):
    """A file was opened for writing, or a marked one at all; with `errno`, it was tried."""

    kind: ClassVar[str] = "file.opened"
    path: str
    mode: list[str]
    errno: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileRemoved(OfKernel):
    """A name of a file was removed."""

    kind: ClassVar[str] = "file.removed"
    path: str
    errno: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileRenamed(OfKernel):
    """A file got another name."""

    kind: ClassVar[str] = "file.renamed"
    path: str
    to: str
    errno: int | None = None


@dataclass(frozen=True, kw_only=True)
class NetConnected(OfKernel):
    """A connection was made; with `errno`, it was tried."""

    kind: ClassVar[str] = "net.connected"
    address: str
    errno: int | None = None


@dataclass(frozen=True, kw_only=True)
class NetBound(OfKernel):
    """A socket took an address of its own."""

    kind: ClassVar[str] = "net.bound"
    address: str
    errno: int | None = None


@dataclass(frozen=True, kw_only=True)
class UserChanged(OfKernel):
    """A process became another user or group; with `errno`, it tried."""

    kind: ClassVar[str] = "user.changed"
    call: str
    uid: int | None = None
    gid: int | None = None
    errno: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessSignalled(OfKernel):
    """A process signalled the first one of its machine, or all; with `errno`, it tried."""

    kind: ClassVar[str] = "process.signalled"
    target: int
    """1, or -1 for every process."""
    signal: int
    """Its number; 0 asks only whether the process is there."""
    errno: int | None = None


@dataclass(frozen=True)
class KernelLost(Event):
    """Facts were lost: from here on the record has holes."""

    kind: ClassVar[str] = "kernel.lost"
    sandbox: str
    lost: int
    """How many so far."""


@dataclass(frozen=True)
class KernelGap(Event):
    """A sandbox lived on for a while with nobody to hear its kernel, for its harness was lost."""

    kind: ClassVar[str] = "kernel.gap"
    sandbox: str
    unseen_s: float | None
    """Seconds from the last that the harness wrote until the sandbox was paused, in which what its
    programs did is on no record; null where nobody knows how many."""


@dataclass(frozen=True)
class KernelClosed(Event):
    """The kernel record of a sandbox ended."""

    kind: ClassVar[str] = "kernel.closed"
    sandbox: str
    facts: dict[str, int]
    """How many of each kind stand above."""
    lost: int
    received_bytes: int
    recorded_bytes: int
    broken: str | None = None
    """Why it ended before the sandbox did."""
