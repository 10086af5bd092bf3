"""Is a run folder what was written, and all of it?

Needs nothing but the folder. The chain alone shows that a record is consistent; only its head hash
from elsewhere, or a key, shows that it is the one that was made. Anyone can do the same with
`sha256sum`: the `prev` of each line is the hash of the line before, line end included.
"""

import contextlib
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.errors import TranscriptBroken
from agent_eval.events import TranscriptRepaired
from agent_eval.reading import events_file, parse_line, read_blob
from agent_eval.transcript import EVENTS, GENESIS, SUMMARY, Transcript, open_locked, signature

ENVELOPE = ("seq", "time", "agent", "kind", "prev")


@dataclass
class Report:
    """What was found."""

    events: int = 0
    head: str = GENESIS
    faults: list[str] = field(default_factory=list)
    """What is not as it was written; the first names the first bad line."""
    torn_bytes: int = 0
    """Bytes of a last line that was cut off."""
    complete: bool = False
    """Whether the run came to its end: a last event that says so, and a summary that agrees."""
    authentic: bool | None = None
    """Whether head or key agree; None if neither was given."""

    @property
    def good(self) -> bool:
        """Intact, complete, and authentic as far as that was asked."""
        intact = not self.faults and not self.torn_bytes
        return intact and self.complete and self.authentic is not False


def verify(run: Path, head: str | None = None, key: bytes | None = None) -> Report:
    """Check chain, blobs, end and head; raises `OperatorError` where there is no run."""
    report = Report()
    last: dict[str, Any] = {}
    try:
        for event in _chained(run, report):
            last = event
            for digest in _blobs_of(event):
                read_blob(run, digest)
    except TranscriptBroken as error:
        report.faults.append(f"event {report.events}: {error}")
        return report
    _check_end(run, report, last)
    if head is not None:
        report.authentic = hmac.compare_digest(report.head, head.strip().lower())
    if key is not None:
        signed = _summary(run).get("signature") or {}
        good = hmac.compare_digest(str(signed.get("value")), signature(report.head, key))
        report.authentic = good and report.authentic is not False
    return report


def _chained(run: Path, report: Report) -> Iterator[dict[str, Any]]:
    """Events whose place and chain are right; counts them, and notes a torn end."""
    with events_file(run).open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                report.torn_bytes = len(line)
                return
            event = parse_line(line, report.events)
            missing = [name for name in ENVELOPE if name not in event]
            if missing:
                raise TranscriptBroken(f"lacks {', '.join(missing)}")
            if event["seq"] != report.events:
                raise TranscriptBroken(f"calls itself event {event['seq']}")
            if event["prev"] != report.head:
                raise TranscriptBroken("does not follow from the line before it")
            report.head = hashlib.sha256(line).hexdigest()
            report.events += 1
            yield event


def _blobs_of(value: Any) -> Iterator[str]:
    """Every blob that an event names, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("blob"), str):
            yield value["blob"]
        for part in value.values():
            yield from _blobs_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from _blobs_of(part)


def _check_end(run: Path, report: Report, last: dict[str, Any]) -> None:
    summary = _summary(run)
    if last.get("kind") != "run.closed" or not summary:
        return
    report.complete = True
    if summary.get("head") != report.head or summary.get("events") != report.events:
        report.faults.append(f"{SUMMARY} speaks of another end than {EVENTS} has")


def _summary(run: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        summary = json.loads(run.joinpath(SUMMARY).read_bytes())
        return summary if isinstance(summary, dict) else {}
    return {}


def repair(run: Path) -> Report:
    """Set the bytes of a torn last line aside and say so in a new event; nothing else is changed.

    Raises `OperatorError` while another process writes the run.
    """
    report = verify(run)
    if report.faults or not report.torn_bytes:
        return report
    file = events_file(run)
    fd = open_locked(file)
    whole = file.stat().st_size - report.torn_bytes
    kept = run / f"{EVENTS}.torn-{report.events}"
    kept.write_bytes(file.read_bytes()[whole:])
    os.truncate(fd, whole)
    with Transcript(run, fd, report.events, report.head) as transcript:
        transcript.write(TranscriptRepaired(report.torn_bytes, kept.name))
        transcript.sync()
    return verify(run)
