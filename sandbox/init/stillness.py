"""While the host is silent nothing runs: PID 1 stops every process, and lets go on when it hears.

The host can also have all stand still, until it says that it goes on.

Comes with init.py and under its rules: standard library only, Python 3.8 or later.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

GUARD_S = 0.25  # between two looks at what is to stand still, and how long stopping it is tried
STANDING = "Tt"
MOVING = "RS"  # one in state D waits in the kernel; told to stop, it does before it gets back


class Stillness:
    """What stands still because the host is silent, or wants it so."""

    def __init__(
        self, silence_s: float, processes: Callable[[], Iterable[tuple[int, int, str]]]
    ) -> None:
        """`processes` gives pid, parent and state of every process but this one."""
        self.silence_s = silence_s
        self.processes = processes
        self.heard_at = time.monotonic()
        self.held = False  # the host wants all to stand still
        self.silent = False
        self.stopped_before: set[int] = set()  # not by this, so not continued by it
        self.told: set[int] = set()  # to stop, and had time to

    def heard(self) -> None:
        """The host is there: what was stopped goes on, unless it is to stand still."""
        if self.held:
            return
        self.heard_at = time.monotonic()
        if not self.silent:
            return
        self.silent = False
        self.let_all_go()

    def let_all_go(self) -> None:
        """Continue all that was stopped here."""
        if not self.stopped_before:
            # All at once: gVisor hangs up on a group of which one ends while others stand.
            send(-1, signal.SIGCONT)
            return
        for pid, _, _ in self.processes():
            if pid not in self.stopped_before:
                send(pid, signal.SIGCONT)

    def let_go(self) -> None:
        """The host holds nothing, or no longer."""
        self.held = False
        self.heard()

    def keep(self) -> float:
        """Stop all if it is to stand still; returns after how many seconds to come again.

        A process can have a timer wake it. One that does is killed.
        """
        left_s = self.heard_at + self.silence_s - time.monotonic()
        if left_s > 0 and not self.held:
            return left_s
        if not self.silent:
            self.silent = True
            self.stopped_before = self.those(STANDING)
            self.told = set()
        for pid in self.told & self.those(MOVING):
            send(pid, signal.SIGKILL)
        self.stop_all()
        self.told = self.those(STANDING + MOVING)
        return GUARD_S

    def those(self, states: str) -> set[int]:
        """Processes in one of these states."""
        return {pid for pid, _, state in self.processes() if state in states}

    def stop_all(self) -> None:
        """Stop every process but this one, again until a look finds all stopped."""
        if os.getpid() != 1:
            raise RuntimeError("this is not PID 1, and would stop the whole machine")
        until = time.monotonic() + GUARD_S
        while time.monotonic() < until:
            send(-1, signal.SIGSTOP)
            if not self.those(MOVING):
                return
            time.sleep(0.01)


def processes() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, parent, state) of every process but this one.

    With few calls: while many processes spin, this one has to wait its turn again and again.
    """
    own = str(os.getpid())
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == own:
            continue
        try:
            fd = os.open(f"/proc/{name}/stat", os.O_RDONLY)
            try:
                line = os.read(fd, 4096)
            finally:
                os.close(fd)
            # Bytes: a process names itself, and may do so with any.
            state, parent = line.rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        yield int(name), int(parent), state.decode()


def descendants(
    roots: set[int], processes: Callable[[], Iterable[tuple[int, int, str]]]
) -> set[int]:
    """These processes and all that descends from them; `processes` as for `Stillness`.

    Those that look dead are among them: a process whose first thread has ended may be alive.
    """
    children: dict[int, list[int]] = {}
    for pid, parent, _ in processes():
        children.setdefault(parent, []).append(pid)
    found, waiting = set(roots), list(roots)
    while waiting:
        more = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(more)
        waiting += more
    return found


def send(pid: int, number: int) -> None:
    """Send a signal to who may be gone."""
    try:
        os.kill(pid, number)
    except OSError:
        pass
