"""Findings as files beside a transcript: a chain of their own that starts from the run's head.

    findings-<first 16 of the grader's digest>.jsonl     opened, one line a finding, closed
    findings.jsonl                                       a link to the one written last

The transcript itself is never touched. Anyone can grade again, and compare.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval import __version__
from agent_eval.errors import TranscriptBroken
from agent_eval.graders.digest import grader_digest
from agent_eval.graders.grade import Grade, grade
from agent_eval.record.beside import chained, put, read_chained
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
    lines = chained(_records(run, report, found, digest), report.head)
    file = run / findings_name(digest)
    put(file, b"".join(lines))
    _link(run / LATEST, file.name)
    return Graded(found, file, hashlib.sha256(lines[-1]).hexdigest())


def findings_name(digest: str) -> str:
    """The name of the file of what graders of this digest found."""
    return f"findings-{digest[:16]}.jsonl"


def _records(run: Path, report: Report, found: Grade, digest: str) -> list[dict[str, Any]]:
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
        "rules_refused": list(found.rules_refused),
    }
    return [opened, *({"kind": "finding", **each.record()} for each in found.findings), closed]


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
    kind = ""
    for record in read_chained(file, head):
        kind = record["kind"]
        yield record
    if kind != "grading.closed":
        raise TranscriptBroken(f"{file}: these are no findings")


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
