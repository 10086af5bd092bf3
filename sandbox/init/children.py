"""The processes of the user's that PID 1 starts: sessions, transfers, what goes in and out.

Comes with init.py and under its rules: standard library only, Python 3.8 or later. They are taken
to be unfriendly: nothing here waits for one of them, and what they report is a claim.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import struct
import sys
import termios
import time

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DATA = 1  # as in init.py
CHUNK = 65536
IDLE_LIMIT = 1 << 18  # bytes taken from a session that has nothing to do, until it is asked again
KILL_S, FREEZE_S = 5.0, 30.0  # how long each is tried
REAPED_AT_ONCE = 500
STATUS_FD, CODE_FD = 199, 198  # as in becoming.py
RUN_DIR = "/run/sessions"  # as in becoming.py


class Child:
    """A process of the user's that was started here: a session or a transfer."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.pid = 0
        self.output: int | None = None
        self.status: int | None = None
        self.feed: int | None = None
        self.waiting = bytearray()  # bytes for `feed` that it has not taken yet
        self.at_end: Callable[[], None] | None = None
        self.taken: int | None = None  # bytes that `feed` took; the host is told unless None
        self.feed_ends = False
        self.action: int | None = None
        self.idle_bytes = 0


class Session(Child):
    """A persistent shell or interpreter."""

    def __init__(self, channel: int, program: str) -> None:
        super().__init__(channel)
        self.program = program
        self.code_path = f"{RUN_DIR}/{channel}"
        self.claims = b""


