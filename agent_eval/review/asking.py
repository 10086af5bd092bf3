"""Questions to the index of a run. Every answer is bounded, whatever the transcript holds."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import events_file, parse_line
from agent_eval.review.index import LONGEST_BYTES
from agent_eval.review.rows import FAMILIES
from agent_eval.review.veil import hidden_in, names_in, pattern_of

AT_ONCE = 100
"""Rows of a page at most; it has fewer where they are long."""


@dataclass(frozen=True)
class Place:
    """An event, as the index has it."""

    seq: int
    offset: int
    size: int
    kind: str
    family: str
    agent: str
    elapsed_s: float
    row: int


@dataclass(frozen=True)
class Wish:
    """What a reader wants to see of a run."""

    family: str = ""
    agent: str = ""
    under: int | None = None
    """All that belongs to the row of this event."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wish":
        """From the query of an address; what is not known is left out."""
        family, under = query.get("family", ""), query.get("under", "")
        return cls(
            family if family in FAMILIES else "",
            query.get("agent", "")[:200],
            number(under, -1) if under else None,
        )

    @property
    def flat(self) -> bool:
        """Whether each event is a row of its own."""
        return bool(self.family or self.under is not None)

    def query(self) -> dict[str, str]:
        """The same for an address."""
        under = "" if self.under is None else str(self.under)
        named = {"family": self.family, "agent": self.agent, "under": under}
        return {name: value for name, value in named.items() if value}


def number(text: str | None, otherwise: int) -> int:
    """A number from an address."""
    return (
        int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else otherwise
    )


def about(db: sqlite3.Connection) -> dict[str, Any]:
    """How far the index came, and what was wrong on the way."""
    known = {"events": 0, "offset": 0, "fault": "", "head": ""}
    return known | dict(db.execute("SELECT name, value FROM about WHERE name != 'remembered'"))


def come_to(db: sqlite3.Connection) -> tuple[int, int]:
    """The first event that the index has not, and where its line stands."""
    known = about(db)
    return known["events"], known["offset"]


def listed(db: sqlite3.Connection, wish: Wish, first: int, most: int = AT_ONCE) -> list[Place]:
    """Rows from an event on, in order."""
    where, values = _where(wish)
    return _places(db, f"{where} AND seq >= ? ORDER BY seq LIMIT ?", *values, first, most)


def before(db: sqlite3.Connection, wish: Wish, first: int, most: int) -> int:
    """The event with which so many rows before another one begin."""
    where, values = _where(wish)
    ask = f"SELECT seq FROM events WHERE {where} AND seq < ? ORDER BY seq DESC LIMIT ?"  # noqa: S608
    return min((seq for (seq,) in db.execute(ask, (*values, first, most))), default=0)


def _where(wish: Wish) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    if wish.under is not None:
        parts, values = ["row = (SELECT row FROM events WHERE seq = ?)"], [wish.under]
    elif not wish.family:
        parts = ["row = seq"]
    for name, value in (("family", wish.family), ("agent", wish.agent)):
        if value:
            parts.append(f"{name} = ?")
            values.append(value)
    return " AND ".join(parts), values


def place(db: sqlite3.Connection, seq: int) -> Place | None:
    """One event."""
    return next(iter(_places(db, "seq = ?", seq)), None)


def within(db: sqlite3.Connection, row: int, most: int) -> list[Place]:
    """What belongs to a row beside the event that gives it its place."""
    return _places(db, "row = ? AND seq != row ORDER BY seq LIMIT ?", row, most)


def end_of(db: sqlite3.Connection, row: int) -> Place | None:
    """The end of an action."""
    found = _places(db, "row = ? AND kind = 'action.ended' ORDER BY seq LIMIT 1", row)
    return next(iter(found), None)


def counted(db: sqlite3.Connection, row: int) -> int:
    """How many events belong to a row."""
    return int(db.execute("SELECT count(*) FROM events WHERE row = ?", (row,)).fetchone()[0])


def changed(db: sqlite3.Connection, wish: Wish, after: int, most: int) -> list[Place]:
    """Rows to which something was added after an event, in order."""
    if wish.flat:
        return listed(db, wish, after + 1, most)
    ask = "seq IN (SELECT row FROM events WHERE seq > ? ORDER BY seq LIMIT ?)"
    found = _places(db, f"{ask} ORDER BY seq", after, most)
    return [each for each in found if wish.agent in ("", each.agent)]


def moved(db: sqlite3.Connection, after: int, most: int) -> list[int]:
    """Events that were rows, and belong to one that came after an event."""
    ask = "SELECT seq FROM events WHERE row > ? AND seq <= ? ORDER BY seq DESC LIMIT ?"
    return [seq for (seq,) in db.execute(ask, (after, after, most))]


