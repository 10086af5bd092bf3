"""Graders beside people: how far they agree, over the runs of a folder that people have labelled.

For each behaviour, and for all together, these are held against what people say in the end: the
graders' verdict, each detector and each rubric alone, and, of a run that two reviewers read blind,
one reviewer against the other. What a rater did not say is in no rate; a rater who said too little
of what people labelled gets none.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.errors import AgentEvalError
from agent_eval.graders.beside import beside
from agent_eval.labels.kept import Labels, read_labels
from agent_eval.labels.label import OfFinding
from agent_eval.labels.settled import first_reads, settled
from agent_eval.record.runset import RunSet
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.show.rubrics import PARTS, SELF
from agent_eval.stats.agreement import Agreement, agreement
from agent_eval.stats.points import Point, points

LEAST_COVERAGE = 0.8
ALL = "all"
INCONCLUSIVE = "inconclusive"
GRADERS, REVIEWERS = "graders", "reviewers"
"""The verdict of all graders together; and of two blind reviewers the first beside the second."""

_ANSWERS = {"yes": True, "no": False}
_TIERS = {"E1": 3.0, "E2": 2.0, "E3": 1.0}
"""How sure graders are of what they found: the score by which thresholds are set."""


@dataclass(frozen=True)
class Labelled:
    """A run that people labelled, and what graders say of it."""

    run: str
    scenario: str
    """Without its variant: runs of one scenario are alike."""
    labels: Labels
    verdicts: Mapping[str, str]
    """By behaviour; empty where it was not graded."""
    fired: Mapping[str, frozenset[str]]
    """By behaviour, the detectors that found it, short of considering it."""
    rubrics: Mapping[tuple[str, str], str]
    """By rubric (with part and grader) and behaviour, what it says."""
    scores: Mapping[tuple[str, str], float]
    """By rater and behaviour, how sure it is: the best tier, or the share of votes for yes."""


@dataclass(frozen=True)
class Row:
    """One rater on one behaviour beside what people say."""

    rater: str
    behaviour: str
    scored: int
    """Runs of which both say yes or no."""
    of: int
    """Runs of which people said anything of that behaviour."""
    agreement: Agreement | None
    """None where too few are scored."""
    judged: Mapping[str, int]
    """How many of a detector's findings people called right, wrong and unclear."""
    points: Sequence[Point] = ()
    """What it finds at most so many false alarms, of raters that say how sure they are."""

    @property
    def coverage(self) -> float:
        """The part of what people labelled that is in the rate."""
        return self.scored / self.of if self.of else 0.0


@dataclass(frozen=True)
class Compared:
    """All of it, for a folder."""

    runs: int
    labelled: int
    flagged: tuple[int, int]
    """Of the runs that graders flag: how many people labelled, and how many there are."""
    unsettled: int
    """Behaviours in runs of which people do not know, or do not agree."""
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    """Files of labels that were changed later, and what could not be read."""


Verdicts = Callable[[Path], Sequence[Mapping[str, Any]]]
"""Hands out the verdicts by rubric that stand beside a run."""


def no_rubrics(_run: Path) -> Sequence[Mapping[str, Any]]:
    """For those who do not ask rubric graders."""
    return ()


def compared(
    folder: Path, least: float = LEAST_COVERAGE, verdicts_of: Verdicts = no_rubrics
) -> Compared:
    """Hold graders against people; `least` is the coverage (0 to 1) below which no rate is given.

    Raises `OperatorError` where there is no such folder.
    """
    entries = [one for one in RunSet.within(folder).entries.values() if one.outcome is not None]
    labelled, problems, flagged = [], [], [0, 0]
    for entry in entries:
        run = folder / entry.run
        labels = read_labels(run)
        verdicts, fired = graded(run)
        problems += [f"{entry.run}: labels: {fault}" for fault in labels.faults]
        if labels.unread:
            problems.append(f"{entry.run}: {labels.unread} labels of a kind this version lacks")
        if "yes" in verdicts.values():
            flagged = [flagged[0] + bool(labels.written), flagged[1] + 1]
        if labels.written:
            name = entry.scenario.partition("@")[0]
            rubrics, votes = by_rubric(run, verdicts_of)
            scores = tiers(run, verdicts) | votes
            labelled.append(Labelled(entry.run, name, labels, verdicts, fired, rubrics, scores))
    said = [one.answer for each in labelled for one in settled(each.labels).values()]
    return Compared(
        runs=len(entries),
        labelled=len(labelled),
        flagged=(flagged[0], flagged[1]),
        unsettled=said.count(None),
        rows=tuple(_rows(labelled, least)),
        problems=tuple(problems),
    )


def graded(run: Path) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """What graders say of a run: verdicts, and detectors that fired, by behaviour."""
    found = beside(run)
    fired: dict[str, set[str]] = defaultdict(set)
    for one in found.findings:
        if one.get("stage") != "considered":
            fired[str(one.get("behaviour"))].add(str(one.get("detector")))
    return found.answers, {name: frozenset(some) for name, some in fired.items()}


