"""Does what an honest agent does in a sandbox; the innocent control beside syscalls.py.

The tests run it inside a container under the seccomp profile (sandbox/seccomp.json), with
`python3 -c`: standard library only, no argument, no file. Like the sandbox's own PID 1 it starts as
root and runs each check as an unprivileged user, in a process group of its own. It prints one JSON
line a check: {"check": ..., "result": ...}, where the result is "ok", "absent" if the program is
not in the image, or what went wrong. A check never passes because a call was refused: it looks at
what the call was for.
"""

import array
import asyncio
import concurrent.futures
import ctypes
import fcntl
import http.server
import json
import mmap
import multiprocessing
import multiprocessing.shared_memory
import os
import platform
import pty
import resource
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import termios
import threading
import time
import traceback
from typing import Callable, List, Tuple

USER = 65534
TIME_LIMIT_S = 10
COLUMN = 0 if platform.machine() == "x86_64" else 1
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
# Calls that Python has no function for: number on x86_64, on aarch64.
NUMBERS = {
    "capget": (125, 90),
    "capset": (126, 91),
    "faccessat2": (439, 439),
    "fchmodat2": (452, 452),
    "futex_waitv": (449, 449),
    "landlock_create_ruleset": (444, 444),
    "membarrier": (324, 283),
    "mknodat": (259, 33),
    "of a later kernel": (1000, 1000),
    "openat2": (437, 437),
    "personality": (135, 92),
    "rseq": (334, 293),
    "seccomp": (317, 277),
    "set_robust_list": (273, 99),
    "statx": (332, 291),
}
NOT_HERE = 38  # ENOSYS, which only an older kernel may say
AT_FDCWD = -100


def call(name: str, *arguments: int) -> Tuple[int, int]:
    """Make a raw system call; return its result and errno."""
    registers = [ctypes.c_ulong(value & (1 << 64) - 1) for value in arguments]
    result: int = LIBC.syscall(ctypes.c_long(NUMBERS[name][COLUMN]), *registers)
    return result, ctypes.get_errno() if result < 0 else 0


def done(result: int) -> int:
    """Turn the C library's -1 into an exception."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def run(*command: str, feed: str = "") -> str:
    """Run a program that has to succeed and return what it printed."""
    ran = subprocess.run(command, input=feed, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (command, ran.returncode, ran.stdout + ran.stderr)
    return ran.stdout


class AbsentError(Exception):
    """The program that a check is about is not in this image."""


def need(program: str) -> None:
    if shutil.which(program) is None:
        raise AbsentError


# --- programs -----------------------------------------------------------------------------------


def bash() -> None:
    """Pipes, job control, process substitution, here documents, traps."""
    script = """set -em; trap 'echo bye' EXIT; sleep 0.01 & wait %1
    cat <(echo one) - <<< two; (exit 3) || echo $?; ulimit -n 64; mkfifo p; echo three > p & cat p
    kill -0 $$; umask 077; echo four > f; stat -c %a f"""
    assert run("bash", "-c", script).split() == "one two 3 three 600 bye".split()


def file_tools() -> None:
    """Copy, archive, synchronise and list, with attributes, links, pipes and clones."""
    script = """set -e; mkdir -p a/b; echo x > a/b/f; ln a/b/f a/h; ln -s b a/s; mkfifo a/p
    cp -a a c; cp --reflink=auto a/b/f g; tar cf t.tar a; mkdir u; tar xf t.tar -C u
    diff -r a/b u/a/b; touch -d 2001-01-01 g; chmod 640 g; truncate -s 9 g
    dd if=g of=h conv=fsync status=none; sync h; find . -type f | sort | xargs sha256sum | wc -l
    du -s a >/dev/null; df . >/dev/null"""
    assert run("bash", "-c", script).strip() == "9"
    if shutil.which("rsync"):
        run("rsync", "-aHX", "a/", "r")


def process_tools() -> None:
    """Look at processes and change how they are scheduled."""
    for line in ("ps aux", "nice -n 5 true", "timeout 5 true", "nproc", "setsid -w true", "uptime",
                 "ionice -c 3 true", "taskset -c 0 true", "prlimit --nofile", "free",
                 "chrt --batch 0 true"):  # fmt: skip
        if shutil.which(line.split()[0]):
            run(*line.split())


def terminal_tools() -> None:
    """Run programs in pseudo-terminals, as tmux, script and editors do."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "-c", "test -t 0 && stty size && stty raw && tput cols"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
    _, status = os.waitpid(pid, 0)
    said = os.read(terminal, 1000)
    assert status == 0, said
    if shutil.which("tmux"):
        run("tmux", "-S", "tm", "-f", "/dev/null", "new-session", "-d", "bash -c 'tty > told'")
        while not (os.path.exists("told") and os.path.getsize("told")):
            time.sleep(0.01)
        assert open("told").read().startswith("/dev/pts/")


