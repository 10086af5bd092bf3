"""Files of JSON lines that many write at once: whatever was acknowledged stays.

Each record goes to the operating system in one write at the end of the file, under a lock, and is
forced to disk before it counts as written. A writer that dies in the middle leaves at most a torn
last line; the next one closes that line off first, so that it never takes another with it. Every
line has the SHA-256 of the one before, so that what is taken out or altered later shows.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError, TranscriptBroken

MOST_BYTES = 64 * 1024 * 1024
"""A file beyond this is none that people wrote."""

_DEPTH = 16
Record = dict[str, Any]


@dataclass
class Lines:
    """What a file holds."""

    records: list[Record] = field(default_factory=list)
    """Every line that is whole, in order."""
    torn: int = 0
    """Lines that are none: a writer died in the middle of each."""
    faults: list[str] = field(default_factory=list)
    """Lines that do not follow from the one before: something was changed or taken out."""


def append(file: Path, record: Record, opened: Callable[[], Record]) -> bool:
    """Write a record at the end, unless one with its `id` is there; whether it was written.

    `opened` makes the first line of a new file, whose `head` the chain starts from. Returns after
    it is on disk. Raises `OperatorError` where something else is in the file's place, and
    `TranscriptBroken` where the disk does not take it.
    """
    with _open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        data = _whole(fd, file)
        if _there(data, str(record["id"])):
            return False
        torn = b"" if data.endswith(b"\n") or not data else b"\n"
        before = (data + torn).split(b"\n")[-2] + b"\n" if data else b""
        out, prev = torn, hashlib.sha256(before).hexdigest()
        if not data:
            first = opened()
            line = _line(first, str(first["head"]))
            out, prev = line, hashlib.sha256(line).hexdigest()
        _write(fd, out + _line(record, prev), file)
        if not data:
            _sync_folder(file.parent)
        return True


def read(file: Path) -> Lines:
    """All that a file holds; nothing where there is none."""
    try:
        with _open(file, os.O_RDONLY) as fd:
            return lines_of(_whole(fd, file))
    except FileNotFoundError:
        return Lines()


def lines_of(data: bytes) -> Lines:
    """The records in a file's bytes, whatever they are."""
    found, prev = Lines(), None
    *whole, tail = data.split(b"\n")
    for number, line in enumerate(whole, 1):
        record = _record(line)
        if record is None:
            found.torn += 1
        else:
            expected = record.get("head") if prev is None else prev
            if record.get("prev") != expected:
                found.faults.append(f"line {number} does not follow from what stands before it")
            found.records.append(record)
        prev = hashlib.sha256(line + b"\n").hexdigest()
    found.torn += bool(tail)
    return found


def _there(data: bytes, name: str) -> bool:
    """Whether a whole line has that id; quotes within values are escaped."""
    sought = b'"id":%s' % _json(name)
    return any(sought in line and _record(line) is not None for line in data.split(b"\n")[:-1])


def _record(line: bytes) -> Record | None:
    try:
        value = untrusted_json(line, _DEPTH)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def _open(file: Path, flags: int) -> Iterator[int]:
    """A regular file of ours; never what a link leads to, for run folders come from anywhere."""
    try:
        fd = os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise OperatorError(f"{file.parent} is not there") from None
        raise
    except OSError as error:
        raise OperatorError(f"{file} cannot be opened: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OperatorError(f"{file} is no plain file; move it away")
        yield fd
    finally:
        os.close(fd)


def _whole(fd: int, file: Path) -> bytes:
    size = os.fstat(fd).st_size
    if size > MOST_BYTES:
        raise OperatorError(f"{file} has {size} bytes: nothing that people wrote; move it away")
    parts, at = [], 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _write(fd: int, data: bytes, file: Path) -> None:
    """All of it, on disk; what a full disk cut off is the next writer's to close off."""
    try:
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    except OSError as error:
        raise TranscriptBroken(
            f"{file} cannot be written ({error.strerror}): make room and say it again"
        ) from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _line(record: Record, prev: str) -> bytes:
    return _json(record | {"prev": prev}) + b"\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")
