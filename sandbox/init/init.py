"""PID 1 of every sandbox: the one that answers at the other end of the pipe.

Standard library only, Python 3.8 or later, so that it runs in any image. It reaches the container
through the pipe itself (see `bootstrap` in agent_eval/sandbox/container.py), so nothing of it has
to be in the image. It runs as root with the few capabilities it needs to become the agent's user
and to signal it; everything of the agent's runs as that user, in process groups of its own.

The host trusts nothing that comes from here. What this program promises is only convenience: order,
fairness and honest reports for as long as nobody has taken it over.

Frames, both ways: length (u32, of what follows), type (u8), channel (u32), payload.
  type 0  control: a JSON object with "op"      type 1  data of a channel      type 2  end of data
"""

import errno
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import termios
import time

HEAD = struct.Struct(">IBI")
CONTROL, DATA, END = 0, 1, 2
CHUNK = 65536
OUT_LIMIT = 1 << 20  # bytes waiting for the host before sources are no longer read
STATUS_FD, CODE_FD = 199, 198
MEMORY_LIMITS = ("memory/memory.limit_in_bytes", "memory.max")
RUN_DIR = "/run/sessions"


class Child:
    """A process of the agent's user that this program started: a session or a transfer."""

    def __init__(self, channel, pid, output, status=None, feed=None):
        self.channel, self.pid = channel, pid
        self.output, self.status, self.feed = output, status, feed
        self.waiting = b""  # bytes for `feed` that it has not taken yet
        self.feed_ends = False
        self.claims = b""
        self.action = None


class Session(Child):
    """A persistent shell or interpreter."""

    program = ""
    code_path = ""


