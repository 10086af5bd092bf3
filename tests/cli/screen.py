"""A terminal that a test sits at: it reads the screen and presses keys."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WIDTH, HEIGHT = 80, 50

_AS_CONTROLLING = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes the terminal the one whose Ctrl-C reaches the program, and becomes the program."""


class Screen:
    """What a program wrote to its terminal so far."""

    def __init__(self, fd: int, process: "subprocess.Popen[bytes]") -> None:
        self._fd, self.process = fd, process
        self.shown = ""
        self._read_to = 0

    def wait_for(self, pattern: str, limit_s: float = 60) -> "re.Match[str]":
        """Wait until something new on the screen matches; what comes before it counts as read."""
        until = time.monotonic() + limit_s
        while True:
            found = re.compile(pattern, re.DOTALL).search(self.shown, self._read_to)
            if found:
                self._read_to = found.end()
                return found
            assert time.monotonic() < until, f"no {pattern!r} in {self.shown[self._read_to :]!r}"
            if not self._more(0.2) and self.process.poll() is not None and not self._more(0.2):
                raise AssertionError(f"it ended without {pattern!r}: {self.shown!r}")

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._fd, keys.encode())

    def end(self, limit_s: float = 60) -> int:
        """Wait for the program's end and return its exit status."""
        until = time.monotonic() + limit_s
        while self.process.poll() is None:
            assert time.monotonic() < until, self.shown
            self._more(0.1)
        while self._more(0.1):
            pass
        return self.process.returncode

    def _more(self, within_s: float) -> bool:
        if not select.select([self._fd], [], [], within_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # nobody has the other end open any more
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


@contextmanager
def at_terminal(command: Sequence[str], folder: Path, **environment: str) -> Iterator[Screen]:
    """Run a Python program (`-m ...` or a file) at a terminal without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("VISUAL", "EDITOR")}
    try:
        with subprocess.Popen(
            [sys.executable, "-c", _AS_CONTROLLING, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=folder,
            env=clean | {"TERM": "dumb", "PYTHONPATH": str(Path.cwd())} | environment,
        ) as process:
            os.close(theirs)
            try:
                yield Screen(ours, process)
            finally:
                process.kill()
    finally:
        os.close(ours)
