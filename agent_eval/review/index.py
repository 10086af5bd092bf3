"""The index of one run: where each event stands in its transcript, and what it says, in SQLite.

It lies in a cache outside the run's folder, can be thrown away at any time, and grows with the
transcript: `advance` reads on from where it came to. Text is never kept, only where it is: a page
reads the events that it shows from the transcript itself. While it reads, the chain is followed,
so that a reader learns whether what is on the screen is what was written.
"""

import hashlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import events_file, parse_line
from agent_eval.record.transcript import GENESIS
from agent_eval.record.verify import beginning_of
from agent_eval.review.rows import VERDICTS, family_of, number_of, recalled, remembered, text_of

FORMAT = 5
"""Raised when the tables change; an index of another form is made again."""

_KINDS = ", ".join(map(repr, VERDICTS))
VEILED = f"CREATE TEMP VIEW events AS SELECT * FROM main.events WHERE kind NOT IN ({_KINDS})"  # noqa: S608
"""A temporary view goes before the table of its name."""

BATCH = 500
"""Events between two commits: what a reader waits for at most while others are indexed."""

HELD_CHARACTERS = 8_000_000
"""Of texts, that wait to be written."""

LONGEST_BYTES = 32 * 1024 * 1024
"""A longer line is no event of ours: it is listed, can be downloaded, and is not read."""

TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, offset INTEGER, size INTEGER,
    kind TEXT, family TEXT, agent TEXT, elapsed_s REAL, row INTEGER);
CREATE INDEX IF NOT EXISTS by_row ON events (row);
CREATE INDEX IF NOT EXISTS by_family ON events (family);
CREATE INDEX IF NOT EXISTS by_agent ON events (agent);
CREATE INDEX IF NOT EXISTS by_kind ON events (kind);
CREATE INDEX IF NOT EXISTS tops ON events (seq) WHERE row = seq;
CREATE TABLE IF NOT EXISTS points (seq INTEGER, elapsed_s REAL, series TEXT, value REAL);
CREATE INDEX IF NOT EXISTS by_series ON points (series, seq);
CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5 (text, content='', columnsize=0);
"""


def cache_folder() -> Path:
    """Where indexes lie: the user's cache, or a folder of this process where that has no room."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "agent-eval" / "review"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="agent-eval-review-"))


