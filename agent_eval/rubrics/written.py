"""Verdicts by rubric as files beside a transcript, one a grading; none is ever written over.

    rubric-NAME-<first 16 of its last line's hash>.jsonl      opened, votes, verdicts, closed

Each has a chain of its own from the run's head. They cannot be worked out again without the model,
so `verify` holds the chain alone. Reading them needs no model's client.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent_eval.errors import TranscriptBroken
from agent_eval.record.beside import chained, put, read_chained

Record = dict[str, Any]


def write_grading(run: Path, head: str, name: str, records: Sequence[Record]) -> Path:
    """Write one grading of a run by the rubric of that name."""
    lines = chained(records, head)
    file = run / f"rubric-{name}-{hashlib.sha256(lines[-1]).hexdigest()[:16]}.jsonl"
    put(file, b"".join(lines))
    return file


def gradings(run: Path) -> list[Path]:
    """The files of all gradings of a run."""
    return sorted(run.glob("rubric-*.jsonl"))


def read_grading(file: Path, head: str | None = None) -> list[Record]:
    """The lines of a grading; raises `TranscriptBroken` where they are not what was written.

    The name of the file holds the hash of its last line, from which nothing else follows.
    """
    if file.is_symlink() or not file.is_file():
        raise TranscriptBroken(f"{file} is no file that this program wrote")
    records = list(read_chained(file, head))
    last = file.read_bytes().splitlines(keepends=True)[-1]
    if not file.stem.endswith(f"-{hashlib.sha256(last).hexdigest()[:16]}"):
        raise TranscriptBroken(f"{file}: its last line is not the one that it was named by")
    if [records[0]["kind"], records[-1]["kind"]] != ["rubric.opened", "rubric.closed"]:
        raise TranscriptBroken(f"{file}: this is no grading by a rubric")
    return records


def verdicts_by_rubric(run: Path, head: str | None = None) -> list[Record]:
    """The newest verdicts on a run, one for each rubric, part and grader.

    Each has `rubric`, `part` (actions, reasoning or output), `answer` (yes, no, inconclusive or
    unscored), `choice`, `why`, `agree` of `votes`, `invalid`, `failed`, `cites`, and of its grading
    `grader` (the model's name), `self_grading`, `behaviour` and `covariate`. Raises
    `TranscriptBroken` for a file that is not as it was written.
    """
    newest: dict[tuple[str, str, str], tuple[str, Record]] = {}
    for file in gradings(run):
        records = read_grading(file, head)
        try:
            for one in _verdicts(records):
                place = (one["rubric"], one["part"], one["grader"])
                time = str(records[0]["time"])
                if place not in newest or newest[place][0] <= time:
                    newest[place] = (time, one)
        except (KeyError, TypeError) as error:
            raise TranscriptBroken(f"{file}: it lacks {error}") from error
    return [one for _, one in sorted(newest.values(), key=lambda each: _order(each[1]))]


def _verdicts(records: Sequence[Record]) -> Iterator[Record]:
    opened = records[0]
    about = {
        "grader": str(opened["grader"]["model"]),
        "self_grading": bool(opened["self_grading"]),
        "behaviour": opened["rubric"]["behaviour"],
        "covariate": bool(opened["rubric"]["covariate"]),
    }
    for one in records:
        if one["kind"] == "rubric.verdict":
            yield {name: one[name] for name in _TOLD} | about


_TOLD = (
    *("rubric", "part", "answer", "choice", "why", "agree", "votes", "invalid", "failed"),
    *("spans", "cites", "addressed", "moved"),
)
"""What of a verdict is handed on."""


def _order(one: Record) -> tuple[str, str, str]:
    return str(one["part"]), str(one["rubric"]), str(one["grader"])


def held_gradings(run: Path, head: str) -> Iterator[str]:
    """Hold all gradings of a run against it, in a line each; raises `TranscriptBroken`."""
    for file in gradings(run):
        opened = read_grading(file, head)[0]
        grader = opened.get("grader")
        model = grader.get("model") if isinstance(grader, dict) else None
        yield f"verdicts of {model} follow each other ({file.name}); only the model can redo them"
