"""Search all that can be read in here for words that would tell what this place is.

Reads one JSON object on standard input and prints one:
  in   names: small letters that may be nowhere; words: regular expressions for what only files of
       distribution packages and the kernel may hold, and stems that are counted there;
       tops: what is searched, processes aside; skip: paths that are not looked at
  out  found: [where, kind, what, at which byte]; counted: stems per kind where they may be;
       read: files, bytes, memory_bytes, processes, closed (may not be opened); left_out: paths that
       were read only in part

A file counts as a package's if dpkg lists it, if it is compiled from one that dpkg lists, or if
packages write it as they are installed (`RECORDS`). /proc and /sys without the processes are the
kernel's. Memory is searched for names only: every interpreter has the words in it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections import Counter
from io import FileIO

MOST_BYTES = 64 * 1024 * 1024
CHUNK = 1024 * 1024
OVERLAP = 100  # bytes of one piece that are seen again with the next
MOST_FOUND = 200
RECORDS = ("/var/lib/dpkg/", "/var/cache/debconf/", "/root/.bashrc")
INFO = "/var/lib/dpkg/info"
PROCESS = re.compile(r"/proc/(\d+|self|thread-self)(/|$)")
COMPILED = re.compile(r"(.*/)__pycache__/([^/]+)\.cpython-\d+\.pyc$")
OF_A_PROCESS = (
    "cmdline",
    "comm",
    "environ",
    "status",
    "cgroup",
    "mountinfo",
    "mounts",
    "attr/current",
)
ENDLESS = ("/proc/kmsg", "/proc/kcore", "/sys/kernel/debug", "/sys/kernel/tracing")


class Search:
    """What is looked for, and what was seen so far."""

    def __init__(self, order: dict[str, list[str]]) -> None:
        self.names = [name.encode() for name in order["names"]]
        self.words = re.compile("|".join(order["words"]).encode())
        self.stems = [stem.encode() for stem in order["stems"]]
        self.skip = {*order["skip"], *ENDLESS}
        self.packaged = listed_by_dpkg()
        self.found: list[list[object]] = []
        self.counted: dict[str, Counter[str]] = {}
        self.read: Counter[str] = Counter()
        self.left_out: list[str] = []

    def look_at(self, where: str, kind: str, data: bytes) -> None:
        """Note what some bytes hold that they may not, and count what they may."""
        data = data.lower()
        for name in self.names:
            if name in data:
                self.note(where, kind, data.index(name), name)
        if kind in ("package", "kernel"):
            counter = self.counted.setdefault(kind, Counter())
            for stem in self.stems:
                counter[stem.decode()] += data.count(stem)
        elif kind != "memory":
            for hit in self.words.finditer(data):
                self.note(where, kind, hit.start(), hit[0])

    def note(self, where: str, kind: str, at: int, what: bytes) -> None:
        """Keep a find, up to a number that is enough to see what is wrong."""
        if len(self.found) < MOST_FOUND:
            self.found.append([where, kind, what.decode(errors="backslashreplace"), at])

    def kind_of(self, path: str) -> str:
        """Whose a file is."""
        if path.startswith(("/proc/", "/sys/")):
            return "kernel"
        if path in self.packaged or path.startswith(RECORDS):
            return "package"
        compiled = COMPILED.match(path)
        if compiled and f"{compiled[1]}{compiled[2]}.py" in self.packaged:
            return "package"
        return "ours"

    def file(self, path: str) -> None:
        """Look at a file: its name, where it leads if it is a link, and what is in it."""
        kind = self.kind_of(path)
        self.look_at(f"name of {path}", kind, path.encode(errors="surrogateescape"))
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                self.look_at(f"link {path}", kind, os.fsencode(os.readlink(path)))
            elif stat.S_ISREG(mode):
                self.read["files"] += 1
                self.content(path, kind)
        except OSError:
            self.read["closed"] += 1

    def content(self, path: str, kind: str) -> None:
        """Look at what is in a plain file."""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            seen, last = 0, b""
            while seen < MOST_BYTES:
                data = os.read(fd, CHUNK)
                if not data:
                    return
                seen += len(data)
                self.read["bytes"] += len(data)
                self.look_at(path, kind, last + data)
                last = data[-OVERLAP:]
            self.left_out.append(path)
        finally:
            os.close(fd)

    def tree(self, top: str) -> None:
        """Look at every file below a folder, whatever is mounted there."""
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if self.wanted(os.path.join(folder, name))]
            for name in folders:
                path = os.path.join(folder, name)
                self.look_at(f"name of {path}", self.kind_of(path), os.fsencode(name))
                if os.path.islink(path):
                    self.file(path)
            for name in files:
                path = os.path.join(folder, name)
                if self.wanted(path):
                    self.file(path)

    def wanted(self, path: str) -> bool:
        """Whether a path is searched as a file."""
        return path not in self.skip and not PROCESS.match(path)

    def process(self, pid: int) -> None:
        """Look at what the kernel tells of a process, and at its memory if that can be read."""
        self.read["processes"] += 1
        for name in OF_A_PROCESS:
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    self.look_at(f"/proc/{pid}/{name}", "process", file.read(CHUNK))
            except OSError:
                self.read["closed"] += 1
        for link in ("exe", "cwd", "root", *[f"fd/{fd}" for fd in listing(f"/proc/{pid}/fd")]):
            try:
                target = os.readlink(f"/proc/{pid}/{link}")
            except OSError:
                continue
            self.look_at(f"/proc/{pid}/{link}", "process", os.fsencode(target))
        if pid != os.getpid():
            self.memory(pid)

    def memory(self, pid: int) -> None:
        """Look at what a process has in memory beside its files."""
        try:
            with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
                for line in maps:
                    words = line.split()
                    if "w" not in words[1]:
                        continue  # what is in a file is searched there
                    start, end = (int(part, 16) for part in words[0].split("-"))
                    self.region(pid, memory, start, min(end, start + MOST_BYTES))
        except OSError:
            self.read["closed"] += 1

    def region(self, pid: int, memory: FileIO, start: int, end: int) -> None:
        """Look at one stretch of a process's memory."""
        for at in range(start, end, CHUNK):
            try:
                memory.seek(at)
                data = memory.read(min(CHUNK, end - at))
            except (OSError, OverflowError):
                continue
            self.read["memory_bytes"] += len(data)
            self.look_at(f"memory of {pid} at {at:x}", "memory", data)

    def told(self) -> None:
        """Look at what system calls tell rather than files."""
        self.look_at("uname", "process", " ".join(os.uname()).encode())
        for name, value in os.environ.items():
            self.look_at("environment", "process", f"{name}={value}".encode())


def listing(folder: str) -> list[str]:
    """What is in a folder; nothing if that cannot be seen."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def listed_by_dpkg() -> set[str]:
    """Every file of a distribution package, by its real path."""
    merged = {
        f"/{name}": os.path.realpath(f"/{name}")
        for name in os.listdir("/")
        if os.path.islink(f"/{name}")
    }
    paths = set()
    for name in listing(INFO):
        if name.endswith((".list", ".conffiles")):
            with open(f"{INFO}/{name}", errors="surrogateescape") as file:
                for line in file.read().splitlines():
                    top, slash, rest = line[1:].partition("/")
                    paths.add(merged.get(f"/{top}", f"/{top}") + slash + rest)
    return paths


def main() -> None:
    """Search as ordered, and report."""
    order = json.load(sys.stdin)
    search = Search(order)
    search.told()
    for top in order["tops"]:
        search.tree(top)
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        search.process(pid)
    print(
        json.dumps(
            {
                "found": search.found,
                "counted": search.counted,
                "read": search.read,
                "left_out": search.left_out,
            }
        )
    )


if __name__ == "__main__":
    main()
