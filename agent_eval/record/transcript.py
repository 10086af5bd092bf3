"""Writing a run: one hash-chained line an event, large things in files named by their hash.

The only writer of run folders. An event is handed to the operating system in one write before
`write` returns, so that it outlives the death of this process at any instant. For the case of a
power failure all of it is forced to disk at the first event after `SYNC_EVERY_S` seconds and at
the end. When a write fails the run must end, and nothing more is written after what may be torn:
nothing is done that is not on record. Secrets of the host are taken out here, at the last place
before the disk and the live view, whatever was done about them before.
"""

import base64
import errno
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.events.event import Event
from agent_eval.record.redact import NOTHING, Redactor

EVENTS, BLOBS, SUMMARY = "events.jsonl", "blobs", "run.json"
GENESIS = "0" * 64
SYNC_EVERY_S = 1.0
LEAST_FREE_BYTES = 16 * 1024 * 1024
"""No run is begun on a disk with less room."""

HELD_S = 0.5
"""How long a record in use is waited for: who only looks whether it is holds its lock, too."""

INLINE_BYTES = 4096
"""Text up to this size stands in the event itself; more goes to a blob."""


class Transcript:
    """A run folder open for writing, by one process at a time."""

    def __init__(
        self, folder: Path, fd: int, seq: int, head: str, redactor: Redactor = NOTHING
    ) -> None:
        self.folder = folder
        self.redactor = redactor
        """Takes secrets out of all that is written, and of all that is sent to a model."""
        self.head = head
        """SHA-256 of the last line written, its line end included."""
        self.events = seq
        """How many events there are; the next one has this number."""
        self.listener: Callable[[dict[str, Any]], None] | None = None
        """Called with each event after it is written: the live view."""
        self._fd = fd
        self._opened = time.monotonic()
        self._synced = self._opened
        self._unsynced: list[Path] = []
        self._broken = False

    @classmethod
    def create(cls, folder: Path, redactor: Redactor = NOTHING, head: str = GENESIS) -> Self:
        """Make a run folder, private to its owner; refuses one that is there already.

        `head` is the hash of what its first event follows, where that is an event of another run.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            folder.joinpath(BLOBS).mkdir(mode=0o700)
        except OSError as error:
            if folder.exists():
                raise OperatorError(f"{folder} is there already; choose another --runs") from error
            raise OperatorError(f"cannot make the run folder {folder}: {error.strerror}") from error
        return cls(folder, open_locked(folder / EVENTS), 0, head, redactor)

    def go_on(self, events: int, head: str, elapsed_s: float) -> None:
        """Write on after events that are there already; `elapsed_s` goes on from there, too."""
        self.events, self.head = events, head
        self._opened = time.monotonic() - elapsed_s

    def write(self, event: Event, agent: str = "0") -> int:
        """Append one event and return its number; raises `TranscriptBroken` if it cannot."""
        self.write_many([(event, agent)])
        return self.events - 1

    def write_many(self, events: Iterable[tuple[Event, str]]) -> int:
        """Append events, each with its agent, in one write; return how many bytes that took."""
        now = time.monotonic()
        moment = datetime.now(UTC).isoformat(timespec="microseconds")
        records, lines, head = [], [], self.head
        for seq, (event, agent) in enumerate(events, self.events):
            record = {
                "seq": seq,
                "time": moment,
                "elapsed_s": round(now - self._opened, 6),
                "agent": agent,
                "kind": event.kind,
                **self.redactor.value(event.fields()),
                "prev": head,
            }
            line = line_of(record)
            head = hashlib.sha256(line).hexdigest()
            records.append(record)
            lines.append(line)
        whole = b"".join(lines)
        self._append(whole)
        self.head = head
        self.events += len(records)
        if self.listener is not None:
            for record in records:
                self.listener(record)
        if now - self._synced > SYNC_EVERY_S:
            self.sync()
        return len(whole)

    def _append(self, line: bytes) -> None:
        if self._broken:
            raise TranscriptBroken(f"{self.folder / EVENTS} could not be written before")
        self._broken = True
        with self._explained(self.folder / EVENTS):
            written = os.write(self._fd, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._broken = False

    @contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TranscriptBroken(self._what_now(path, error)) from error

    def _what_now(self, path: Path, error: OSError) -> str:
        """What happened to the record, and what to type next."""
        if not self.folder.joinpath(EVENTS).exists():
            return (
                f"the run folder {self.folder} is gone: something removed it while the run went "
                "on. The run ends here; run it again, and leave its folder alone"
            )
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        first = "free some space" if full else "make it writable"
        return (
            f"cannot write {path}: {error.strerror}. The run ends here; what was written before "
            f"is intact (agent-eval verify --repair {self.folder} mends a torn last line). To run "
            f"it again, {first} or choose another --runs"
        )

    def content(self, data: bytes) -> dict[str, Any]:
        """Bytes in the form events hold them: text or base64 if small, otherwise a blob."""
        data = self.redactor.data(data)
        if len(data) > INLINE_BYTES:
            return {"bytes": len(data), "blob": self._blob(data)}
        try:
            return {"bytes": len(data), "text": data.decode()}
        except UnicodeDecodeError:
            return {"bytes": len(data), "base64": base64.b64encode(data).decode()}

    def blob(self, data: bytes) -> str:
        """Keep bytes in a file named by their SHA-256, and return it."""
        return self._blob(self.redactor.data(data))

    def _blob(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        path = self.folder / BLOBS / name
        if not path.exists():
            part = path.with_suffix(".part")
            with self._explained(path):
                write_private(part, data)
                part.rename(path)
            self._unsynced.append(path)
        return name

    def sync(self) -> None:
        """Force what was written to disk, blobs before the events that name them."""
        with self._explained(self.folder):
            for path in self._unsynced:
                _sync(path)
            if self._unsynced:
                _sync(self.folder / BLOBS)
            self._unsynced.clear()
            os.fdatasync(self._fd)
            if not os.fstat(self._fd).st_nlink:  # what is written now goes nowhere
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._synced = time.monotonic()

    def seal(self, summary: dict[str, Any], key: bytes | None = None) -> str:
        """Write `run.json` with the head hash, signed if a key is given; return the head hash."""
        self.sync()
        sealed = {**self.redactor.value(summary), "events": self.events, "head": self.head}
        if key is not None:
            sealed["signature"] = {"algorithm": "hmac-sha256", "value": signature(self.head, key)}
        text = json.dumps(sealed, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
        part = self.folder / (SUMMARY + ".part")
        with self._explained(self.folder / SUMMARY):
            write_private(part, text.encode())
            _sync(part)
            part.rename(self.folder / SUMMARY)
            _sync(self.folder)
        return self.head

    def close(self) -> None:
        """Give up the folder; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def refuse_full_disk(runs: Path) -> None:
    """Raise `OperatorError` where there is hardly room for a run folder in `runs`."""
    there = next(each for each in (runs, *runs.absolute().parents) if each.exists())
    free_bytes = shutil.disk_usage(there).free
    if free_bytes < LEAST_FREE_BYTES:
        raise OperatorError(
            f"the disk that holds {runs} has {free_bytes / 2**20:.1f} MiB left, and a run is not "
            f"begun with less than {LEAST_FREE_BYTES // 2**20}. Free some, or choose another --runs"
        )


def line_of(record: dict[str, Any]) -> bytes:
    """One event as its line: JSON in plain ASCII, so that any text survives any tool."""
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def signature(head: str, key: bytes) -> str:
    """HMAC-SHA256 of a head hash, as hexadecimal."""
    return hmac.new(key, head.encode(), hashlib.sha256).hexdigest()


def open_locked(path: Path) -> int:
    """Open a file for appending that no other process has so; the descriptor holds the lock."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TranscriptBroken(f"cannot write {path}: {error.strerror}") from error
    until = time.monotonic() + HELD_S
    while not _locked(fd, fcntl.LOCK_EX):
        if time.monotonic() > until:
            os.close(fd)
            raise OperatorError(f"{path} is being written by another process")
        time.sleep(0.01)
    return fd


def in_use(path: Path) -> bool:
    """Whether a process holds the lock of `open_locked` on a file, and so still writes it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _locked(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _locked(fd: int, kind: int) -> bool:
    """Take the lock of a file at once or not at all."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)


def _sync(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