class Init:
    def __init__(self, settings):
        self.uid, self.gid = settings["uid"], settings["gid"]
        self.env = settings["env"]
        self.home = settings["home"]
        self.limits = settings["rlimits"]
        self.python_session = settings["python_session"].encode()
        self.children = {}
        self.out = bytearray()
        self.inbox = bytearray()
        self.select = selectors.DefaultSelector()
        self.paused = False

    # --- the pipe -------------------------------------------------------------------------------

    def send(self, kind, channel, payload):
        self.out += HEAD.pack(len(payload) + 5, kind, channel)
        self.out += payload
        self.flush()

    def say(self, op, **fields):
        fields["op"] = op
        self.send(CONTROL, 0, json.dumps(fields).encode())

    def flush(self):
        while self.out:
            try:
                sent = os.write(1, memoryview(self.out)[:CHUNK])
            except BlockingIOError:
                break
            del self.out[:sent]
        self.watch_output()

    def watch_output(self):
        """Wait for room in the pipe only while something waits; read sources only while there is room."""
        registered = 1 in self.select.get_map()
        if self.out and not registered:
            self.select.register(1, selectors.EVENT_WRITE, self.flush)
        elif not self.out and registered:
            self.select.unregister(1)
        full = len(self.out) > OUT_LIMIT
        if full != self.paused:
            self.paused = full
            for child in self.children.values():
                if child.output is not None:
                    (self.ignore if full else self.listen)(child)

    def listen(self, child):
        if child.output is not None and child.output not in self.select.get_map() and not self.paused:
            self.select.register(child.output, selectors.EVENT_READ, lambda: self.read_output(child))

    def ignore(self, child):
        if child.output is not None and child.output in self.select.get_map():
            self.select.unregister(child.output)

    def read_pipe(self):
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # the host is gone for good: the container ends with this process
        self.inbox += data
        while len(self.inbox) >= 4:
            (size,) = struct.unpack_from(">I", self.inbox)
            if len(self.inbox) < 4 + size:
                return
            _, kind, channel = HEAD.unpack_from(self.inbox)
            payload = bytes(self.inbox[9 : 4 + size])
            del self.inbox[: 4 + size]
            self.hear(kind, channel, payload)

    def hear(self, kind, channel, payload):
        if kind == CONTROL:
            order = json.loads(payload)
            getattr(self, "do_" + order.pop("op"))(**order)
            return
        child = self.children.get(channel)
        if child is None or child.feed is None:
            return
        if kind == DATA:
            child.waiting += payload
        else:
            child.feed_ends = True
        self.feed(child)

    # --- sessions -------------------------------------------------------------------------------

    def do_open(self, channel, program):
        output, theirs = os.pipe()
        status, status_theirs = os.pipe()
        code_theirs, code = os.pipe()
        if program == "bash":
            argv = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
            fds = {0: code_theirs, 1: theirs, 2: theirs, STATUS_FD: status_theirs}
        else:
            start = "import os;exec(os.read(%d,%d))" % (CODE_FD, len(self.python_session))
            argv = ["python3", "-c", start]
            fds = {1: theirs, 2: theirs, STATUS_FD: status_theirs, CODE_FD: code_theirs}
        pid = self.spawn(lambda: os.execvpe(argv[0], argv, self.env), fds)
        for fd in (theirs, status_theirs, code_theirs):
            os.close(fd)
        session = Session(channel, pid, output, status, code)
        session.program = program
        session.code_path = "%s/%d/bash" % (RUN_DIR, channel)
        os.makedirs(os.path.dirname(session.code_path), mode=0o755, exist_ok=True)
        self.adopt(session)
        if program == "bash":
            session.waiting += b"set +o history +H; unset HISTFILE; PS1= PS2= PROMPT_COMMAND=\n"
        else:
            session.waiting += self.python_session
        self.feed(session)

    def do_run(self, channel, action, code):
        session = self.children.get(channel)
        if session is None:
            self.say("ended", channel=channel, action=action, exit=None, signal=None)
            return
        session.action = action
        text = code.encode("utf-8", "surrogatepass")
        if session.program == "bash":
            # Sourced from a file: read whole, while a shell takes a pipe byte by byte.
            with open(session.code_path, "wb") as file:
                file.write(text)
                file.write(b"\n")
            line = ". %s 0</dev/null;builtin echo %d $? >&%d\n"
            session.waiting += (line % (session.code_path, action, STATUS_FD)).encode()
        else:
            session.waiting += struct.pack(">QI", action, len(text)) + text
        self.feed(session)

    def do_signal(self, channel, rung):
        session = self.children.get(channel)
        if session is None:
            return
        if rung == "interrupt":
            self.kill_group(session.pid, signal.SIGINT)
            if session.program == "bash" and session.action is not None:
                # An interrupted shell forgets the rest of its line, the report included.
                line = "builtin echo %d 130 >&%d\n" % (session.action, STATUS_FD)
                session.waiting += line.encode()
                self.feed(session)
        else:
            self.kill_tree(session.pid)

    def kill_group(self, pid, number):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            pass

    def kill_tree(self, root):
        """Kill a group and all that descend from it, until a look finds none."""
        for _ in range(20):
            self.kill_group(root, signal.SIGKILL)
            left = [pid for pid in descendants(root) if pid != root]
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                return

    def read_claims(self, session):
        try:
            session.claims += os.read(session.status, 4096)
        except BlockingIOError:
            return
        *lines, session.claims = session.claims.split(b"\n")
        session.claims = session.claims[-100:]
        for line in lines:
            try:
                action, status = (int(word) for word in line.split())
            except ValueError:
                continue
            if action == session.action:
                session.action = None
                self.drain(session)
                self.say("done", channel=session.channel, action=action, exit=status)

    def drain(self, child):
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

    def spawn(self, body, fds):
        """Fork a process of the agent's user, in a session of its own, with just these descriptors."""
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            # Move ours out of the way first, so that no target number is also a source.
            moved = {to: fcntl.fcntl(fd, fcntl.F_DUPFD, 210) for to, fd in fds.items()}
            null = os.open("/dev/null", os.O_RDWR)
            for to in (0, 1, 2):
                os.dup2(null, to)
            for to, fd in moved.items():
                os.dup2(fd, to)
            for fd in open_fds():
                if fd > 2 and fd not in fds:
                    close(fd)
            for name, value in self.limits.items():
                resource.setrlimit(getattr(resource, name), (value, value))
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
            os.umask(0o022)
            os.chdir(self.home)
            body()
            os._exit(0)
        except BaseException as error:
            os.write(2, ("%s: %s\n" % (type(error).__name__, error)).encode())
            os._exit(126)

    def adopt(self, child):
        self.children[child.channel] = child
        for fd in (child.output, child.status, child.feed):
            if fd is not None:
                os.set_blocking(fd, False)
        self.listen(child)
        if child.status is not None:
            self.select.register(child.status, selectors.EVENT_READ, lambda: self.read_claims(child))

    def feed(self, child):
        if child.feed is None:
            return
        while child.waiting:
            try:
                sent = os.write(child.feed, child.waiting[:CHUNK])
            except BlockingIOError:
                break
            except OSError:
                child.waiting = b""
                break
            child.waiting = child.waiting[sent:]
        registered = child.feed in self.select.get_map()
        if child.waiting and not registered:
            self.select.register(child.feed, selectors.EVENT_WRITE, lambda: self.feed(child))
        elif not child.waiting:
            if registered:
                self.select.unregister(child.feed)
            if child.feed_ends:
                close(child.feed)
                child.feed = None

    def read_output(self, child):
        try:
            data = os.read(child.output, CHUNK)
        except BlockingIOError:
            return
        if data:
            self.send(DATA, child.channel, data)
        else:
            self.ignore(child)
            close(child.output)
            child.output = None

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in list(self.children.values()):
                if child.pid == pid:
                    self.bury(child, status)

    def bury(self, child, status):
        """A child has ended: send what it wrote, forget it, tell the host."""
        if isinstance(child, Session):
            self.kill_group(child.pid, signal.SIGKILL)
        self.drain(child)
        for fd in (child.output, child.status, child.feed):
            if fd is not None:
                if fd in self.select.get_map():
                    self.select.unregister(fd)
                close(fd)
        del self.children[child.channel]
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        self.say("ended", channel=child.channel, action=child.action, exit=code, signal=number)

    # --- transfers, freezing, looking -----------------------------------------------------------

    def do_put(self, channel):
        theirs, feed = os.pipe()
        output, output_theirs = os.pipe()
        pid = self.spawn(unpack, {0: theirs, 1: output_theirs, 2: output_theirs})
        os.close(theirs)
        os.close(output_theirs)
        self.adopt(Child(channel, pid, output, feed=feed))

    def do_get(self, channel, paths, limit):
        output, theirs = os.pipe()
        pid = self.spawn(lambda: pack(paths, limit), {1: theirs})
        os.close(theirs)
        self.adopt(Child(channel, pid, output))

    def do_look(self, channel, address):
        """Report what is in force, seen by root here and, by a child, as the agent's user."""
        self.say("seen", channel=channel, root=look())
        output, theirs = os.pipe()
        pid = self.spawn(lambda: print(json.dumps(look_out(address)), flush=True), {1: theirs})
        os.close(theirs)
        self.adopt(Child(channel, pid, output))

    def do_freeze(self):
        """Stop every process but this one, again and again until a look finds all stopped."""
        moving = 0
        for _ in range(50):
            try:
                os.kill(-1, signal.SIGSTOP)
            except ProcessLookupError:
                moving = 0
                break
            # One in state D waits in the kernel and stops before it gets back to its own code.
            moving = sum(1 for _, _, state in processes() if state in "RS")
            if not moving:
                break
            time.sleep(0.01)
        self.say("frozen", moving=moving)

    def do_ping(self, number):
        self.say("pong", number=number)

    # --- the loop -------------------------------------------------------------------------------

    def serve(self):
        os.makedirs(RUN_DIR, mode=0o755, exist_ok=True)
        wake, waker = os.pipe()
        for fd in (0, 1, wake, waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.select.register(0, selectors.EVENT_READ, self.read_pipe)
        self.select.register(wake, selectors.EVENT_READ, lambda: (os.read(wake, 512), self.reap()))
        self.say("ready", python=sys.version.split()[0])
        while True:
            for key, _ in self.select.select():
                # An earlier callback of the same round may have closed this one's descriptor.
                current = self.select.get_map().get(key.fd)
                if current is not None:
                    current.data()


def close(fd):
    try:
        os.close(fd)
    except OSError:
        pass


def open_fds():
    return [int(name) for name in os.listdir("/proc/self/fd")]


def waiting_bytes(fd):
    buffer = bytearray(4)
    fcntl.ioctl(fd, termios.FIONREAD, buffer)
    return struct.unpack("i", buffer)[0]


def processes():
    """Yield (pid, parent, state) of every process but this one."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open("/proc/%s/stat" % name) as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(name), int(fields[1]), fields[0]


def descendants(root):
    parents = {pid: parent for pid, parent, state in processes() if state not in "ZX"}
    found, grew = {root}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        grew, found = bool(more), found | more
    return [pid for pid in found if pid in parents]


def unpack():
    """Extract the archive on standard input as the agent's user; it can write what the agent can."""
    import tarfile

    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        archive.extractall("/")


def pack(paths, limit):
    """Write regular files as an archive to standard output, at most `limit` bytes in all."""
    import tarfile

    # The GNU form, since it is the one that the host reads; a second name of a file goes as a file.
    form = {"format": tarfile.GNU_FORMAT, "dereference": True}
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", **form) as archive:
        for top in paths:
            for path in walk(top):
                limit -= os.path.getsize(path)
                if limit < 0:
                    raise OSError(errno.EFBIG, "more than the limit", path)
                archive.add(path, recursive=False)


def walk(top):
    if os.path.isfile(top) and not os.path.islink(top):
        yield top
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read(20000)
    except OSError as error:
        return "(%s)" % os.strerror(error.errno)


def look():
    """What PID 1 sees of its own confinement."""
    status = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines() if ":\t" in line)
    wanted = ("Uid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")
    sizes = {}
    for line in read("/proc/mounts").splitlines():
        where = line.split()[1]
        try:
            room = os.statvfs(where)
        except OSError:
            continue
        sizes[where] = room.f_blocks * room.f_frsize
    limits = [read("/sys/fs/cgroup/" + name).strip() for name in MEMORY_LIMITS]
    total = int(read("/proc/meminfo").split()[1]) * 1024
    memory = min([int(limit) for limit in limits if limit.isdigit()] + [total])
    return {
        "status": {name: status.get(name, "").strip() for name in wanted},
        "mounts": read("/proc/mounts"),
        "sizes": sizes,
        "network": [line.split(":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:]],
        "memory": memory,
        "hosts": read("/etc/hosts"),
        "resolv": read("/etc/resolv.conf"),
        "hostname": socket.gethostname(),
        "kernel": os.uname().release,
        "root_writable": try_writing("/"),
        "docker_socket": os.path.exists("/var/run/docker.sock") or os.path.exists("/run/docker.sock"),
    }


def try_writing(folder):
    path = os.path.join(folder, ".w%d" % os.getpid())
    try:
        with open(path, "w"):
            pass
        os.unlink(path)
    except OSError:
        return False
    return True


def look_out(address):
    """What the agent's user sees, and whether it gets out."""
    status = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines() if ":\t" in line)
    tried = {}
    for name, family, kind, target in (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, (address, 80)),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, (address, 53)),
        ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80)),
        ("raw", socket.AF_INET, socket.SOCK_RAW, (address, 0)),
        ("packet", getattr(socket, "AF_PACKET", 17), socket.SOCK_RAW, None),
        ("vsock", getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM, (2, 1)),
    ):
        try:
            with socket.socket(family, kind) as sock:
                sock.settimeout(1)
                if target is not None:
                    sock.connect(target)
            tried[name] = "open"
        except OSError as error:
            tried[name] = errno.errorcode.get(error.errno or 0, str(error))
    wanted = ("Uid", "CapEff", "CapPrm", "NoNewPrivs", "Seccomp")
    return {
        "status": {name: status.get(name, "").strip() for name in wanted},
        "tried": tried,
        "root_writable": try_writing("/"),
        "home_writable": try_writing(os.getcwd()),
        "rlimits": {
            name: resource.getrlimit(getattr(resource, name))[0]
            for name in ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_AS")
        },
    }


Init(SETTINGS).serve()  # noqa: F821 - the bootstrap puts it there