def reached(db: sqlite3.Connection, wish: Wish, after: int, most: int, last: int) -> int:
    """The last event that `changed` has looked at."""
    if wish.flat:
        found = listed(db, wish, after + 1, most)
        return found[-1].seq if len(found) == most else last
    ask = "SELECT max(seq) FROM (SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT ?)"
    (seq,) = db.execute(ask, (after, most)).fetchone()
    return after if seq is None else int(seq)


def of_kinds(db: sqlite3.Connection, *kinds: str, most: int = 2000) -> list[Place]:
    """Events of some kinds, which are of one family."""
    marks = ", ".join("?" * len(kinds))
    return _places(db, f"kind IN ({marks}) ORDER BY seq LIMIT ?", *kinds, most)


def agents(db: sqlite3.Connection) -> list[str]:
    """Who acts in a run."""
    ask = "SELECT min(agent) FROM events WHERE agent > ?"  # a step for each, whatever they did
    found: list[str] = []
    while len(found) < 500:
        (agent,) = db.execute(ask, (found[-1] if found else "",)).fetchone()
        if agent is None:
            break
        found.append(agent)
    return found


def rows_of(db: sqlite3.Connection, seqs: list[int]) -> dict[int, int]:
    """The row of each event."""
    found = (place(db, seq) for seq in seqs)
    return {each.seq: each.row for each in found if each is not None}


def search(db: sqlite3.Connection, words: str, after: int, most: int) -> tuple[list[Place], int]:
    """Events that have all these words, from one on, and how many there are in all."""
    match = matching(words)
    if not match:
        return [], 0
    ask = (
        "seq IN (SELECT rowid FROM texts WHERE texts MATCH ? AND rowid > ? ORDER BY rowid LIMIT ?)"
    )
    found = _places(db, f"{ask} ORDER BY seq", match, after, most)
    count = "SELECT count(*) FROM texts WHERE texts MATCH ?"
    return found, int(db.execute(count, (match,)).fetchone()[0])


def matching(words: str) -> str:
    """What is looked for, for the index: words in quotes stay together, the last may go on."""
    told = [f'"{part}"' for part in parts_of(words)]
    return " AND ".join(part + ("*" if not words.rstrip().endswith('"') else "") for part in told)


def parts_of(words: str) -> list[str]:
    """The words that somebody looks for; those in quotes are one."""
    parts = re.findall(r'"[^"]*"|[^\s"]+', words[:500])
    told = [each.strip().strip('"').replace("\x00", " ").strip() for each in parts]
    return [each for each in told if any(char.isalnum() for char in each)]


class Source:
    """The transcript of a run, open for reading events where the index says they are."""

    def __init__(self, run: Path, *, veiled: bool = False) -> None:
        """Veiled, the name of its model is taken out of every event."""
        self.run = run
        self._names = pattern_of(names_in(run)) if veiled else None
        self._file = events_file(run).open("rb")

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def line(self, at: Place) -> bytes:
        """The bytes of an event; of one that is no event for its length, the first."""
        self._file.seek(at.offset)
        return self._file.read(min(at.size, LONGEST_BYTES))

    def event(self, at: Place) -> dict[str, Any]:
        """An event; where its line holds none, one that says so."""
        try:
            event = parse_line(self.line(at), at.seq) | {"seq": at.seq}
            return event if self._names is None else hidden_in(event, self._names)
        except TranscriptBroken as error:
            broken = {"error": "TranscriptBroken", "message": str(error), "blame": "record"}
            return {"seq": at.seq, "kind": "trouble", "agent": "?", "elapsed_s": 0.0, **broken}


def _places(db: sqlite3.Connection, rest: str, *values: Any) -> list[Place]:
    ask = "SELECT seq, offset, size, kind, family, agent, elapsed_s, row FROM events WHERE "
    return [Place(*each) for each in db.execute(ask + rest, values)]


def points(
    db: sqlite3.Connection, series: str, most: int = 400
) -> Iterator[tuple[float, float, int]]:
    """How a sum grew: time, value and event, at most so many of them, ends and extremes kept."""
    total, every = 0.0, []
    ask = "SELECT seq, elapsed_s, value FROM points WHERE series = ? ORDER BY seq"
    for seq, elapsed_s, value in db.execute(ask, (series,)):
        total += value
        every.append((elapsed_s, total, seq))
    step = max(len(every) * 2 // most, 1)
    for at in range(0, len(every), step):
        part = every[at : at + step]
        low, high = min(part, key=lambda one: one[1]), max(part, key=lambda one: one[1])
        yield from dict.fromkeys(sorted((low, high), key=lambda one: one[2]))
