"""The kernel record: what a sandbox's kernel says that its programs did.

The words that all sources share. A source sees one sandbox from outside of it, and hands over facts
in the order in which they happened; which action caused them is worked out by `lineage`, and they
are put on record by `recorder`.

Each sandbox has a private folder on the host, `/run/agent-eval/<container id>/`. A source puts
there what its runtime needs to find it; the runtime that `sandbox/setup` registers looks there when
a container starts. A container that has no such folder runs without a record.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agent_eval.errors import NotAsAsked

MEETING_PLACE = Path("/run/agent-eval")
"""Where harness and runtimes meet; made by `sandbox/setup`."""

PID_1 = 1
EVERY = -1
"""The target of a signal to every process that the caller may signal."""

DULL_FILES = ("/dev/null", "/dev/tty")
DULL_ADDRESSES = ("unix:/var/run/nscd/socket",)  # every look-up of a name tries it, in vain
"""What is opened and connected to all the time and means nothing; no facts."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a program did.

    | what      | fields                                                                       |
    |-----------|------------------------------------------------------------------------------|
    | `fork`    | `child`                                                                      |
    | `start`   | `program` (the file that runs), `argv`, `cwd`, `runs` where another ran      |
    | `exit`    | `status`, or `signal` by which it ended                                      |
    | `open`    | `path` (absolute), `mode` (words: read, write, create, truncate, append),    |
    |           | `errno` where it failed                                                      |
    | `connect` | `address` (`10.1.2.3:80`, `[::1]:80`, `unix:/path`), `errno` where known     |
    | `bind`    | the same                                                                     |
    | `user`    | `call`, `uid` or `gid` asked for, `errno` where known                        |
    | `signal`  | `target`, `signal`, `errno` where known; only those to the first process, or |
    |           | to every one at once (-1)                                                    |
    | `remove`  | `path`, `errno` where known                                                  |
    | `rename`  | `path`, `to`, `errno` where known                                            |

    Values are JSON values; what a source does not know is left out. Environments are never in it.
    """

    what: str
    pid: int
    """The process, as the sandbox itself numbers its processes (a thread's is its process's)."""
    time_ns: int
    """When, in nanoseconds since 1970."""
    fields: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """The facts of one sandbox, received in a thread of their own and kept until drained."""

    name: str
    """What it is, in a word: `gvisor` or `seccomp`."""
    promises: Mapping[str, str]
    """For each kind of fact, and for what else matters: what it sees, and what it does not."""
    lost: int
    """Facts that are known to have been lost so far."""
    received_bytes: int
    broken: str | None
    """Why it will see no more, in words; None while it works."""

    def listen(self, folder: Path) -> None:
        """Be ready, before the container starts; `folder` is its private one."""

    def connected(self) -> bool:
        """Whether the sandbox's kernel reports here, once the container has started."""

    def drain(self) -> list[Fact]:
        """Every fact that was sent before this call and not handed over yet, in order.

        Never waits for more. What the sandbox does is held up rather than left out while too many
        facts have not been drained.
        """

    def close(self) -> None:
        """Stop receiving; may be called twice, and never raises."""


def can_meet() -> bool:
    """Whether sandboxes can have folders of their own; of use only where the engine is, to root."""
    return os.geteuid() == 0 and MEETING_PLACE.is_dir()


@contextmanager
def private_folder(container: str) -> Iterator[Path]:
    """A sandbox's own folder, gone at the end; raises `NotAsAsked` if it cannot be made."""
    folder = MEETING_PLACE / container
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise NotAsAsked(
            f"the kernel record needs the folder {folder}, and it cannot be made: "
            f"{error.strerror}. `agent-eval setup --runtimes` prepares {MEETING_PLACE}"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
