"""Files beside a transcript that say something of it: never an edit, with chains of their own.

The first line has the run's head as its `prev`, each other the SHA-256 of the line before, so that
such a file belongs to one run and cannot be altered unseen. Its first kind ends in `.opened`, its
last in `.closed`.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError, TranscriptBroken


def chained(records: Iterable[dict[str, Any]], head: str) -> list[bytes]:
    """Records as lines of such a file, from the head of their run on."""
    lines, prev = [], head
    for record in records:
        line = json.dumps(record | {"prev": prev}, ensure_ascii=True).encode() + b"\n"
        prev = hashlib.sha256(line).hexdigest()
        lines.append(line)
    return lines


def put(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, for its owner alone; raises `OperatorError`."""
    try:
        fd, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}-")
        with os.fdopen(fd, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(file)
    except OSError as error:
        raise OperatorError(f"cannot write {file}: {error.strerror}") from error


def read_chained(file: Path, head: str | None = None) -> Iterator[dict[str, Any]]:
    """The records of such a file, each checked against the one before.

    Raises `TranscriptBroken` where one was changed, or where they are not of the run with that
    head.
    """
    prev, kind = None, ""
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True), 1):
        try:
            record = untrusted_json(line)
        except ValueError as error:
            raise TranscriptBroken(f"{file}:{number}: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
            raise TranscriptBroken(f"{file}:{number}: is no record of this program")
        expected = record.get("head") if prev is None else prev
        if record.get("prev") != expected or (number == 1 and head not in (None, expected)):
            raise TranscriptBroken(f"{file}:{number}: does not follow from what stands before it")
        prev, kind = hashlib.sha256(line).hexdigest(), record["kind"]
        yield record
    if not kind.endswith(".closed"):
        raise TranscriptBroken(f"{file}: its end is missing")
