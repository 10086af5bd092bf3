"""One run as one file that opens from disk: all of it, but for outputs that are too large.

Nothing is loaded from elsewhere, and nothing in it can run but the script of this site, by its
digest. What is withheld is listed, with digest and size, so that it can be asked for.
"""

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from markupsafe import Markup

from agent_eval.errors import OperatorError
from agent_eval.record.runset import Entry
from agent_eval.record.transcript import BLOBS
from agent_eval.record.verify import blobs_of
from agent_eval.review import asking
from agent_eval.review.asking import Source, Wish
from agent_eval.review.found import cited, grading_of
from agent_eval.review.index import Index
from agent_eval.review.pictures import drawn
from agent_eval.review.rendering import STATIC, rendered
from agent_eval.review.run_pages import entry_or_little
from agent_eval.review.told import Telling

MOST_BYTES = 1024 * 1024
"""Of an output that lies in a file of its own; what is longer is cut there, and listed."""

CHUNK = 200


@dataclass(frozen=True)
class Withheld:
    """An output of which the file has only the beginning."""

    seq: int
    digest: str
    size: int


@dataclass(frozen=True)
class Alone:
    """A run whose links lead to places in the same file."""

    name: str
    run: Path

    def address(self, **query: Any) -> str:
        """Of its conversation, or of what belongs to an event."""
        return f"#e{query['under']}" if "under" in query else "#main"

    def to(self, seq: int) -> str:
        """Of an event in the conversation."""
        return f"#e{seq}"

    def event(self, seq: int) -> str:
        """Of an event as it is on record."""
        return f"#raw{seq}"

    @property
    def entry(self) -> Entry:
        """What is said of it in a list of runs."""
        return entry_or_little(self.run)


def export(run: Path, out: Path, cache: Path, most_bytes: int = MOST_BYTES) -> list[Withheld]:
    """Write a run to a file, all at once or not at all; return what is withheld.

    Raises `OperatorError` where there is no run, or the file cannot be written.
    """
    index = Index(run, cache)
    try:
        while index.advance():
            pass
        with tempfile.NamedTemporaryFile(
            "w", dir=out.parent, prefix=".export-", encoding="utf-8", delete=False
        ) as file:
            part = Path(file.name)
            try:
                withheld = _written(file, Alone(run.resolve().name, run), index, most_bytes)
                file.flush()
                os.fsync(file.fileno())
                part.replace(out)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot write {out}: {error.strerror}") from error
    finally:
        index.close()
    return withheld


def _written(file: IO[str], alone: Alone, index: Index, most_bytes: int) -> list[Withheld]:
    grading = grading_of(alone.run)
    style, script = (STATIC.joinpath(f"review.{kind}").read_text() for kind in ("css", "js"))
    with index.opened() as db, Source(alone.run) as source:
        withheld = list(_withheld(alone.run, db, source, most_bytes))
        values = {
            "run": alone,
            "entry": alone.entry,
            "grading": grading,
            "about": asking.about(db),
            "goes_on": False,
            "indexed": True,
            "withheld": withheld,
            "most_bytes": most_bytes,
            # Files of this package, which hold no end of their own element.
            "style": Markup(style),  # noqa: S704
            "script": Markup(script),  # noqa: S704
            "policy": policy(style, script),
            **drawn(db, source, grading, alone.to),
        }
        before, after = rendered("export.html", **values).split("<!-- rows -->")
        file.write(before)
        tell = Telling(db, source, cited(db, grading, flat=False), whole_bytes=most_bytes)
        for at in _rows(db):
            file.write(rendered("row.html", row=tell.row(at), run=alone, at=-1))
        file.write(after)
    return withheld


def policy(style: str, script: str) -> str:
    """What the file may do: be styled and moved by exactly these texts."""
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _rows(db: Any) -> Iterator[asking.Place]:
    first = 0
    while some := asking.listed(db, Wish(), first, CHUNK):
        yield from some
        first = some[-1].seq + 1


def _withheld(run: Path, db: Any, source: Source, most_bytes: int) -> Iterator[Withheld]:
    kinds = ("action.ended", "files.seeded", "files.exported", "files.handed", "run.branched",
             "world.exchange")  # fmt: skip
    for at in asking.of_kinds(db, *kinds, most=10_000_000):
        for digest in blobs_of(source.event(at)):
            file = run / BLOBS / Path(digest).name
            size = file.stat().st_size if file.is_file() else 0
            # Files that were laid into a sandbox or taken out of it are named, never shown.
            if at.kind != "action.ended" or size > most_bytes or not size:
                yield Withheld(at.seq, digest, size)