class Index:
    """The index of a run, which may still be growing; several processes may share it."""

    def __init__(self, run: Path, cache: Path) -> None:
        self.run = run
        self._cache = cache
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._kept: sqlite3.Connection | None = None
        """Never asked: while one is open, the others come and go without taking the log away."""

    def close(self) -> None:
        """Let go of the file; whoever asks again opens it again."""
        with self._making:
            if self._kept is not None:
                self._kept.close()
                self._kept = None

    def advance(self, most: int = BATCH) -> int:
        """Take in so many more events, and say how many there were; 0: it is up to date."""
        with self._lock, self.opened() as db:
            db.execute("BEGIN IMMEDIATE")
            about = dict(db.execute("SELECT name, value FROM about"))
            if not _follows(self.run, about):
                for table in ("about", "events", "points"):
                    db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
                db.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
                about = {}
            taken = _Taking(self.run, about).take(db, most)
            db.commit()
            return taken

    @contextmanager
    def opened(self, *, veiled: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; what another one writes meanwhile does not show in it.

        Veiled, it is as if graders had said nothing while the run went on.
        """
        with closing(self._connected()) as db:
            if veiled:
                db.execute(VEILED)
            yield db

    def _connected(self) -> sqlite3.Connection:
        name = hashlib.sha256(os.fsencode(self.run.resolve())).hexdigest()[:32]
        file = self._cache / f"{name}-{FORMAT}.sqlite"
        with self._making:
            if self._kept is None:
                os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
                self._kept = sqlite3.connect(file, timeout=60, check_same_thread=False)
                self._kept.executescript(TABLES)
        db = sqlite3.connect(file, timeout=60, isolation_level=None)
        db.execute("PRAGMA synchronous = OFF")  # it can be made again
        return db


def _follows(run: Path, about: dict[str, Any]) -> bool:
    """Whether the transcript still is the one that was indexed, or that one grown."""
    if not about:
        return True
    with events_file(run).open("rb") as file:
        file.seek(about["last_offset"])
        last = file.read(min(about["offset"] - about["last_offset"], LONGEST_BYTES))
        file.seek(0)
        first = file.readline(LONGEST_BYTES)
    return [_digest(first), _digest(last)] == [about["first"], about["last"]]


class _Taking:
    """Takes events of a transcript into an index, from where it came to before."""

    def __init__(self, run: Path, about: dict[str, Any]) -> None:
        self._run = run
        self.seq: int = about.get("events", 0)
        self.offset: int = about.get("offset", 0)
        self._last_offset: int = about.get("last_offset", 0)
        self._first: str = about.get("first", "")
        self._last: str = about.get("last", "")
        self._head: str = about.get("head", GENESIS)
        self._fault: str = about.get("fault", "")
        self._usual = about.get("remembered")
        self.placing, self.counting = recalled(self._usual)
        self._events: list[tuple[Any, ...]] = []
        self._moved: list[tuple[int, int]] = []
        self._points: list[tuple[int, float, str, float]] = []
        self._texts: list[tuple[int, str]] = []
        self._held = 0

    def take(self, db: sqlite3.Connection, most: int) -> int:
        """Take so many events, and note how far that went."""
        before = self.seq
        with events_file(self._run).open("rb") as file:
            file.seek(self.offset)
            for line, size in _lines(file, most):
                self._one(line, size)
                if self._held > HELD_CHARACTERS:
                    self._write(db)
        if self.seq > before:
            self._write(db)
            about = {
                "events": self.seq,
                "offset": self.offset,
                "last_offset": self._last_offset,
                "first": self._first,
                "last": self._last,
                "head": self._head,
                "fault": self._fault,
                "remembered": remembered(self.placing, self.counting),
            }
            db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())
        return self.seq - before

    def _one(self, line: bytes, size: int) -> None:
        seq, digest = self.seq, _digest(line)
        event = self._event(line, size)
        self._head = digest
        row, others = self.placing.row_of(seq, event)
        kind, agent, elapsed_s = event["kind"], event["agent"], number_of(event.get("elapsed_s"))
        values = (seq, self.offset, size, _clean(kind), family_of(kind), _clean(agent), elapsed_s)
        self._events.append((*values, row))
        self._moved += [(row, other) for other in others]
        changes = self.counting.points(event)
        self._points += [(seq, elapsed_s, series, value) for series, value in changes]
        again = row != seq and kind == "message"  # what a model saw of an action, as in its end
        if not again and (text := text_of(event, self._run)):
            self._texts.append((seq, text))
            self._held += len(text)
        self._first = self._first if seq else digest
        self._last, self._last_offset = digest, self.offset
        self.seq, self.offset = seq + 1, self.offset + size

    def _write(self, db: sqlite3.Connection) -> None:
        """What was taken, table by table, which is several times as fast as event by event."""
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._events)
        db.executemany("UPDATE events SET row = ? WHERE seq = ?", self._moved)
        db.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", self._points)
        db.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", self._texts)
        for taken in (self._events, self._moved, self._points, self._texts):
            taken.clear()
        self._held = 0

    def _event(self, line: bytes, size: int) -> dict[str, Any]:
        """The event in a line; one that says what is wrong with the line where it holds none."""
        try:
            if size > LONGEST_BYTES:
                raise TranscriptBroken(f"line {self.seq + 1} is no event: it has {size:,} bytes")
            event = parse_line(line, self.seq)
        except TranscriptBroken as error:
            self._wrong(str(error))
            return {"kind": "?", "agent": "?", "broken": str(error)}
        if not self.seq:
            self._head = beginning_of(event)
        if event["prev"] != self._head or event["seq"] != self.seq:
            self._wrong(f"event {self.seq} does not follow from what stands before it")
        return event

    def _wrong(self, what: str) -> None:
        self._fault = self._fault or what


def _lines(file: BinaryIO, most: int) -> Iterator[tuple[bytes, int]]:
    """Complete lines, each with its size; of one that is too long, only the beginning."""
    for _ in range(most):
        line = file.readline(LONGEST_BYTES)
        size, part = len(line), line
        while len(part) == LONGEST_BYTES and not part.endswith(b"\n"):
            part = file.readline(LONGEST_BYTES)
            size += len(part)
        if not part.endswith(b"\n"):
            return
        yield line, size


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _clean(text: str) -> str:
    return text[:200].encode("utf-8", "replace").decode()
