"""What a report says of a folder of runs. Pure reading; the same folder and seed say the same."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval import __version__
from agent_eval.errors import AgentEvalError
from agent_eval.graders.beside import beside
from agent_eval.graders.finding import NOT_DETECTABLE
from agent_eval.labels.compared import (
    ALL,
    GRADERS,
    REVIEWERS,
    Compared,
    Row,
    Verdicts,
    compared,
    no_rubrics,
)
from agent_eval.labels.kept import Labels, read_labels
from agent_eval.labels.label import OfFinding, finding_id
from agent_eval.labels.preferring import Standing, read_preferences, standings
from agent_eval.record.reading import read_events, read_summary
from agent_eval.record.runset import Entry
from agent_eval.report.asked import Asked, asked
from agent_eval.report.controls import ControlRun, controls_of, uncontrolled
from agent_eval.report.evidence import Quote, quoted
from agent_eval.report.read import CONTROL, Read
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.show.rubrics import rubric_rate_lines, rubric_rates
from agent_eval.show.told import gated_in, told_in
from agent_eval.show.truth import truth_lines
from agent_eval.stats.tables import Row as Rate
from agent_eval.stats.tables import Sum, rows, sums

SAME_AT_MOST = 3
"""Findings of one behaviour and detector in one run that are quoted; the rest are counted."""

QUOTED_AT_MOST = 150
CITES_AT_MOST = 4


@dataclass(frozen=True)
class Shown:
    """A finding with its evidence."""

    run: str
    scenario: str
    model: str
    behaviour: str
    what: str
    stage: str
    tier: str
    sanction: str
    agent: str
    detector: str
    why: str
    caveat: str
    quotes: tuple[Quote, ...]
    more_cites: int
    judged: tuple[tuple[str, int], ...]
    """How many people called it right, wrong or unclear."""


@dataclass(frozen=True)
class Told:
    """The ground truth of a run, in lines."""

    run: str
    scenario: str
    model: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Aside:
    """A run that counts in no rate. Who can break its own run could hide in these."""

    run: str
    scenario: str
    model: str
    outcome: str
    flagged: tuple[str, ...]


@dataclass(frozen=True)
class DrillSum:
    """One kind of drill over all runs of models."""

    act: str
    done: int
    recovered: int
    median_s: float | None


@dataclass(frozen=True)
class Report:
    """All of it."""

    title: str
    folder: str
    version: str
    seed: int
    first: str
    last: str
    asked: tuple[Asked, ...]
    models: tuple[tuple[str, int], ...]
    setups: tuple[tuple[str, int], ...]
    graders: tuple[str, ...]
    outcomes: tuple[tuple[str, int], ...]
    rates: tuple[Rate, ...]
    sums: tuple[Sum, ...]
    rubrics: tuple[str, ...]
    """What rubric graders say, a line a rate."""
    drills: tuple[DrillSum, ...]
    truths: tuple[Told, ...]
    findings: tuple[Shown, ...]
    more_findings: int
    unjudged: tuple[Shown, ...]
    more_unjudged: int
    sample: tuple[Entry, ...]
    unflagged: int
    aside: tuple[Aside, ...]
    controls: tuple[ControlRun, ...]
    uncontrolled: tuple[str, ...]
    """Scenarios of which no harmful or no innocent control is among the runs."""
    labels: Compared
    agreement: tuple[Row, ...]
    preferences: tuple[Standing, ...]
    not_graded: tuple[tuple[str, str], ...]
    not_seen: tuple[tuple[str, int], ...]
    unreadable: tuple[tuple[str, str], ...]
    missing: int
    no_detector: dict[str, str]
    helped: tuple[tuple[str, int], ...]

    @property
    def controls_hold(self) -> bool:
        """Whether every control that ran as it ships got the verdict it must."""
        shipped = [one for one in self.controls if not one.varied]
        return bool(shipped) and all(one.good for one in shipped)

    @property
    def varied(self) -> tuple[int, int]:
        """Of controls in other words, how many got the verdict they must, and of how many."""
        graded = [one.good for one in self.controls if one.varied and one.good is not None]
        return sum(graded), len(graded)


def gathered(
    folder: Path, title: str, *, seed: int = 0, sample: int = 5, verdicts_of: Verdicts = no_rubrics
) -> Report:
    """Read a folder of runs; raises `OperatorError` where there is none."""
    gated = gated_in(folder)
    found = gated.runs
    runs = [_read(folder, entry) for entry in sorted(found.entries.values(), key=lambda e: e.run)]
    models = [one for one in runs if not one.control]
    told = [one for one in told_in(gated) if not one.entry.model.startswith(CONTROL)]
    shown, more = _shown(folder, models, unjudged=False)
    unjudged, more_unjudged = _shown(folder, models, unjudged=True)
    unflagged = [
        one.entry for one in models if one.beside.answers and not one.beside.flagged
        and one.entry.counts
    ]  # fmt: skip
    drawn = random.Random(seed).sample(unflagged, min(sample, len(unflagged)))  # noqa: S311
    labels = compared(folder, verdicts_of=verdicts_of)
    times = sorted(str(one.entry.started) for one in runs if one.entry.started)
    controls = tuple(controls_of(runs))
    return Report(
        title=title, folder=folder.resolve().name, version=__version__, seed=seed,
        first=times[0] if times else "", last=times[-1] if times else "",
        asked=tuple(asked(runs)),
        models=_counted(one.entry.model for one in runs),
        setups=_counted(map(_setup, runs)),
        graders=tuple(sorted({one.beside.grader for one in runs if one.beside.grader})),
        outcomes=_counted(map(_outcome, models)),
        rates=tuple(row for row in rows(told) if row.scored or row.axis == "success"),
        sums=tuple(one for one in sums(told) if one.scenarios > 1),
        rubrics=tuple(_rubrics(folder, models, verdicts_of)),
        drills=tuple(_drills(models)),
        truths=tuple(_truth(one) for one in models if one.truth),
        findings=tuple(shown), more_findings=more,
        unjudged=tuple(unjudged), more_unjudged=more_unjudged,
        sample=tuple(drawn), unflagged=len(unflagged),
        aside=tuple(_aside(one) for one in models if not one.entry.counts),
        controls=controls, uncontrolled=tuple(uncontrolled(runs, controls)),
        labels=labels,
        agreement=tuple(
            row for row in labels.rows if row.rater in (GRADERS, REVIEWERS) and row.behaviour == ALL
        ),
        preferences=tuple(standings(read_preferences(folder), folder)),
        not_graded=tuple(
            (one.entry.run, one.beside.problem) for one in runs if one.beside.problem
        ),
        not_seen=_counted(gap for one in models for gap in one.beside.not_seen),
        unreadable=tuple(sorted(found.unreadable.items())),
        missing=sum(len(found.missing(each)) for each in found.wanted.values()),
        no_detector=dict(NOT_DETECTABLE),
        helped=_counted(
            name for one in models for name, count in one.entry.interventions.items() if count
        ),
    )  # fmt: skip


def _read(folder: Path, entry: Entry) -> Read:
    run = folder / entry.run
    try:
        truth = read_summary(run).get("ground_truth") if entry.outcome else None
    except AgentEvalError:
        truth = None
    return Read(
        entry,
        next(read_events(run), {}),
        beside(run),
        read_labels(run),
        truth if isinstance(truth, dict) else None,
    )


def _counted(each: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(each).items()))


def _setup(one: Read) -> str:
    """What a run stood on."""
    package, engine = one.opened.get("package") or {}, one.opened.get("engine") or {}
    runtime = engine.get("runtime") or {}
    told = [
        f"agent-eval {package.get('version', '?')}",
        f"commit {str(package.get('commit') or 'unknown')[:12]}",
        f"runtime {runtime.get('name', '?')}" if engine else "no engine",
    ]
    return ", ".join(told)


def _outcome(one: Read) -> str:
    outcome = one.entry.outcome
    if outcome is None:
        return "no end on record"
    blame = outcome.get("blame")
    return str(outcome.get("status")) + (f", by {blame}" if blame else "")


def _aside(one: Read) -> Aside:
    entry = one.entry
    return Aside(entry.run, entry.scenario, entry.model, _outcome(one), one.beside.flagged)


def _rubrics(folder: Path, runs: Iterable[Read], verdicts_of: Verdicts) -> Iterator[str]:
    verdicts: list[Iterable[Mapping[str, Any]] | None] = []
    for one in runs:
        try:
            verdicts.append(verdicts_of(folder / one.entry.run))
        except (AgentEvalError, OSError):
            verdicts.append(None)
    return rubric_rate_lines(rubric_rates(verdicts))


def _drills(runs: Iterable[Read]) -> Iterator[DrillSum]:
    by: dict[str, list[float | None]] = defaultdict(list)
    for one in runs:
        for drill in ((one.truth or {}).get("robustness") or {}).get("drills") or ():
            by[str(drill["act"])].append(drill.get("recovered_s"))
    for act, after in sorted(by.items()):
        known = sorted(each for each in after if each is not None)
        middle = known[len(known) // 2] if known else None
        yield DrillSum(act, len(after), len(known), middle)


def _truth(one: Read) -> Told:
    lines = tuple(truth_lines(one.truth or {}))
    return Told(one.entry.run, one.entry.scenario, one.entry.model, lines)


def _shown(folder: Path, runs: Iterable[Read], *, unjudged: bool) -> tuple[list[Shown], int]:
    """Findings that decide, or those of tier E3 that nobody judged; and how many are left out."""
    shown: list[Shown] = []
    more = 0
    for one in runs:
        judged = _judged(one.labels)
        kept, same = [], Counter[tuple[str, str]]()
        for record in one.beside.findings:
            tier = record.get("tier")
            if unjudged and (tier != "E3" or finding_id(record) in judged):
                continue
            if not unjudged and tier not in ("E1", "E2"):
                continue
            key = (str(record.get("behaviour")), str(record.get("detector")))
            same[key] += 1
            kept += [record] if same[key] <= SAME_AT_MOST else []
        room = max(QUOTED_AT_MOST - len(shown), 0)
        more += sum(same.values()) - len(kept[:room])
        cites = {seq for record in kept[:room] for seq in _cites(record)[:CITES_AT_MOST]}
        quotes = quoted(folder / one.entry.run, cites) if cites else {}
        shown += [_one_shown(one.entry, record, quotes, judged) for record in kept[:room]]
    return sorted(shown, key=lambda each: (_place(each.behaviour), each.scenario, each.run)), more


def _place(behaviour: str) -> int:
    return list(BEHAVIOURS).index(behaviour) if behaviour in BEHAVIOURS else len(BEHAVIOURS)


def _cites(record: dict[str, Any]) -> list[int]:
    return [seq for seq in record.get("cites") or () if isinstance(seq, int)]


def _judged(labels: Labels) -> dict[str, Counter[str]]:
    last: dict[tuple[str, str], str] = {}
    for one in labels.written:
        if isinstance(one.label, OfFinding):
            last[one.author, one.label.finding] = one.label.answer
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for (_, name), answer in last.items():
        found[name][answer] += 1
    return found


def _one_shown(
    entry: Entry, record: dict[str, Any], quotes: dict[int, Quote], judged: dict[str, Counter[str]]
) -> Shown:
    cites = _cites(record)
    told = {
        name: str(record.get(name) or "")
        for name in ("behaviour", "stage", "tier", "sanction", "agent", "detector", "why", "caveat")
    }
    return Shown(
        run=entry.run,
        scenario=entry.scenario,
        model=entry.model,
        what=BEHAVIOURS.get(told["behaviour"], ""),
        quotes=tuple(quotes[seq] for seq in cites[:CITES_AT_MOST] if seq in quotes),
        more_cites=max(len(cites) - CITES_AT_MOST, 0),
        judged=tuple(sorted(judged.get(finding_id(record), Counter()).items())),
        **told,
    )
