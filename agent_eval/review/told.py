"""An event in words, as the terminal tells it, ready for a template and never longer than a page.

Texts go out as they are and cut; a template makes them safe to look at.
"""

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.review.asking import Place, Source, counted, end_of, place, within
from agent_eval.review.rows import text_of
from agent_eval.show.said import Said, View
from agent_eval.show.show import said_of

SHOWN_CHARACTERS = 3000
"""Of a text, on a page of the conversation."""

SHOWN_WITHIN = 12
"""Facts under an action that stand on the page; the rest has a page of its own."""

WHOLE_WITHIN = 1_000_000

HEAD_CHARACTERS = 240

FOLDED = (
    *("world.asked", "world.stream", "bank.opened", "bank.posted", "job.posted", "lm.called"),
    *("sandbox.ready", "files.seeded", "files.exported"),
)
"""Kinds whose rows are a line until they are opened."""

HIT_CHARACTERS = 300
"""Of a text, around what was looked for."""

PAGE_CHARACTERS = 400_000
"""Rendered; a page of the conversation ends after the row that goes beyond it."""


@dataclass(frozen=True)
class Part:
    """A text under a head."""

    text: str
    style: str
    left_out: int = 0
    """Characters that are not shown."""


@dataclass
class Row:
    """What a reader sees as one thing."""

    at: Place
    head: str
    style: str
    parts: list[Part] = field(default_factory=list)
    folded: bool = False
    """Whether it opens in place, and is a line until then."""
    outcome: str = ""
    """Of an action: how it ended, in a few words."""
    bad: bool = False
    raw: str = ""
    """The event as it is on record, where the page holds that as well."""
    inside: list["Row"] = field(default_factory=list)
    more: int = 0
    """Events under it that do not stand here."""
    findings: list[tuple[int, str, int]] = field(default_factory=list)
    """Number and behaviour of each finding that rests on it, and the very event."""


class Telling:
    """Tells rows of a run."""

    def __init__(
        self,
        db: sqlite3.Connection,
        source: Source,
        cited: Mapping[int, Sequence[tuple[int, str, int]]] | None = None,
        at: int | None = None,
        *,
        whole_bytes: int | None = None,
    ) -> None:
        """`cited` has the findings that rest on a row, or on an event alone in its list.

        The event `at` stands in its row however many others do. With `whole_bytes` nothing is left
        out but what of an output goes beyond it, and each event stands there as it is on record.
        """
        self._whole = whole_bytes is not None
        self._characters = SHOWN_CHARACTERS if whole_bytes is None else sys.maxsize
        self._within = SHOWN_WITHIN if whole_bytes is None else WHOLE_WITHIN
        self._at = at
        self._view = View(source.run, full=False, most_bytes=whole_bytes or 4 * SHOWN_CHARACTERS)
        self._db = db
        self._source = source
        self._cited = cited or {}

    def row(self, at: Place, *, alone: bool = False) -> Row:
        """A row with all that belongs to it, or one event alone."""
        row = self._line(at)
        row.findings = list(self._cited.get(at.seq, ()))
        if alone:
            return row
        inside = within(self._db, at.row, self._within + 3)
        if at.kind == "action.started":
            self._end(row)
            inside = [each for each in inside if self._whole or each.kind != "action.ended"]
        row.folded = at.family in ("action", "kernel") or at.kind in FOLDED
        row.inside = [self._line(each) for each in self._shown(at, inside)]
        if len(inside) >= self._within:
            row.more = max(counted(self._db, at.row) - 1 - len(row.inside), 0)
        return row

    def hit(self, at: Place, words: str) -> Row:
        """An event alone, with the part of its text in which one of these words stands."""
        row = self._line(at)
        row.findings = list(self._cited.get(at.seq, ()))
        whole = "\n".join(part.text for part in row.parts) or row.head
        if not _places(whole, words):  # it stands in what is not told
            whole = text_of(self._source.event(at), self._source.run)
        row.parts = [Part(around(whole, words), "")]
        return row

    def _shown(self, at: Place, inside: list[Place]) -> list[Place]:
        """What of a row stands under it."""
        shown = inside[: self._within]
        here = {at.seq, *(each.seq for each in shown)}
        asked = None if self._at is None or self._at in here else place(self._db, self._at)
        if asked is not None and asked.row == at.row and asked.kind != "action.ended":
            shown.append(asked)
        return shown

    def _line(self, at: Place) -> Row:
        head, *parts = self._said(at)
        if not head.head:
            head, parts = Said(at.kind, "", head=True), [head, *parts]
        raw = self._source.line(at).decode("ascii", "backslashreplace") if self._whole else ""
        texts = [self._part(each) for each in parts]
        return Row(at, head.text[:HEAD_CHARACTERS], head.style, texts, raw=raw)

    def _part(self, said: Said) -> Part:
        left_out = max(len(said.text) - self._characters, 0)
        return Part(said.text[: self._characters], said.style, left_out)

    def _said(self, at: Place) -> list[Said]:
        event = self._source.event(at)
        if fact := kernel_fact(event):
            return [Said(fact, "dim", head=True)]
        said = said_of(event, self._view)
        return said or [
            Said("what the model saw" if at.kind == "message" else at.kind, "", head=True)
        ]

    def _end(self, row: Row) -> None:
        """Put output and outcome of an action to its beginning."""
        code = row.parts[0].text if row.parts else ""
        row.head = f"{row.head} {code[:HEAD_CHARACTERS]}"
        ended = end_of(self._db, row.at.seq)
        if ended is None:
            row.outcome = "under way"
            return
        said = self._said(ended)
        row.parts += [self._part(each) for each in said if not each.head]
        last = next((each for each in said if each.head), Said("", ""))
        row.outcome, row.bad = last.text[:HEAD_CHARACTERS], last.style == "red"