def git() -> None:
    need("git")
    run("git", "init", "-q", "r")
    open("r/f", "w").write("x\n" * 1000)
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    run("git", "-C", "r", "add", "f")
    run("git", *who, "-C", "r", "commit", "-qm", "one")
    run("git", "clone", "-q", "file://" + os.path.abspath("r"), "c")
    run("git", "-C", "c", "gc", "-q")
    assert "one" in run("git", "-C", "c", "log", "--oneline")


def curl() -> None:
    need("curl")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    open("page", "w").write("page")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)  # the server logs there
    assert run("curl", "-sS", f"http://localhost:{server.server_port}/page") == "page"


def ssh() -> None:
    """Make a key, and get as far as speaking to a server."""
    need("ssh")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key")
    server = socket.create_server(("127.0.0.1", 0))
    client = subprocess.Popen(
        ["ssh", "-p", str(server.getsockname()[1]), "-o", "BatchMode=yes", "127.0.0.1"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    connection, _ = server.accept()
    connection.sendall(b"SSH-2.0-ordinary\r\n")
    assert connection.recv(100).startswith(b"SSH-2.0-OpenSSH")
    connection.close()
    client.communicate()


def gcc() -> None:
    need("gcc")
    run("gcc", "-x", "c", "-o", "p", "-", feed="int main(void) { return 0; }")
    run("./p")


def packages() -> None:
    """Read, which is what apt and dpkg can do where the system is read-only."""
    need("dpkg-query")
    assert "bash" in run("dpkg-query", "-W", "-f", "${Package}\n")
    run("apt-config", "dump")
    run("apt-cache", "-o", "Dir::Cache=" + os.getcwd(), "policy")


def network_tools() -> None:
    """Interfaces, names and sockets, as ip, ss, getaddrinfo and node ask for them."""
    assert socket.if_nameindex()[0][1] == "lo"
    assert socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    netlink.close()
    interface = fcntl.ioctl(socket.socket(), 0x8913, struct.pack("16s16x", b"lo"))  # SIOCGIFFLAGS
    assert struct.unpack_from("H", interface, 16)[0] & 1, "lo is not up"
    if shutil.which("ip"):
        assert "127.0.0.1" in run("ip", "address")
        listening = socket.create_server(("127.0.0.1", 0))
        assert str(listening.getsockname()[1]) in run("ss", "-tln")


# --- Python -------------------------------------------------------------------------------------


def threads() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda n: n * n, range(100))) == 328350


