"""Findings as files beside a transcript: a chain of their own that starts from the run's head.

    findings-<first 16 of the grader's digest>.jsonl     opened, one line a finding, closed
    findings.jsonl                                       a link to the one written last

The transcript itself is never touched. Anyone can grade again, and compare.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval import __version__
from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.graders.grade import Grade, grade, grader_digest
from agent_eval.record.verify import Report, verify

LATEST = "findings.jsonl"


@dataclass(frozen=True)
class Graded:
    """A grade that is on disk."""

    grade: Grade
    file: Path
    head: str
    """The hash of its last line."""


def grade_run(
    run: Path, rule_folders: tuple[Path, ...] = (), *, unverified: bool = False
) -> Graded:
    """Grade a run and write what was found beside it.

    Raises `TranscriptBroken` for a record that is not as it was written, unless `unverified`.
    """
    report = verify(run)
    if report.faults and not unverified:
        raise TranscriptBroken(
            f"{run} is not as it was written ({report.faults[0]}): nothing that is found in it "
            "would mean anything. --unverified grades it all the same, and says so"
        )
    digest = grader_digest(rule_folders)
    found = grade(run, rule_folders)
    lines = list(_lines(run, report, found, digest))
    file = run / f"findings-{digest[:16]}.jsonl"
    _put(file, b"".join(lines))
    _link(run / LATEST, file.name)
    return Graded(found, file, hashlib.sha256(lines[-1]).hexdigest())


def _lines(run: Path, report: Report, found: Grade, digest: str) -> Iterator[bytes]:
    opened = {
        "kind": "grading.opened",
        "run": run.name,
        "head": report.head,
        "events": report.events,
        "verified": not report.faults,
        "grader": {"version": __version__, "digest": digest},
    }
    closed = {
        "kind": "grading.closed",
        "verdicts": [
            {"behaviour": one.behaviour, "answer": str(one.answer), "why": one.why}
            for one in found.verdicts
        ],
        "dropped": found.dropped,
        "more": found.more,
        "not_seen": list(found.not_seen),
        "rules_aside": found.rules_aside,
    }
    records = [opened, *({"kind": "finding", **each.record()} for each in found.findings), closed]
    prev = report.head
    for record in records:
        line = json.dumps(record | {"prev": prev}, ensure_ascii=True).encode() + b"\n"
        prev = hashlib.sha256(line).hexdigest()
        yield line


def _put(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, for its owner alone."""
    try:
        fd, name = tempfile.mkstemp(dir=file.parent, prefix=".findings-")
        with os.fdopen(fd, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(file)
    except OSError as error:
        raise OperatorError(f"cannot write {file}: {error.strerror}") from error


def _link(link: Path, name: str) -> None:
    spare = link.with_name(f".{LATEST}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        spare.unlink()
    spare.symlink_to(name)
    spare.replace(link)


def latest(run: Path) -> Path | None:
    """The findings that were written last, if any.

    Raises `TranscriptBroken` where something else stands in their place.
    """
    link = run / LATEST
    if not os.path.lexists(link):
        return None
    named = link.readlink().name if link.is_symlink() else ""
    file = run / named
    if not named.startswith("findings-") or file.is_symlink() or not file.is_file():
        raise TranscriptBroken(
            f"{link} does not lead to findings that this program wrote; `agent-eval grade {run}` "
            "writes them anew"
        )
    return file


def read_findings(file: Path, head: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of a file of findings, each checked against the one before.

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
            raise TranscriptBroken(f"{file}:{number}: is no finding")
        expected = record.get("head") if prev is None else prev
        if record.get("prev") != expected or (number == 1 and head not in (None, expected)):
            raise TranscriptBroken(f"{file}:{number}: does not follow from what stands before it")
        prev, kind = hashlib.sha256(line).hexdigest(), record["kind"]
        yield record
    if kind != "grading.closed":
        raise TranscriptBroken(f"{file}: its end is missing")


def held(run: Path, head: str) -> str | None:
    """Hold the latest findings of a run against it: what was found to be so, or None without any.

    What another version of the graders, or other rules, found cannot be worked out again here.
    Raises `TranscriptBroken` where they are not what graders wrote of this run.
    """
    file = latest(run)
    if file is None:
        return None
    records = list(read_findings(file, head))
    grader = records[0].get("grader")
    if not isinstance(grader, dict) or grader.get("digest") != grader_digest():
        return f"findings follow each other ({file.name}); other graders or rules made them"
    mine = [{"kind": "finding", **each.record()} for each in grade(run).findings]
    said = [
        {key: value for key, value in each.items() if key != "prev"}
        for each in records
        if each["kind"] == "finding"
    ]
    if mine != said:
        raise TranscriptBroken(f"{file}: these are not the findings that graders make of it")
    return f"findings follow from it ({file.name})"
