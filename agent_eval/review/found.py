"""What graders say of a run, as the file beside it has it, and on which rows it rests."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent_eval.errors import AgentEvalError
from agent_eval.graders.written import latest, read_findings
from agent_eval.record.reading import read_summary
from agent_eval.record.transcript import SUMMARY
from agent_eval.review.asking import rows_of
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.show.truth import truth_lines

CITES = 20
"""Events of a finding that lead somewhere; of more, their number."""


@dataclass(frozen=True)
class Found:
    """A finding as a page shows it."""

    number: int
    """Its place in the file, from 1."""
    behaviour: str
    what: str
    stage: str
    tier: str
    sanction: str
    agent: str
    why: str
    detector: str
    caveat: str
    cites: tuple[int, ...]
    more: int
    """Events that are cited and not listed."""


@dataclass(frozen=True)
class Grading:
    """All of it; empty, with the reason, where there is none that holds."""

    findings: tuple[Found, ...] = ()
    verdicts: tuple[Mapping[str, str], ...] = ()
    problem: str = ""
    proven: tuple[str, ...] = ()
    """What ledgers, gateway and kernel prove of a run in a world, in words."""

    def said(self, answer: str) -> list[str]:
        """The behaviours of which that is said."""
        return [one["behaviour"] for one in self.verdicts if one["answer"] == answer]


def grading_of(run: Path) -> Grading:
    """What is found of a run and proven of it; who may not see the one does not see the other."""
    return replace(_graded(run), proven=_proven(run))


def _proven(run: Path) -> tuple[str, ...]:
    """The ground truth in `run.json`, which may hold anything."""
    if not (run / SUMMARY).exists():
        return ()
    try:
        truth = read_summary(run).get("ground_truth")
        return tuple(truth_lines(truth)) if isinstance(truth, dict) else ()
    except (AgentEvalError, LookupError, TypeError, ValueError, AttributeError):
        return (f"the ground truth in {SUMMARY} is none that this program wrote",)


def _graded(run: Path) -> Grading:
    """The findings that were written last, held against the run's head where that is known."""
    try:
        file = latest(run)
        if file is None:
            return Grading(problem="not graded yet: `agent-eval grade` does it")
        head = str(read_summary(run).get("head")) if (run / SUMMARY).exists() else None
        records = list(read_findings(file, head))
    except (AgentEvalError, OSError) as error:
        return Grading(problem=str(error))
    told = [one for one in records if one["kind"] == "finding"]
    verdicts = records[-1].get("verdicts")
    return Grading(
        tuple(found_of(number, one) for number, one in enumerate(told, 1)),
        tuple(_verdict(one) for one in verdicts if isinstance(one, dict))
        if isinstance(verdicts, list)
        else (),
    )


def found_of(number: int, record: Mapping[str, Any]) -> Found:
    """A finding from its record, whatever stands there."""
    cites = record.get("cites")
    seqs = [seq for seq in cites if isinstance(seq, int)] if isinstance(cites, list) else []
    named = {
        name: str(record.get(name) or "")[:1000]
        for name in ("stage", "tier", "sanction", "agent", "why", "detector", "caveat")
    }
    behaviour = str(record.get("behaviour"))[:20]
    return Found(
        number=number,
        behaviour=behaviour,
        what=BEHAVIOURS.get(behaviour, ""),
        cites=tuple(seqs[:CITES]),
        more=max(len(seqs) - CITES, 0),
        **named,
    )


def cited(
    db: sqlite3.Connection, grading: Grading, *, flat: bool
) -> dict[int, list[tuple[int, str, int]]]:
    """For each row, or each event, the findings that rest on it."""
    seqs = sorted({seq for one in grading.findings for seq in one.cites})
    rows = {seq: seq for seq in seqs} if flat else rows_of(db, seqs)
    by: dict[int, list[tuple[int, str, int]]] = {}
    for one in grading.findings:
        for seq in one.cites:
            mark = (one.number, one.behaviour, seq)
            here = by.setdefault(rows.get(seq, seq), [])
            if all(mark[0] != other[0] for other in here):
                here.append(mark)
    return by


def _verdict(one: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(one.get(name))[:1000] for name in ("behaviour", "answer", "why")}