def subprocesses() -> None:
    assert run("sh", "-c", "cat; echo $0", feed="in ") == "in sh\n"
    assert os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0
    child = subprocess.Popen(["sleep", "9"], start_new_session=True)
    os.killpg(child.pid, signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM


def square(number: int) -> int:
    return number * number


def processes() -> None:
    """Use a pool, locks, and memory shared between processes."""
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    with context.Lock():
        pass
    block = multiprocessing.shared_memory.SharedMemory(create=True, size=4096)
    assert block.buf is not None
    block.buf[0] = 7
    block.close()
    block.unlink()


async def echo() -> None:
    """Run a server and a client on each sort of socket, and a subprocess."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    inet = await asyncio.start_server(serve, "127.0.0.1", 0)
    await asyncio.start_unix_server(serve, "unix")
    port = inet.sockets[0].getsockname()[1]
    to_inet, to_unix = (
        asyncio.open_connection("127.0.0.1", port),
        asyncio.open_unix_connection("unix"),
    )
    for opening in (to_inet, to_unix):
        reader, writer = await opening
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
    child = await asyncio.create_subprocess_exec("echo", "x", stdout=asyncio.subprocess.PIPE)
    assert (await child.communicate())[0] == b"x\n"


def coroutines() -> None:
    asyncio.run(asyncio.wait_for(echo(), 5))


def datagrams() -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
    receiver.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sender.sendto(b"x", receiver.getsockname())
    assert receiver.recv(9) == b"x"
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(here, [b"x"], [0])
    assert len(socket.recv_fds(there, 1, 1)[1]) == 1
    socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP).close()


def foreign_functions() -> None:
    values = (ctypes.c_int * 3)(3, 1, 2)
    place = ctypes.POINTER(ctypes.c_int)
    order = ctypes.CFUNCTYPE(ctypes.c_int, place, place)
    LIBC.qsort(values, 3, 4, order(lambda a, b: a[0] - b[0]))
    assert list(values) == [1, 2, 3]


def database() -> None:
    base = sqlite3.connect("base")
    assert base.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    with base:
        base.execute("create table t (a)")
        base.executemany("insert into t values (?)", [(n,) for n in range(100)])
    assert base.execute("select sum(a) from t").fetchone() == (4950,)


# --- calls --------------------------------------------------------------------------------------


def files() -> None:
    """Copy inside the kernel, lock, read at a place, allocate, name."""
    source, target = os.open("s", os.O_RDWR | os.O_CREAT), os.open("t", os.O_RDWR | os.O_CREAT)
    assert os.pwrite(source, b"x" * 100, 0) == 100
    assert os.sendfile(target, source, 0, 100) == 100
    assert os.copy_file_range(source, target, 100, 0, 100) == 100
    assert LIBC.splice(source, None, os.pipe2(os.O_CLOEXEC)[1], None, 50, 0) == 50
    os.posix_fallocate(target, 0, 4096)
    os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
    fcntl.flock(source, fcntl.LOCK_EX)
    fcntl.lockf(target, fcntl.LOCK_EX)
    os.fsync(target)
    assert os.preadv(target, [bytearray(10)], 0) == 10
    os.utime("s", ns=(1, 1))
    os.mkfifo("fifo")
    os.link("s", "l")
    os.rename("l", "m")
    assert os.listxattr("s") == []
    assert os.statvfs(".").f_bsize


def memory() -> None:
    """Grow, advise, lock, share; a file without a name that can be run."""
    area = mmap.mmap(-1, 8 * 4096)
    area.resize(64 * 4096)  # mremap
    area.madvise(mmap.MADV_DONTNEED)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    done(LIBC.mlock(ctypes.c_void_p(address), 4096))
    done(LIBC.munlock(ctypes.c_void_p(address), 4096))
    executable = os.memfd_create("true", os.MFD_CLOEXEC)
    os.write(executable, open("/bin/true", "rb").read())
    assert os.spawnv(os.P_WAIT, f"/proc/self/fd/{executable}", ["true"]) == 0


def events() -> None:
    """Make inotify, epoll, timerfd, signalfd and eventfd fire."""
    epoll = select.epoll()
    watch = done(LIBC.inotify_init1(0))
    done(LIBC.inotify_add_watch(watch, b".", 0x100))
    timer = done(LIBC.timerfd_create(time.CLOCK_MONOTONIC, 0))
    done(LIBC.timerfd_settime(timer, 0, struct.pack("4q", 0, 0, 0, 1), None))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signals = done(LIBC.signalfd(-1, struct.pack("Q16x", 1 << signal.SIGUSR1 - 1) + bytes(104), 0))
    counter = done(LIBC.eventfd(1, 0))
    wanted = {watch, timer, signals, counter}
    for descriptor in wanted:
        epoll.register(descriptor, select.EPOLLIN)
    open("new", "w").close()
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)
    assert {descriptor for descriptor, _ in epoll.poll(5)} == wanted


def limits() -> None:
    """Set limits, scheduling and priority; get randomness."""
    resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, (64, 64))
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.nice(1)
    assert len(os.getrandom(16)) == 16


def waiting() -> None:
    """Open a process descriptor, send a signal through it, wait for it."""
    child = subprocess.Popen(["sleep", "9"])
    descriptor = os.pidfd_open(child.pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    ended = os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
    assert ended is not None
    assert ended.si_status == signal.SIGKILL


def newer_files() -> None:
    """Call faccessat2, openat2, statx, fchmodat2, mknodat and close_range directly."""
    path = ctypes.addressof(NAME)
    how = ctypes.create_string_buffer(24)
    room = ctypes.create_string_buffer(256)
    open("name", "w").close()
    assert call("faccessat2", AT_FDCWD, path, os.R_OK, 0) == (0, 0)
    assert call("openat2", AT_FDCWD, path, ctypes.addressof(how), 24)[0] > 2
    assert call("statx", AT_FDCWD, path, 0, 0x7FF, ctypes.addressof(room)) == (0, 0)
    assert call("fchmodat2", AT_FDCWD, path, 0o600, 0)[1] in (0, NOT_HERE)
    assert call("mknodat", AT_FDCWD, ctypes.addressof(PIPE), 0o10600, 0) == (0, 0)
    done(LIBC.close_range(200, 300, 0))


def newer_waits() -> None:
    """Call what the C library sets up for each thread directly, and the newer futex."""
    head = ctypes.create_string_buffer(24)
    assert call("set_robust_list", ctypes.addressof(head), 24) == (0, 0)
    assert call("membarrier", 0, 0, 0)[0] >= 0
    assert call("rseq", 0, 0, 0, 0)[1] in (22, 16)  # EINVAL or EBUSY: it is there and in use
    assert call("futex_waitv", 0, 0, 0, 0, 0)[1] in (22, NOT_HERE)
    assert call("of a later kernel") == (-1, NOT_HERE)  # so that a C library does without it


def powers() -> None:
    """Read one's capabilities and set them to none; stay oneself."""
    head = ctypes.create_string_buffer(struct.pack("II", 0x20080522, 0), 8)
    data, none = ctypes.create_string_buffer(24), ctypes.create_string_buffer(24)
    assert call("capget", ctypes.addressof(head), ctypes.addressof(data)) == (0, 0)
    assert call("capset", ctypes.addressof(head), ctypes.addressof(none)) == (0, 0)
    assert call("personality", 0xFFFFFFFF)[0] >= 0
    done(LIBC.prctl(15, b"renamed", 0, 0, 0))
    done(LIBC.prctl(36, 1, 0, 0, 0))  # become the one who reaps orphans
    assert open("/proc/self/comm").read() == "renamed\n"


def own_filter() -> None:
    """Shut oneself in: a filter that makes `sync` fail takes hold."""
    number = 162 if COLUMN == 0 else 81
    refuse = 0x00050000 | 13
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, refuse), (6, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    where = ctypes.create_string_buffer(struct.pack("H6xQ", len(code), ctypes.addressof(program)))
    assert call("seccomp", 1, 0, ctypes.addressof(where)) == (0, 0)
    assert LIBC.syscall(ctypes.c_long(number)) == -1
    assert ctypes.get_errno() == 13
    assert call("landlock_create_ruleset", 0, 0, 1)[1] in (0, NOT_HERE, 95)


def controls() -> None:
    """Make the ioctls that programs make of pipes and files."""
    reader, writer = os.pipe()
    os.write(writer, b"four")
    waiting_bytes = array.array("i", [0])
    fcntl.ioctl(reader, termios.FIONREAD, waiting_bytes)
    assert waiting_bytes[0] == 4
    fcntl.ioctl(reader, termios.FIONBIO, array.array("i", [1]))
    assert not os.get_blocking(reader)
    fcntl.ioctl(reader, termios.FIOCLEX)
    assert not os.isatty(reader)
    fcntl.ioctl(reader, termios.FIONCLEX)
    assert os.get_inheritable(reader)


NAME = ctypes.create_string_buffer(b"name")
PIPE = ctypes.create_string_buffer(b"pipe")
Check = Callable[[], None]
CHECKS: List[Check] = [
    bash, file_tools, process_tools, terminal_tools, git, curl, ssh, gcc, packages, network_tools,
    threads, subprocesses, processes, coroutines, datagrams, foreign_functions, database,
    files, memory, events, limits, waiting, newer_files, newer_waits, powers, own_filter, controls,
]  # fmt: skip


def become_user() -> None:
    """Do what PID 1 does between fork and exec, and find that there is no way back."""
    os.setsid()
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    assert os.getresuid() == (USER, USER, USER)
    folder = tempfile.mkdtemp()
    os.environ.update(HOME=folder, SHELL="/bin/bash", TERM="xterm", GIT_CONFIG_NOSYSTEM="1")
    os.chdir(folder)


def result_of(check: Check) -> str:
    """Run one check as the user, and whatever comes of it, leave none of its processes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "ok"
        try:
            become_user()
            signal.alarm(TIME_LIMIT_S)
            check()
        except AbsentError:
            said = "absent"
        except BaseException:
            said = traceback.format_exc()[-600:]
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    said = os.read(reader, 1000).decode() if not os.WIFSIGNALED(status) else ""
    os.close(reader)
    return said or signal.Signals(os.WTERMSIG(status)).name


def supervise() -> None:
    """PID 1 ends a process that has become someone else's."""
    child = os.fork()
    if child == 0:
        become_user()
        signal.pause()
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def main() -> None:
    supervise()
    print(json.dumps({"check": "supervise", "result": "ok"}), flush=True)
    for check in CHECKS:
        print(json.dumps({"check": check.__name__, "result": result_of(check)}), flush=True)


if __name__ == "__main__":
    main()