class Children:
    """All of them."""

    def __init__(
        self,
        init: Any,
        stillness: dict[str, Any],
        becoming: dict[str, Any],
        settings: dict[str, Any],
    ) -> None:
        """`stillness` and `becoming` are what the programs of those names define."""
        self.init = init
        self.processes = stillness["processes"]
        self.descendants = stillness["descendants"]
        self.user = becoming["User"](settings)
        self.output_pipe = becoming["output_pipe"]
        self.quietly = becoming["quietly"]
        self.write = becoming["write"]
        self.env = settings["env"]
        self.python_session = settings["python_session"].encode()
        self.all: dict[int, Child] = {}

    def tend_all(self) -> None:
        """Look anew at whose output is to be read."""
        for child in self.all.values():
            self.tend(child)

    def hear(self, channel: int, data: bytes, *, ends: bool) -> None:
        """What the host has for a child, or that there is no more."""
        child = self.all.get(channel)
        if child is None or child.feed is None:
            return
        child.waiting += data
        child.feed_ends = child.feed_ends or ends
        self.feed(child)

    def abandon(self, channel: int) -> None:
        """One whose pipes failed is of no more use to anybody."""
        child = self.all.get(channel)
        if child is not None:
            self.shut(child)
            self.kill_tree(child.pid)

    # --- sessions -------------------------------------------------------------------------------

    def open(self, channel: int, program: str) -> None:
        session = Session(channel, program)
        if program == "bash":
            body, code_fd = self.user.become_bash, 0
            session.waiting += b"set +o history +H; unset HISTFILE; PS1= PS2= PROMPT_COMMAND=\n"
        else:
            body, code_fd = self.user.become_python, CODE_FD
            session.waiting += self.python_session
        pipes = {"output": (1, 2), "status": (STATUS_FD,), "feed": (code_fd,)}
        self.start(session, body, **pipes)
        self.init.say("opened", channel=channel, pid=session.pid)

    def run(self, channel: int, action: int, code: str) -> None:
        session = self.all.get(channel)
        if not isinstance(session, Session):
            self.init.say("ended", channel=channel, action=action, exit=None, signal=None)
            return
        session.action = action
        text = code.encode("utf-8", "surrogatepass")
        if session.program == "bash":
            # Sourced from a file: read whole, while a shell takes a pipe byte by byte.
            self.write(session.code_path, text + b"\n")
            source = f". {session.code_path} 0</dev/null"
            session.waiting += f"{source};builtin echo {action} $? >&{STATUS_FD}\n".encode()
        else:
            session.waiting += struct.pack(">QI", action, len(text)) + text
        session.idle_bytes = 0
        self.tend(session)
        self.feed(session)

    def signal(self, channel: int, rung: str) -> None:
        session = self.all.get(channel)
        if not isinstance(session, Session):
            return
        if rung == "interrupt":
            self.quietly(os.killpg, session.pid, signal.SIGINT)
            if session.program == "bash" and session.action is not None:
                # An interrupted shell forgets the rest of its line, the report included.
                session.waiting += f"builtin echo {session.action} 130 >&{STATUS_FD}\n".encode()
                self.feed(session)
        else:
            self.kill_tree(session.pid)

    def kill_tree(self, root: int) -> None:
        """Kill a process, its group and all that descends from it.

        They are stopped first: the children of one that dies are nobody's descendants any more.
        """
        family, new = {root}, {root}
        until = time.monotonic() + KILL_S
        self.quietly(os.killpg, root, signal.SIGSTOP)
        while new and time.monotonic() < until:
            for pid in new:
                self.quietly(os.kill, pid, signal.SIGSTOP)
            new = self.descendants(family, self.processes) - family
            family |= new
        self.quietly(os.killpg, root, signal.SIGKILL)
        for pid in family:
            self.quietly(os.kill, pid, signal.SIGKILL)

    def read_claims(self, session: Session) -> None:
        """Look for the report on the action that runs; all else is thrown away."""
        assert session.status is not None
        try:
            data = os.read(session.status, 4096)
        except BlockingIOError:
            return
        if not data:
            self.init.unwatch(session.status)
            return
        *lines, rest = (session.claims + data).split(b"\n")
        session.claims = rest[-100:]
        for line in lines:
            action, status = session.action, report_on(session.action, line)
            if status is not None:
                session.action = None
                self.drain(session)
                self.init.say("done", channel=session.channel, action=action, exit=status)

    def drain(self, child: Child) -> None:
        """Send what was written before the report, and no more: a background job may never stop."""
        if child.output is None:
            return
        left = waiting_bytes(child.output)
        while left > 0:
            try:
                data = os.read(child.output, min(left, CHUNK))
            except BlockingIOError:
                return
            if not data:
                return
            left -= len(data)
            self.init.send(DATA, child.channel, data)

    # --- any child ---------------------------------------------------------------------------

    def start(self, child: Child, body: Callable[[], object], **wanted: tuple[int, ...]) -> None:
        """Start a child; `wanted` names the pipes to it and the numbers that it knows them by."""
        theirs: dict[int, int] = {}
        try:
            for name, numbers in wanted.items():
                named = name == "output" and isinstance(child, Session)
                ours, other = self.output_pipe() if named else os.pipe()
                if name == "feed":
                    ours, other = other, ours
                setattr(child, name, ours)
                theirs.update(dict.fromkeys(numbers, other))
                os.set_blocking(ours, False)
            child.pid = os.fork()
            if child.pid == 0:
                self.user.become(body, theirs)
        except Exception:
            self.shut(child)
            raise
        finally:
            for fd in set(theirs.values()):
                os.close(fd)
        self.all[child.channel] = child
        self.tend(child)
        if isinstance(child, Session) and child.status is not None:
            self.init.watch(child.status, selectors.EVENT_READ, self.read_claims, child)
        self.feed(child)

    def tend(self, child: Child) -> None:
        """Read a child's output while the host reads ours; of one that idles, only so much."""
        if child.output is None:
            return
        if self.init.paused or child.idle_bytes > IDLE_LIMIT:
            self.init.unwatch(child.output)
        else:
            self.init.watch(child.output, selectors.EVENT_READ, self.read_output, child)

    def feed(self, child: Child) -> None:
        if child.feed is None:
            return
        while child.waiting:
            try:
                sent = os.write(child.feed, memoryview(child.waiting)[:CHUNK])
            except BlockingIOError:
                self.init.watch(child.feed, selectors.EVENT_WRITE, self.feed, child)
                return
            except OSError:
                child.waiting.clear()
                break
            del child.waiting[:sent]
            if child.taken is not None:
                child.taken += sent
        self.init.unwatch(child.feed)
        if child.taken:
            self.init.say("took", channel=child.channel, total=child.taken)
        if child.feed_ends:
            os.close(child.feed)
            child.feed = None

    def read_output(self, child: Child) -> None:
        assert child.output is not None
        try:
            data = os.read(child.output, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.init.unwatch(child.output)
            return
        self.init.send(DATA, child.channel, data)
        if isinstance(child, Session) and child.action is None:
            child.idle_bytes += len(data)
            self.tend(child)

    def reap(self) -> bool:
        """Take note of who has ended, adopted grandchildren included; whether anybody is left."""
        self.quietly(os.read, self.init.wake, CHUNK)
        for _ in range(REAPED_AT_ONCE):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            for child in list(self.all.values()):
                if child.pid == pid:
                    self.bury(child, status)
        # There may be more, after what else there is to do.
        self.quietly(os.write, self.init.waker, b"x")
        return True

    def bury(self, child: Child, status: int) -> None:
        """A child has ended: send what it wrote, forget it, tell the host."""
        self.quietly(os.killpg, child.pid, signal.SIGKILL)
        self.drain(child)
        self.shut(child)
        del self.all[child.channel]
        if child.at_end:
            child.at_end()
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        cause = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        self.init.say("ended", channel=child.channel, action=child.action, exit=code, signal=cause)

    def shut(self, child: Child) -> None:
        for fd in (child.output, child.status, child.feed):
            if fd is not None:
                self.init.unwatch(fd)
                os.close(fd)
        child.output = child.status = child.feed = None
        if isinstance(child, Session):
            # Or it takes up room while they have it open.
            self.quietly(os.truncate, child.code_path, 0)
            self.quietly(os.unlink, child.code_path)

    def freeze(self) -> int:
        """End every process but this one, for good; returns how many still move.

        Stopping would not do: one that is stopped can have a timer wake it, and it still holds its
        leases, which close its files to others. When all is over nothing is left to wait for, since
        those whose parent is gone are children of this process.
        """
        until = time.monotonic() + FREEZE_S
        while self.reap() and time.monotonic() < until:
            self.quietly(os.kill, -1, signal.SIGKILL)
            time.sleep(0.01)
        # One in state D ends before it gets back to its own code.
        return sum(state not in "DZX" for _, _, state in self.processes())


def report_on(action: int | None, line: bytes) -> int | None:
    """The exit status in a line that reports on an action."""
    words = line[:100].split()
    if action is None or len(words) != 2 or words[0] != b"%d" % action:
        return None
    try:
        return int(words[1])
    except ValueError:
        return None


def waiting_bytes(fd: int) -> int:
    buffer = bytearray(4)
    fcntl.ioctl(fd, termios.FIONREAD, buffer)
    return int.from_bytes(buffer, sys.byteorder)
