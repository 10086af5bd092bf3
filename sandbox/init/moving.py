"""All that is writable here, out to the host and in from it, by a child of PID 1 as the user.

Comes with init.py and under its rules: standard library only, Python 3.8 or later. Whatever an
archive holds, it is laid out with the user's powers and no others. What cannot be moved keeps
nothing else back; how much that was is told by the status at the end.
"""

from __future__ import annotations

import os
import signal
import stat
import tarfile
from contextlib import contextmanager

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

AT_ONCE = 1 << 18
ENTRY_BYTES = 1024  # what an entry counts for beside its content
LEFT_MOST = 100  # the highest status: so many were left behind, or more
SAVE_S = 900  # longer than the host waits
KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def save(folders: list[str], limit: int) -> None:
    """Write all that is in some folders as an archive to standard output, up to a limit in bytes.

    Links, modes, times and empty folders are kept; sockets and devices are not.
    """
    signal.alarm(SAVE_S)
    left = 0
    known: dict[tuple[int, int], str] = {}
    form: Any = {"mode": "w|", "format": tarfile.PAX_FORMAT, "bufsize": AT_ONCE}
    form["copybufsize"] = AT_ONCE
    with os.fdopen(1, "wb", 0) as out, tarfile.open(fileobj=out, **form) as archive:
        for path in everything(folders):
            try:
                limit -= add(archive, path, known, limit)
                forget(archive)
            except OSError:
                left += 1
    finish(left)


def forget(archive: Any) -> None:
    """Let go of the entries so far, which `tarfile` would keep for a look at them all."""
    archive.members = []


def finish(left: int) -> None:
    if left:
        os._exit(min(left, LEFT_MOST))


def everything(folders: list[str]) -> Iterator[str]:
    """Yield some folders and every path below, each after the folder that it is in."""
    waiting = list(reversed(folders))
    while waiting:
        path = waiting.pop()
        yield path
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                with opened_up(path, 0o500):
                    names = os.listdir(path)
                waiting.extend(os.path.join(path, name) for name in sorted(names, reverse=True))
        except OSError:
            continue  # it is left out, and counted, by whoever looks at it


@contextmanager
def opened_up(path: str, needed: int) -> Iterator[None]:
    """Have what the user has closed to itself open for a moment."""
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    if mode & needed == needed or os.lstat(path).st_uid != os.getuid():
        yield
        return
    os.chmod(path, mode | needed)
    try:
        yield
    finally:
        os.chmod(path, mode)


def add(archive: Any, path: str, known: dict[tuple[int, int], str], limit: int) -> int:
    """Add what is at a path, and return how much it counts for."""
    state = os.lstat(path)
    entry = tarfile.TarInfo(path.lstrip("/"))
    kind = KINDS.get(stat.S_IFMT(state.st_mode))
    if kind is None or limit < ENTRY_BYTES:
        raise OSError("it cannot be moved")
    entry.type, entry.mode = kind, stat.S_IMODE(state.st_mode)
    # As text, since the number that `tarfile` would make of it is not exact.
    whole, part = divmod(max(state.st_mtime_ns, 0), 10**9)
    entry.pax_headers = {"mtime": f"{whole}.{part:09d}"}
    entry.uid, entry.gid = state.st_uid, state.st_gid
    number = (state.st_dev, state.st_ino)
    if kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink(path)
    elif kind != tarfile.DIRTYPE and number in known:
        entry.type, entry.linkname = tarfile.LNKTYPE, known[number]
    elif kind == tarfile.REGTYPE:
        add_content(archive, path, entry, limit - ENTRY_BYTES)
        known[number] = entry.name
        return ENTRY_BYTES + int(entry.size)
    archive.addfile(entry)
    known[number] = entry.name
    return ENTRY_BYTES


def add_content(archive: Any, path: str, entry: Any, limit: int) -> None:
    with opened_up(path, 0o400):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        entry.size = os.fstat(fd).st_size
        if entry.size > limit:
            raise OSError("there is no room for it")
        archive.addfile(entry, Padded(file))


class Padded:
    """A file that is never shorter than it was said to be, though somebody may cut it meanwhile."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        return bytes(self.file.read(size)).ljust(size, b"\0")


def lay_out(size: int) -> None:
    """Make of an archive of that size on standard input what it was made of, as the user may."""
    left = 0
    folders: list[Any] = []
    with os.fdopen(0, "rb") as file:
        with tarfile.open(fileobj=file, mode="r|", bufsize=AT_ONCE) as archive:
            for entry in archive:
                forget(archive)
                if entry.size > size:
                    raise tarfile.ReadError("a file larger than all of it")
                try:
                    make(archive, entry)
                    folders += [entry] if entry.isdir() else []
                except Exception:  # what is in an archive may be anything
                    left += 1
        for folder in reversed(folders):  # last, or it might be closed to what goes into it
            try:
                dress(folder)
            except Exception:
                left += 1
        while file.read(AT_ONCE):
            pass  # the host must not wait for somebody to take the rest
    finish(left)


def make(archive: Any, entry: Any) -> None:
    path = "/" + entry.name
    if entry.isdir():
        if not os.path.isdir(path):
            os.mkdir(path, 0o700)
    elif entry.issym():
        os.symlink(entry.linkname, path)
        os.utime(path, ns=changed_ns(entry), follow_symlinks=False)
    elif entry.islnk():
        os.link("/" + entry.linkname, path, follow_symlinks=False)
    elif entry.isfifo():
        os.mkfifo(path)
        dress(entry)
    elif entry.isreg():
        fill(path, archive.extractfile(entry))
        dress(entry)
    else:
        raise OSError("a device")


def fill(path: str, content: Any) -> None:
    """Write a file, whole or not at all."""
    # What is there already may be a link, or a pipe that nobody reads.
    how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(path, how, 0o600), "wb") as file:
        try:
            while data := content.read(AT_ONCE):
                file.write(data)
            file.flush()
        except Exception:
            os.unlink(path)
            raise


def dress(entry: Any) -> None:
    """Give it its mode and time; a folder that somebody else owns has its own."""
    path = "/" + entry.name
    if os.lstat(path).st_uid == os.getuid():
        os.chmod(path, entry.mode)
        os.utime(path, ns=changed_ns(entry))


def changed_ns(entry: Any) -> tuple[int, int]:
    """When it was changed, twice, in nanoseconds since 1970."""
    whole, _, part = entry.pax_headers["mtime"].partition(".")
    moment = int(whole) * 10**9 + int(part.ljust(9, "0"))
    return moment, moment
