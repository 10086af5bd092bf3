"""Whether a run folder is what was written, and all of it.

Needs nothing but the folder. The chain alone shows that a record is consistent; only its head hash
from elsewhere, or a key, shows that it is the one that was made. Anyone can do the same with
`sha256sum`: the `prev` of each line is the hash of the line before, line end included.
"""

import contextlib
import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import TranscriptBroken
from agent_eval.events.kinds import TranscriptRepaired
from agent_eval.record.reading import events_file, parse_line, read_blob
from agent_eval.record.transcript import (
    EVENTS,
    GENESIS,
    SUMMARY,
    Transcript,
    open_locked,
    signature,
    write_private,
)


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
    last: dict[str, Any] = field(default_factory=dict)
    """The last event that is whole."""
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
    try:
        for event in _chained(run, report):
            report.last = event
            for digest in blobs_of(event):
                read_blob(run, digest)
    except TranscriptBroken as error:
        report.faults.append(f"event {report.events} (line {report.events + 1}): {error}")
        return report
    summary = _summary(run)
    _check_end(report, report.last, summary)
    if head is not None:
        report.authentic = _same(report.head, head.strip().lower())
    if key is not None:
        signed = summary.get("signature")
        value = signed.get("value") if isinstance(signed, dict) else None
        report.authentic = _same(signature(report.head, key), str(value)) and (
            report.authentic is not False
        )
    return report


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


def _chained(run: Path, report: Report) -> Iterator[dict[str, Any]]:
    """Events whose place and chain are right; counts them, and notes a torn end."""
    with events_file(run).open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                report.torn_bytes = len(line)
                return
            event = parse_line(line, report.events)
            if not report.events:
                report.head = beginning_of(event)
            if event["seq"] != report.events:
                raise TranscriptBroken(f"calls itself event {event['seq']}")
            if event["prev"] != report.head:
                raise TranscriptBroken(
                    f"does not follow from event {report.events - 1} (line {report.events}) as it "
                    "is now: one of the two was changed"
                )
            yield event
            report.head = hashlib.sha256(line).hexdigest()
            report.events += 1


def beginning_of(first: dict[str, Any]) -> str:
    """What the first event follows: nothing, or the event of another run that it branches off."""
    origin = first.get("origin")
    if isinstance(origin, dict) and origin.get("what") == "branch":
        return str(origin.get("head"))
    return GENESIS


_CONTENTS = (
    "output", "inherited",
    *("request", "response"),
    *("asked", "tools", "messages", "reply"),
    "deliverable",
)  # fmt: skip
"""Fields that hold content: of the run, a world's exchanges, its language models, its jobs."""


def blobs_of(event: dict[str, Any]) -> Iterator[str]:
    """Every blob that an event names; only these fields are ours, others may hold anything."""
    files, did = event.get("files"), event.get("did")
    for content in (
        *map(event.get, _CONTENTS),
        *(files if isinstance(files, list) else ()),
        *(
            one.get("output")
            for one in (did if isinstance(did, list) else ())
            if isinstance(one, dict)
        ),
    ):
        if isinstance(content, dict) and "blob" in content:
            yield str(content["blob"])


def _check_end(report: Report, last: dict[str, Any], summary: dict[str, Any]) -> None:
    """Whether the run came to its end, and whether the summary speaks of this one.

    A tail that was cut off, or mended after that, says so itself.
    """
    agrees = summary.get("head") == report.head and summary.get("events") == report.events
    report.complete = last.get("kind") == "run.closed" and agrees
    mended = report.torn_bytes or last.get("kind") == TranscriptRepaired.kind
    if summary and not agrees and not mended:
        report.faults.append(
            f"{SUMMARY} speaks of another end than {EVENTS} has: one of them was changed, or "
            f"lines after event {report.events - 1} are gone"
        )


def _summary(run: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        summary = untrusted_json(run.joinpath(SUMMARY).read_bytes())
        return summary if isinstance(summary, dict) else {}
    return {}


@contextmanager
def reopened(run: Path) -> Iterator[Transcript]:
    """A run for writing on, its end mended by rule if that is torn.

    Raises `OperatorError` where there is none or another process writes it, `TranscriptBroken`
    where it is not intact.
    """
    fd = open_locked(events_file(run))
    with Transcript(run, fd, 0, GENESIS) as transcript:
        report = _mended(run, fd, transcript)
        if report.faults:
            raise TranscriptBroken(report.faults[0])
        yield transcript


def repair(run: Path) -> Report:
    """Set the bytes of a torn last line aside and say so in a new event; nothing else is changed.

    Where the record is complete without them, no event is added: it ends as it was sealed. Raises
    `OperatorError` while another process writes the run.
    """
    fd = open_locked(events_file(run))
    with Transcript(run, fd, 0, GENESIS) as transcript:
        _mended(run, fd, transcript)
    return verify(run)


def _mended(run: Path, fd: int, transcript: Transcript) -> Report:
    """Mend a torn end, have the transcript write on after what is there, and say what was found."""
    report = verify(run)
    if report.faults:
        return report
    transcript.go_on(report.events, report.head, _elapsed_s(report.last))
    if not report.torn_bytes:
        return report
    file = events_file(run)
    whole = file.stat().st_size - report.torn_bytes
    kept = _unused(run, f"{EVENTS}.torn-{report.events}")
    write_private(kept, file.read_bytes()[whole:])
    os.truncate(fd, whole)
    if not report.complete:
        transcript.write(TranscriptRepaired(report.torn_bytes, kept.name))
    transcript.sync()
    return report


def _elapsed_s(last: dict[str, Any]) -> float:
    """Seconds since the run was opened, by its last event and the clock on the wall since then."""
    elapsed_s = last.get("elapsed_s", 0.0)
    try:
        since_s = (datetime.now(UTC) - datetime.fromisoformat(last.get("time", ""))).total_seconds()
    except (TypeError, ValueError):
        since_s = 0.0
    return max(since_s, 0.0) + (elapsed_s if isinstance(elapsed_s, int | float) else 0.0)


def _unused(run: Path, name: str) -> Path:
    """A path in the run folder where nothing is, so that no repair overwrites what one kept."""
    names = (name, *(f"{name}.{number}" for number in range(1, 1000)))
    return next(path for path in map(run.joinpath, names) if not path.exists())
