"""PID 1 of the container: the one that answers at the other end of the pipe.

Standard library only, Python 3.8 or later, so that it runs in any image. It arrives through the
pipe that it then serves, so nothing of it has to be in the image. It runs as root with the few
capabilities it needs to become the user and to signal it; whatever it starts runs as that user, in
process groups of its own.

The host trusts nothing that comes from here. What this program promises is only convenience: order,
fairness and honest reports for as long as nobody has taken it over. The user's processes are taken
to be unfriendly: they must not make it wait, grow, end, or write anywhere but to the pipe. So no
descriptor here ever blocks, nothing is imported or looked up where they can write, and an order
that fails is answered with `error`.

Frames, both ways: length (u32, of what follows), type (u8), channel (u32), payload.
  type 0  control: a JSON object with "op"      type 1  data of a channel      type 2  end of data
  type 3 to 9  streams and names, where there is a network
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import selectors
import signal
import struct
import sys
import termios
import time

TYPE_CHECKING = False  # `typing` itself would take 5 to 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

HEAD = struct.Struct(">IBI")
CONTROL, DATA, END = 0, 1, 2
CHUNK = 65536
OUT_LIMIT = 1 << 20  # bytes waiting for the host before sources are no longer read
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


class Init:
    """The whole of it: what it knows, the orders it takes, and its loop."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.uid, self.gid = settings["uid"], settings["gid"]
        self.env = settings["env"]
        self.home = settings["home"]
        self.limits = settings["rlimits"]
        self.python_session = settings["python_session"].encode()
        self.errands = part("errands", settings)
        still = part("stillness", settings)
        self.stillness = still["Stillness"](settings["silence_s"], processes)
        self.descendants = still["descendants"]
        self.copying = part("copying", settings)["Copying"](self, Child, Session, settings)
        self.rest_s: float = self.stillness.keep()
        self.children: dict[int, Child] = {}
        self.out = bytearray()
        self.inbox = bytearray()
        self.select = selectors.DefaultSelector()
        self.paused = False
        self.wake, self.waker = os.pipe()
        self.network: Any = None
        self.bulk: Any = None
        if "network" in settings:
            self.bulk = part("streams", settings)["Streams"](self)
            self.network = part("network", settings)["Network"](self, self.bulk)

    # --- the pipe -------------------------------------------------------------------------------

    def send(self, kind: int, channel: int, payload: bytes) -> None:
        self.out += HEAD.pack(len(payload) + 5, kind, channel) + payload
        self.flush()

    def say(self, op: str, **fields: Any) -> None:
        fields["op"] = op
        self.send(CONTROL, 0, json.dumps(fields).encode())

    def flush(self) -> None:
        self.write_out()
        if self.bulk and not self.out and self.bulk.pull():
            self.write_out()
        self.watch_output()

    def write_out(self) -> None:
        while self.out:
            try:
                sent = os.write(1, memoryview(self.out)[: 2 * CHUNK])
            except BlockingIOError:
                break
            except OSError:
                os._exit(0)  # nobody will ever read this: the container ends with this process
            del self.out[:sent]

    def watch_output(self) -> None:
        """Wait for room only while something waits; read sources only while there is room."""
        if self.out or (self.bulk and self.bulk.waits()):
            self.watch(1, selectors.EVENT_WRITE, self.flush)
        else:
            self.unwatch(1)
        full = len(self.out) > OUT_LIMIT
        if full != self.paused:
            self.paused = full
            for child in self.children.values():
                self.tend(child)

    def watch(self, fd: int, events: int, act: Callable[..., object], *arguments: Child) -> None:
        if fd not in self.select.get_map():
            self.select.register(fd, events, (act, arguments))

    def unwatch(self, fd: int) -> None:
        if fd in self.select.get_map():
            self.select.unregister(fd)

    def read_pipe(self) -> None:
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # the host is gone for good: the container ends with this process
        self.stillness.heard()
        self.inbox += data
        self.copying.look_for_greeting(len(data))
        while len(self.inbox) >= HEAD.size:
            size, kind, channel = HEAD.unpack_from(self.inbox)
            if len(self.inbox) < 4 + size:
                return
            payload = bytes(self.inbox[HEAD.size : 4 + size])
            del self.inbox[: 4 + size]
            self.hear(kind, channel, payload)

    def hear(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == CONTROL:
            self.obey(json.loads(payload))
            return
        if kind > END:
            self.network.hear(kind, channel, payload)
            return
        child = self.children.get(channel)
        if child is None or child.feed is None:
            return
        if kind == DATA:
            child.waiting += payload
        else:
            child.feed_ends = True
        self.feed(child)

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out an order; one that fails is answered all the same."""
        op, channel = order.pop("op"), order.get("channel", 0)
        try:
            getattr(self, "do_" + op)(**order)
        except Exception as error:
            if op in ("open", "run"):
                self.send(DATA, channel, f"{op} failed: {error}\n".encode()[:300])
            self.give_up(channel, error)

    def give_up(self, channel: int, error: Exception) -> None:
        """Report what went wrong; a child whose pipes failed is of no more use to anybody."""
        child = self.children.get(channel)
        if child is not None:
            self.shut(child)
            self.kill_tree(child.pid)
        self.say("error", channel=channel, message=f"{type(error).__name__}: {error}"[:300])

    # --- sessions -------------------------------------------------------------------------------

    def do_open(self, channel: int, program: str) -> None:
        session = Session(channel, program)
        if program == "bash":
            body, code_fd = self.become_bash, 0
            session.waiting += b"set +o history +H; unset HISTFILE; PS1= PS2= PROMPT_COMMAND=\n"
        else:
            body, code_fd = self.become_python, CODE_FD
            session.waiting += self.python_session
        pipes = {"output": (1, 2), "status": (STATUS_FD,), "feed": (code_fd,)}
        self.start(session, body, **pipes)
        self.say("opened", channel=channel, pid=session.pid)

    def become_bash(self) -> NoReturn:
        os.execvpe("bash", ["bash", "--noprofile", "--norc", "--noediting", "-i"], self.env)

    def become_python(self) -> NoReturn:
        """Have it find its program on its standard input: as an argument everybody would see it."""
        size = len(self.python_session)
        script, end = os.pipe()
        os.write(end, (START % (size, CODE_FD, size)).encode())
        os.close(end)
        os.dup2(script, 0)
        os.close(script)
        os.chdir("/")  # where it looks for modules at first, and the user cannot write
        os.execvpe("python3", ["python3"], self.env)

    def do_run(self, channel: int, action: int, code: str) -> None:
        session = self.children.get(channel)
        if not isinstance(session, Session):
            self.say("ended", channel=channel, action=action, exit=None, signal=None)
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

    def do_signal(self, channel: int, rung: str) -> None:
        session = self.children.get(channel)
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
            new = self.descendants(family, processes) - family
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
            self.unwatch(session.status)
            return
        *lines, rest = (session.claims + data).split(b"\n")
        session.claims = rest[-100:]
        for line in lines:
            action, status = session.action, report_on(session.action, line)
            if status is not None:
                session.action = None
                self.drain(session)
                self.say("done", channel=session.channel, action=action, exit=status)

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
            self.send(DATA, child.channel, data)

    # --- children -------------------------------------------------------------------------------

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
        self.children[child.channel] = child
        self.tend(child)
        if isinstance(child, Session) and child.status is not None:
            self.watch(child.status, selectors.EVENT_READ, self.read_claims, child)
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
        if self.paused or child.idle_bytes > IDLE_LIMIT:
            self.unwatch(child.output)
        else:
            self.watch(child.output, selectors.EVENT_READ, self.read_output, child)

    def feed(self, child: Child) -> None:
        if child.feed is None:
            return
        while child.waiting:
            try:
                sent = os.write(child.feed, memoryview(child.waiting)[:CHUNK])
            except BlockingIOError:
                self.watch(child.feed, selectors.EVENT_WRITE, self.feed, child)
                return
            except OSError:
                child.waiting.clear()
                break
            del child.waiting[:sent]
            if child.taken is not None:
                child.taken += sent
        self.unwatch(child.feed)
        if child.taken:
            self.say("took", channel=child.channel, total=child.taken)
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
            self.unwatch(child.output)
            return
        self.send(DATA, child.channel, data)
        if isinstance(child, Session) and child.action is None:
            child.idle_bytes += len(data)
            self.tend(child)

    def reap(self) -> bool:
        """Take note of who has ended, adopted grandchildren included; whether anybody is left."""
        quietly(os.read, self.wake, CHUNK)
        for _ in range(REAPED_AT_ONCE):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            for child in list(self.children.values()):
                if child.pid == pid:
                    self.bury(child, status)
        quietly(os.write, self.waker, b"x")  # there may be more, after what else there is to do
        return True

    def bury(self, child: Child, status: int) -> None:
        """A child has ended: send what it wrote, forget it, tell the host."""
        quietly(os.killpg, child.pid, signal.SIGKILL)
        self.drain(child)
        self.shut(child)
        del self.children[child.channel]
        if child.at_end:
            child.at_end()
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        cause = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        self.say("ended", channel=child.channel, action=child.action, exit=code, signal=cause)

    def shut(self, child: Child) -> None:
        for fd in (child.output, child.status, child.feed):
            if fd is not None:
                self.unwatch(fd)
                os.close(fd)
        child.output = child.status = child.feed = None
        if isinstance(child, Session):
            quietly(os.truncate, child.code_path, 0)  # or it takes up room while they have it open
            quietly(os.unlink, child.code_path)

    # --- transfers, freezing, looking -----------------------------------------------------------

    def do_put(self, channel: int) -> None:
        self.start(Child(channel), self.errands["unpack"], feed=(0,), output=(1, 2))

    def do_get(self, channel: int, paths: list[str], limit: int) -> None:
        self.start(Child(channel), lambda: self.errands["pack"](paths, limit), output=(1,))

    def do_copying(self, what: str, **order: Any) -> None:
        """Do a part of what it takes to be copied, or to be a copy."""
        getattr(self.copying, what)(**order)

    def do_network(self, **order: Any) -> None:
        """Have a network, whose other end is the host's."""
        self.network.up(**order)

    def do_rename(self, title: str) -> None:
        """Go by a plain name in the list of processes."""
        self.errands["rename"](title)

    def do_look(self, channel: int, address: str) -> None:
        """Report what is in force, seen by root and by a child, as the user."""
        self.say("seen", channel=channel, root=self.errands["look"]())
        self.start(Child(channel), lambda: self.errands["send_look"](address), output=(1,))

    def do_freeze(self) -> None:
        """End every process but this one, for good.

        Stopping would not do: one that is stopped can have a timer wake it, and it still holds its
        leases, which close its files to others. When all is over nothing is left to wait for, since
        those whose parent is gone are children of this process.
        """
        until = time.monotonic() + FREEZE_S
        while self.reap() and time.monotonic() < until:
            quietly(os.kill, -1, signal.SIGKILL)
            time.sleep(0.01)
        # One in state D ends before it gets back to its own code.
        self.say("frozen", moving=sum(state not in "DZX" for _, _, state in processes()))

    def do_beat(self) -> None:
        """The host is there, and holds nothing."""
        self.stillness.let_go()

    def do_stand(self) -> None:
        """All is to stand still until the next beat."""
        self.stillness.held = True

    def do_ping(self, number: int) -> None:
        self.say("pong", number=number, descriptors=len(open_fds()), children=len(self.children))

    # --- the loop -------------------------------------------------------------------------------

    def serve(self) -> None:
        """Work until the host hangs up; whatever goes wrong is said, and work goes on."""
        # Nothing that may have to be imported later comes from where the user can write.
        stdlib = os.path.join(sys.base_prefix, "")
        sys.path[:] = [path for path in sys.path if path.startswith(stdlib)]
        os.makedirs(RUN_DIR, mode=0o755, exist_ok=True)
        for fd in (0, 1, self.wake, self.waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGPIPE, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)
        self.watch(0, selectors.EVENT_READ, self.read_pipe)
        self.watch(self.wake, selectors.EVENT_READ, self.reap)
        self.say("ready", python=sys.version.split()[0])
        while True:
            try:
                self.turn()
            except Exception as error:
                self.give_up(0, error)
                time.sleep(0.1)

    def turn(self) -> None:
        for key, _ in self.select.select(self.rest_s):
            # An earlier callback of the same round may have closed this one's descriptor.
            current = self.select.get_map().get(key.fd)
            if current is None:
                continue
            act, arguments = current.data
            try:
                act(*arguments)
            except Exception as error:
                if not arguments:
                    raise
                self.give_up(arguments[0].channel, error)
        self.rest_s = self.stillness.keep()


def part(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a program that came with this one defines."""
    names: dict[str, Any] = {"__name__": name}
    exec(compile(settings[name], name, "exec"), names)
    return names


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


if __name__ == "__main__":
    Init(globals()["SETTINGS"]).serve()  # put there by what starts this program
