"""How what PID 1 has forked becomes a process of the user's, with the user's powers and no more.

Comes with init.py and under its rules: standard library only, Python 3.8 or later. It runs between
a fork and what the child is for; what is left open or allowed here, the user has.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

STATUS_FD, CODE_FD = 199, 198
RUN_DIR = "/run/sessions"
START = (
    "import os\nb=b''\nwhile len(b)<%d:b+=os.read(%d,%d-len(b))\n"
    "exec(compile(b,'<stdin>','exec'))\n"
)


class User:
    """Who a child is to be."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.uid, self.gid = settings["uid"], settings["gid"]
        self.env = settings["env"]
        self.home = settings["home"]
        self.limits = settings["rlimits"]
        self.script_bytes = len(settings["python_session"].encode())

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

    def become_bash(self) -> NoReturn:
        words = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
        os.execve(self.found("bash"), words, self.env)

    def become_python(self) -> NoReturn:
        """Have it find its program on its standard input: as an argument everybody would see it."""
        size = self.script_bytes
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


def open_fds() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]