def tiers(run: Path, verdicts: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """By behaviour, the best evidence that graders found, of what is scored or awaits a judge."""
    best = {
        (GRADERS, name): 0.0 for name, said in verdicts.items() if said in (*_ANSWERS, INCONCLUSIVE)
    }
    for one in beside(run).findings:
        key = GRADERS, str(one.get("behaviour"))
        if key in best and one.get("stage") != "considered":
            best[key] = max(best[key], _TIERS.get(str(one.get("tier")), 0.0))
    return best


Place = tuple[str, str]
"""A rater and a behaviour."""


def by_rubric(run: Path, verdicts_of: Verdicts) -> tuple[dict[Place, str], dict[Place, float]]:
    """What rubric graders say of the behaviours that their rubrics are of; none if it is broken.

    And how sure they are: the share of votes for yes.
    """
    try:
        verdicts = verdicts_of(run)
    except (AgentEvalError, OSError):
        return {}, {}
    some = {
        (_rater(one), str(one["behaviour"])): one
        for one in verdicts
        if one["behaviour"] is not None and one["part"] in PARTS
    }
    sure = {place: share for place, one in some.items() if (share := _for_yes(one)) is not None}
    return {place: str(one["answer"]) for place, one in some.items()}, sure


def _for_yes(one: Mapping[str, Any]) -> float | None:
    """The share of votes for yes; one half where they are split, None where nothing was said."""
    if one["answer"] == INCONCLUSIVE:
        return 0.5
    if one["answer"] not in _ANSWERS or not one["votes"]:
        return None
    share = float(one["agree"]) / float(one["votes"])
    return share if one["answer"] == "yes" else 1 - share


def _rater(one: Mapping[str, Any]) -> str:
    itself = SELF if one["self_grading"] else ""
    return f"{one['rubric']}, {PARTS[one['part']]}, by {one['grader']}{itself}"


Said = dict[tuple[str, str], dict[str, list[tuple[bool | None, bool | None]]]]
"""By rater and behaviour, for each scenario, what the rater says of a run and what people say."""


def _rows(labelled: list[Labelled], least: float) -> Iterable[Row]:
    said = _said(labelled)
    judged = _judged(labelled)
    order = {GRADERS: 0, REVIEWERS: 1}
    names = {ALL: -1} | {name: place for place, name in enumerate(BEHAVIOURS)}
    for rater, behaviour in sorted(said, key=lambda key: (order.get(key[0], 2), *key[:1],
                                                          names[key[1]])):  # fmt: skip
        runs = said[rater, behaviour]
        pairs = {
            name: [(a, b) for a, b in some if a is not None and b is not None]
            for name, some in runs.items()
        }
        scored, of = sum(map(len, pairs.values())), sum(map(len, runs.values()))
        enough = of > 0 and scored / of >= least
        yield Row(
            rater,
            behaviour,
            scored,
            of,
            agreement(pairs) if enough else None,
            dict(judged.get((rater, behaviour), {})),
            points(_scored(labelled, rater, behaviour)) if enough else (),
        )


def _scored(labelled: list[Labelled], rater: str, behaviour: str) -> Iterator[tuple[float, bool]]:
    """How sure a rater is of each run, and what people say of it."""
    for one in labelled:
        for name, people in settled(one.labels).items():
            score = one.scores.get((rater, name))
            if behaviour in (name, ALL) and score is not None and people.answer is not None:
                yield score, people.answer


def _said(labelled: list[Labelled]) -> Said:
    said: Said = defaultdict(lambda: defaultdict(list))
    fired = {(name, each) for one in labelled for name, some in one.fired.items() for each in some}
    asked = {place for one in labelled for place in one.rubrics}
    for one in labelled:
        for behaviour, people in settled(one.labels).items():
            verdict = one.verdicts.get(behaviour, "unscored")
            for name in (behaviour, ALL):
                pair = (_ANSWERS.get(verdict), people.answer)
                said[GRADERS, name][one.scenario].append(pair)
            for name, detector in fired:
                if name == behaviour:
                    found = detector in one.fired.get(behaviour, ())
                    alone = None if verdict == "unscored" and not found else found
                    said[detector, behaviour][one.scenario].append((alone, people.answer))
            for name, of in asked:
                if of == behaviour:
                    pair = (_ANSWERS.get(one.rubrics.get((name, of), "unscored")), people.answer)
                    said[name, behaviour][one.scenario].append(pair)
        first, *second = first_reads(one.labels).values() or [{}]
        for behaviour in first.keys() & second[0].keys() if second else ():
            pair = (_ANSWERS.get(first[behaviour]), _ANSWERS.get(second[0][behaviour]))
            for name in (behaviour, ALL):
                said[REVIEWERS, name][one.scenario].append(pair)
    return said


def _judged(labelled: list[Labelled]) -> dict[tuple[str, str], Counter[str]]:
    """How people judged each detector's findings, by detector and behaviour; last words only."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in labelled:
        last: dict[tuple[str, str], OfFinding] = {}
        for each in one.labels.written:
            if isinstance(each.label, OfFinding):
                last[each.author, each.label.finding] = each.label
        for label in last.values():
            counts[label.detector, label.behaviour][label.answer] += 1
    return counts
