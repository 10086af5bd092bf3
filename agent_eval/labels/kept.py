"""The labels of a run: `labels.jsonl` beside its transcript.

    {"kind": "labels.opened", "run", "head", "events", "prev"}      the run as it was then
    {"id", "time", "author", "kind", ..., "reason", "seconds", "prev"}

Its chain starts from the run's head, as that of the findings does.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError
from agent_eval.labels.appending import Record, append, read
from agent_eval.labels.label import AnyLabel, Author, label_of
from agent_eval.record.reading import events_file
from agent_eval.record.transcript import GENESIS, SUMMARY

LABELS = "labels.jsonl"
ENVELOPE = ("id", "time", "author", "prev")
_AUTHOR: TypeAdapter[str] = TypeAdapter(Author)


@dataclass(frozen=True)
class Written:
    """A label on disk."""

    id: str
    time: str
    author: str
    label: AnyLabel


@dataclass(frozen=True)
class Labels:
    """All labels of a run, first to last."""

    written: tuple[Written, ...] = ()
    torn: int = 0
    """Lines that a dying writer left behind."""
    unread: int = 0
    """Lines that are no label this version knows."""
    faults: tuple[str, ...] = ()
    """Signs that lines were changed or taken out."""

    @property
    def authors(self) -> tuple[str, ...]:
        """Everybody who said something, by name."""
        return tuple(sorted({one.author for one in self.written}))

    def of(self, author: str) -> tuple[Written, ...]:
        """What one author said."""
        return tuple(one for one in self.written if one.author == author)


def write_label(run: Path, author: str, label: AnyLabel, once: str | None = None) -> Written:
    """Write a label beside a run; when this returns it is on disk.

    `once` names what is said, so that saying it again after a failure adds nothing. Raises
    `OperatorError` for an event that the run does not have, or an author without a proper name.
    """
    try:
        _AUTHOR.validate_python(author)
    except ValidationError as error:
        raise OperatorError(f"{author!r} is no name of an author: letters, digits and ._@-") from (
            error
        )
    cited = [*getattr(label, "cites", ()), *([label.event] if label.kind == "comment" else [])]
    if cited:
        events = _standing(run)[1]
        for seq in cited:
            if seq >= events:
                raise OperatorError(f"the run has no event {seq}: its last is {events - 1}")
    said = Written(
        once or secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="seconds"), author, label
    )
    append(run / LABELS, record_of(said), lambda: _opened(run))
    return said


def record_of(said: Written) -> Record:
    """A label as its line has it."""
    return {
        "id": said.id,
        "time": said.time,
        "author": said.author,
        **said.label.model_dump(mode="json"),
    }


def read_labels(run: Path) -> Labels:
    """The labels beside a run; none where nobody labelled it."""
    lines = read(run / LABELS)
    written: dict[str, Written] = {}
    unread = 0
    for record in lines.records:
        said = _written(record)
        if said is not None:
            written.setdefault(said.id, said)
        elif record.get("kind") != "labels.opened":
            unread += 1
    return Labels(tuple(written.values()), lines.torn, unread, tuple(lines.faults))


def _written(record: Mapping[str, Any]) -> Written | None:
    try:
        fields = {name: value for name, value in record.items() if name not in ENVELOPE}
        author = _AUTHOR.validate_python(record.get("author"))
        return Written(str(record["id"]), str(record["time"]), author, label_of(fields))
    except (KeyError, ValidationError, OperatorError):
        return None


def _opened(run: Path) -> Record:
    head, events = _standing(run)
    return {"kind": "labels.opened", "run": run.name, "head": head, "events": events}


def _standing(run: Path) -> tuple[str, int]:
    """Head and number of events of a run, as it says itself or, while it goes on, as it is."""
    file = events_file(run)
    try:
        said = untrusted_json(run.joinpath(SUMMARY).read_bytes())
        return str(said["head"]), int(said["events"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    head, events = GENESIS, 0
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                head, events = hashlib.sha256(line).hexdigest(), events + 1
    return head, events
