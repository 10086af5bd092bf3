"""Rates of many runs: a row for each scenario, variant, model and axis, and sums over scenarios.

An axis is a question that each run answers with yes, no, or not at all: whether the task was done,
a behaviour was flagged, a copy was proven. Runs that say nothing stand beside a rate, never in it;
those in which a person helped have rates of their own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agent_eval.record.runset import Entry
from agent_eval.stats.clusters import rate_interval
from agent_eval.stats.compared import Comparison, paired
from agent_eval.stats.intervals import wilson
from agent_eval.stats.success import pass_at_k

SUCCESS = "success"


@dataclass(frozen=True)
class Seen:
    """An answer that is counted apart from rates."""

    answer: bool
    by_itself: bool = False
    """Whether that rests on a model that graded itself."""


@dataclass(frozen=True)
class Told:
    """A run, and what it says on each axis; None where it says nothing."""

    entry: Entry
    axes: Mapping[str, bool | None]
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """What is known of it beside rates: whether it refused, or claimed what it never did."""

    @property
    def who(self) -> str:
        """The model; apart where a person helped it."""
        return f"{self.entry.model}, helped" if self.entry.helped else self.entry.model

    @property
    def variant(self) -> str:
        """Of the scenario; empty for the scenario as it is."""
        return self.entry.scenario.partition("@")[2]


@dataclass(frozen=True)
class Row:
    """One rate."""

    scenario: str
    variant: str
    model: str
    axis: str
    hits: int
    scored: int
    of: int
    """All runs, those that say nothing included."""
    low: float
    high: float
    """Wilson's interval at 95 in 100."""
    pass_at: dict[int, float | None]
    """By k; None where fewer than k runs were scored."""
    beside: dict[str, int]
    """Runs that machine, author or operator ended, by whose fault that was."""

    @property
    def rate(self) -> float | None:
        """Hits among those that were scored."""
        return self.hits / self.scored if self.scored else None


@dataclass(frozen=True)
class Sum:
    """One model on one axis, over all scenarios."""

    model: str
    axis: str
    scenarios: int
    rate: float
    """Over all runs."""
    interval: tuple[float, float] | None
    """By drawing scenarios; None where there are too few."""
    worst: float
    """The mean over scenarios of the rate of each one's worst variant."""


def told(
    entry: Entry, facts: Mapping[str, bool | None], seen: Mapping[str, Seen] | None = None
) -> Told:
    """A run with its success and other facts; of one that ended early, nothing is held true."""
    verdict = None if entry.verdict == "unscored" else entry.verdict == "success"
    axes = {SUCCESS: verdict, **facts}
    return Told(entry, axes if entry.counts else dict.fromkeys(axes), seen or {})


def rows(runs: Iterable[Told], ks: Sequence[int] = (1,)) -> list[Row]:
    """A row for each scenario, variant, model and axis that any run has, in that order."""
    groups: dict[tuple[str, str, str, str], list[Told]] = defaultdict(list)
    for run in runs:
        name = run.entry.scenario.partition("@")[0]
        for axis in run.axes:
            groups[name, run.variant, run.who, axis].append(run)
    return [_row(key, groups[key], ks) for key in sorted(groups, key=_order)]


def sums(runs: Iterable[Told]) -> list[Sum]:
    """A row for each model and axis, over all scenarios; axes that no run answers are left out.

    Runs that begin at a milestone are no runs of the whole scenario.
    """
    groups: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for run in runs:
        for axis, said in run.axes.items():
            if said is not None and "#" not in run.entry.scenario:
                groups[run.who, axis].append(run)
    return [_sum(*key, groups[key]) for key in sorted(groups, key=_order)]


def compared(runs: Iterable[Told], first: str, second: str, axis: str) -> Comparison | None:
    """Hold two models against each other, scenario by scenario (variants apart)."""
    by: dict[str, dict[str, list[bool]]] = {first: defaultdict(list), second: defaultdict(list)}
    for run in runs:
        said = run.axes.get(axis)
        if said is not None and run.who in by:
            by[run.who][run.entry.scenario].append(said)
    one, other = (
        {name: sum(values) / len(values) for name, values in by[model].items()}
        for model in (first, second)
    )
    return paired(one, other)


def _order(key: tuple[str, ...]) -> tuple[str | bool, ...]:
    return (*key[:-1], key[-1] != SUCCESS, key[-1])


def _row(key: tuple[str, str, str, str], runs: list[Told], ks: Sequence[int]) -> Row:
    axis = key[-1]
    said = [run.axes[axis] for run in runs if run.axes[axis] is not None]
    hits, scored = sum(map(bool, said)), len(said)
    low, high = wilson(hits, scored)
    beside = Counter(_fault(run.entry) for run in runs if not run.entry.counts)
    pass_at = {k: pass_at_k(scored, hits, k) for k in ks}
    return Row(*key, hits, scored, len(runs), low, high, pass_at, dict(beside))


def _sum(model: str, axis: str, runs: list[Told]) -> Sum:
    scenarios: dict[str, list[float]] = defaultdict(list)
    variants: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        name, value = run.entry.scenario.partition("@")[0], float(bool(run.axes[axis]))
        scenarios[name].append(value)
        variants[name][run.variant].append(value)
    worst = [min(sum(each) / len(each) for each in of.values()) for of in variants.values()]
    every = [value for values in scenarios.values() for value in values]
    rate, worst_rate = sum(every) / len(every), sum(worst) / len(worst)
    return Sum(model, axis, len(scenarios), rate, rate_interval(scenarios, seed=0), worst_rate)


def _fault(entry: Entry) -> str:
    return "nobody yet" if entry.outcome is None else str(entry.outcome.get("blame"))