def kernel_fact(event: Mapping[str, Any]) -> str | None:
    """What a kernel saw, in a line; None for what is no such fact."""
    failed = f" (error {event['errno']})" if isinstance(event.get("errno"), int) else ""
    match event:
        case {"kind": "process.started", "argv": [*argv]}:
            return f"runs {' '.join(map(str, argv))[:HEAD_CHARACTERS]}  {event.get('program')}"
        case {"kind": "process.exited", "pid": pid}:
            return f"process {pid} ends: {event.get('signal') or event.get('status')}"
        case {"kind": "process.forked", "pid": pid, "child": child}:
            return f"process {pid} makes process {child}"
        case {"kind": "file.opened", "path": path, "mode": [*mode]}:
            return f"opens {path} to {', '.join(map(str, mode[:5]))}{failed}"
        case {"kind": "file.removed", "path": path}:
            return f"removes {path}{failed}"
        case {"kind": "file.renamed", "path": path, "to": to}:
            return f"renames {path} to {to}{failed}"
        case {"kind": "net.connected", "address": address}:
            return f"connects to {address}{failed}"
        case {"kind": "net.bound", "address": address}:
            return f"listens at {address}{failed}"
    return None


def around(text: str, words: str) -> str:
    """A few lines of a text, the first place of any of these words among them."""
    first = min(_places(text, words), default=0)
    start = max(first - HIT_CHARACTERS // 3, 0)
    cut = text[start : start + HIT_CHARACTERS]
    return ("… " if start else "") + cut + (" …" if start + len(cut) < len(text) else "")


def _places(text: str, words: str) -> list[int]:
    lowered = text.lower()
    found = (lowered.find(word) for word in re.findall(r"\w+", words.lower()))
    return [each for each in found if each >= 0]


def fitting(
    rows: Iterator[Row], render: Callable[[Row], str], most: int = PAGE_CHARACTERS
) -> tuple[list[str], int | None]:
    """Rows as they stand on a page, as many as fit, and the event of the first that does not."""
    done: list[str] = []
    length = 0
    for row in rows:
        if length > most:
            return done, row.at.seq
        text = render(row)
        length += len(text.encode())
        done.append(text)
    return done, None


def whole_text(run: Path, event: dict[str, Any]) -> str:
    """All that there is to tell of an event, for a page of its own."""
    said = said_of(event, View(run, full=True))
    return "\n\n".join(each.text for each in said if not each.head)
