"""Which process of a sandbox is which program, also where a program was copied under another name.

Fed with the kernel record in order. What is told of a process without a fork on record, or after
facts were lost, is what was known of it last.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import basename, join, normpath
from typing import Any

COPIERS = frozenset({"cp", "mv", "ln", "install", "rsync"})
"""Programs whose last argument becomes what the arguments before it are."""
REDIRECTED = frozenset({"cat", "dd", "tee", "head", "tail", "base64", "gzip", "xz"})
"""Programs that write what they read into a file that they, or their shell, opened."""
SYSTEM = ("/bin/", "/usr/", "/sbin/", "/lib")


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs."""

    image: str = ""
    line: str = ""
    script: str = ""
    """The file of code that it was given as its first argument."""
    origin: str = ""
    """The program of the system that its file is a copy of."""


UNKNOWN = Program()


class Programs:
    """The processes of all sandboxes of a run."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], Program] = {}
        self._parents: dict[tuple[str, int], int] = {}
        self._origins: dict[tuple[str, str], str] = {}
        self._sources: dict[tuple[str, int], str] = {}
        """The program of the system that a process reads to write it elsewhere."""
        self._written: dict[tuple[str, int], str] = {}
        """What a process opened last for writing: a shell does that before it becomes `cat`."""

    def of(self, sandbox: str, pid: int) -> Program:
        """What a process runs."""
        return self._running.get((sandbox, pid), UNKNOWN)

    def parent_of(self, sandbox: str, pid: int) -> Program | None:
        """What its parent runs; None where that is not on record."""
        parent = self._parents.get((sandbox, pid))
        return None if parent is None else self.of(sandbox, parent)

    def forked(self, sandbox: str, pid: int, child: int) -> None:
        """A process made another, which runs the same program for now."""
        self._parents[sandbox, child] = pid
        self._written.pop((sandbox, child), None)
        if known := self._running.get((sandbox, pid)):
            self._running[sandbox, child] = known

    def started(self, event: dict[str, Any], argv: list[str]) -> Program:
        """A process became another program."""
        sandbox, pid = event["sandbox"], event["pid"]
        image = str(event.get("runs") or event.get("program") or "")
        script = argv[1] if len(argv) > 1 and argv[1].startswith("/") else ""
        if event.get("runs") and str(event.get("program") or "").startswith("/"):
            script = str(event["program"])  # a script, told by its own name
        origin = self._origins.get((sandbox, image), "")
        program = Program(image, " ".join(argv), script, origin)
        self._running[sandbox, pid] = program
        self._sources.pop((sandbox, pid), None)
        name = basename(origin or image)
        folder = str(event.get("cwd") or "/")
        if name in COPIERS and len(argv) > 2:
            self._copied(sandbox, folder, [each for each in argv[1:] if each[:1] != "-"])
        elif name in REDIRECTED:
            self._reads(sandbox, pid, folder, argv[1:])
        return program

    def wrote(self, sandbox: str, pid: int, path: str) -> None:
        """A process opened a file for writing."""
        self._written[sandbox, pid] = path
        if source := self._sources.get((sandbox, pid)):
            self._origins[sandbox, path] = source

    def _copied(self, sandbox: str, folder: str, paths: list[str]) -> None:
        *sources, to = [normpath(join(folder, each)) for each in paths] or [""]
        for source in sources:
            known = self._origin_of(sandbox, source)
            if known:
                self._origins[sandbox, to] = known
                self._origins[sandbox, join(to, PurePosixPath(source).name)] = known

    def _reads(self, sandbox: str, pid: int, folder: str, arguments: list[str]) -> None:
        for each in arguments:
            path = normpath(join(folder, each.removeprefix("if=")))
            if known := self._origin_of(sandbox, path):
                self._sources[sandbox, pid] = known
                if written := self._written.get((sandbox, pid)):
                    self._origins[sandbox, written] = known

    def _origin_of(self, sandbox: str, path: str) -> str:
        if path.startswith(SYSTEM):
            return path
        return self._origins.get((sandbox, path), "")
