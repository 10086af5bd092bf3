"""The processes of the user's that PID 1 starts: sessions, transfers, what goes in and out.

Comes with init.py and under its rules: standard library only, Python 3.8 or later. They are taken
to be unfriendly: nothing here waits for one of them, and what they report is a claim.
"""

from __future__ import annotations

import fcntl
import os
import resource
import selectors
import signal
import struct
import sys
import termios
import time

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

DATA = 1  # as in init.py
CHUNK = 65536
IDLE_LIMIT = 1 << 18  # bytes taken from a session that has nothing to do, until it is asked again
KILL_S, FREEZE_S = 5.0, 30.0  # how long each is tried
REAPED_AT_ONCE = 500
STATUS_FD, CODE_FD = 199, 198
RUN_DIR = "/run/sessions"
START = (
    "import os\nb=b''\nwhile len(b)<%d:b+=os.read(%d,%d-len(b))\n"
    "exec(compile(b,'<stdin>','exec'))\n"
)


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

    def __init__(self, init: Any, stillness: dict[str, Any], settings: dict[str, Any]) -> None:
        """`stillness` is what the program of that name defines."""
        self.init = init
        self.processes = stillness["processes"]
        self.descendants = stillness["descendants"]
        self.uid, self.gid = settings["uid"], settings["gid"]
        self.env = settings["env"]
        self.home = settings["home"]
        self.limits = settings["rlimits"]
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
            body, code_fd = self.become_bash, 0
            session.waiting += b"set +o history +H; unset HISTFILE; PS1= PS2= PROMPT_COMMAND=\n"
        else:
            body, code_fd = self.become_python, CODE_FD
            session.waiting += self.python_session
        pipes = {"output": (1, 2), "status": (STATUS_FD,), "feed": (code_fd,)}
        self.start(session, body, **pipes)
        self.init.say("opened", channel=channel, pid=session.pid)

    def become_bash(self) -> NoReturn:
        words = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
        os.execve(self.found("bash"), words, self.env)

    def become_python(self) -> NoReturn:
        """Have it find its program on its standard input: as an argument everybody would see it."""
        size = len(self.python_session)
        script, end = os.pipe()
        os.write(end, (START % (size, CODE_FD, size)).encode())
        os.close(end)
        os.dup2(script, 0)
        os.close(script)
        os.chdir("/")  # where it looks for modules at first, and the user cannot write
        os.execve(self.found("python3"), ["python3"], self.env)

    def found(self, program: str) -> str:
        """Where the user's PATH has a program: each execution that is tried is put on record."""
        paths = [f"{folder}/{program}" for folder in self.env["PATH"].split(":")]
        return next((path for path in paths if os.access(path, os.X_OK)), program)

    def run(self, channel: int, action: int, code: str) -> None:
        session = self.all.get(channel)
        if not isinstance(session, Session):
            self.init.say("ended", channel=channel, action=action, exit=None, signal=None)
            return
        session.action = action
        text = code.encode("utf-8", "surrogatepass")
        if session.program == "bash":
            # Sourced from a file: read whole, while a shell takes a pipe byte by byte.
            write(session.code_path, text + b"\n")
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
            quietly(os.killpg, session.pid, signal.SIGINT)
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
        quietly(os.killpg, root, signal.SIGSTOP)
        while new and time.monotonic() < until:
            for pid in new:
                quietly(os.kill, pid, signal.SIGSTOP)
            new = self.descendants(family, self.processes) - family
            family |= new
        quietly(os.killpg, root, signal.SIGKILL)
        for pid in family:
            quietly(os.kill, pid, signal.SIGKILL)

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
                ours, other = output_pipe() if named else os.pipe()
                if name == "feed":
                    ours, other = other, ours
                setattr(child, name, ours)
                theirs.update(dict.fromkeys(numbers, other))
                os.set_blocking(ours, False)
            child.pid = os.fork()
            if child.pid == 0:
                self.become(body, theirs)
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

    def become(self, body: Callable[[], object], fds: dict[int, int]) -> NoReturn:
        """Be a process of the user's, in a session of its own, with just these descriptors."""
        status = 126
        try:
            signal.set_wakeup_fd(-1)
            self.take_descriptors(fds)
            self.lay_down_powers()
            body()
            status = 0
        except BaseException as error:
            quietly(os.write, 2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)

    def take_descriptors(self, fds: dict[int, int]) -> None:
        """Have these under their numbers, nothing at the other standard ones, and no more."""
        # Move ours out of the way first, so that no target number is also a source.
        moved = {to: fcntl.fcntl(fd, fcntl.F_DUPFD, 210) for to, fd in fds.items()}
        null = os.open("/dev/null", os.O_RDWR)
        for to in (0, 1, 2):
            os.dup2(null, to)
        for to, fd in moved.items():
            os.dup2(fd, to)
        for fd in open_fds():
            if fd > 2 and fd not in fds:
                quietly(os.close, fd)

    def lay_down_powers(self) -> None:
        """Be the user, with what a program is born with."""
        os.setsid()
        for name in ("SIGCHLD", "SIGPIPE", "SIGINT", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        quietly(write, "/proc/self/oom_score_adj", b"1000")  # out of memory, this goes before us
        for name, value in self.limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        os.umask(0o022)
        for folder in ("/", self.home):  # its home it may have closed to itself
            quietly(os.chdir, folder)

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
        quietly(os.read, self.init.wake, CHUNK)
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
        quietly(
            os.write, self.init.waker, b"x"
        )  # there may be more, after what else there is to do
        return True

    def bury(self, child: Child, status: int) -> None:
        """A child has ended: send what it wrote, forget it, tell the host."""
        quietly(os.killpg, child.pid, signal.SIGKILL)
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
            quietly(os.truncate, child.code_path, 0)  # or it takes up room while they have it open
            quietly(os.unlink, child.code_path)

    def freeze(self) -> int:
        """End every process but this one, for good; returns how many still move.

        Stopping would not do: one that is stopped can have a timer wake it, and it still holds its
        leases, which close its files to others. When all is over nothing is left to wait for, since
        those whose parent is gone are children of this process.
        """
        until = time.monotonic() + FREEZE_S
        while self.reap() and time.monotonic() < until:
            quietly(os.kill, -1, signal.SIGKILL)
            time.sleep(0.01)
        # One in state D ends before it gets back to its own code.
        return sum(state not in "DZX" for _, _, state in self.processes())


def quietly(act: Callable[..., object], *arguments: object) -> None:
    """Ask the kernel for something that it may refuse without harm."""
    try:
        act(*arguments)
    except OSError:
        pass


def write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def output_pipe() -> tuple[int, int]:
    """Make a pipe that the user may open again, to write: programs write to `/dev/stderr`."""
    path = RUN_DIR + "/output"
    os.mkfifo(path)
    try:
        os.chmod(path, 0o622)
        ours = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return ours, os.open(path, os.O_WRONLY)
        except OSError:
            os.close(ours)
            raise
    finally:
        os.unlink(path)


def report_on(action: int | None, line: bytes) -> int | None:
    """The exit status in a line that reports on an action."""
    words = line[:100].split()
    if action is None or len(words) != 2 or words[0] != b"%d" % action:
        return None
    try:
        return int(words[1])
    except ValueError:
        return None


def open_fds() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]


def waiting_bytes(fd: int) -> int:
    buffer = bytearray(4)
    fcntl.ioctl(fd, termios.FIONREAD, buffer)
    return int.from_bytes(buffer, sys.byteorder)
