"""Rates of probes: pass@k over tasks, with an interval that draws whole tasks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from agent_eval.record.runset import RunSet
from agent_eval.stats.clusters import rate_interval
from agent_eval.stats.figures import probed
from agent_eval.stats.success import pass_at_k

PROBE = "probe-"
"""What the scenario of a probe's run begins with."""
PASSED, LOST = "passed", "lost"


@dataclass(frozen=True)
class Answers:
    """What a model's answers to one task of a probe came to."""

    model: str
    task: str
    """With the probe's name before it, and a slash."""
    counts: Mapping[str, int]


@dataclass(frozen=True)
class ProbeRow:
    """One model on one probe."""

    probe: str
    model: str
    tasks: int
    answers: int
    """Those that were given; what was never asked is among `beside`."""
    rate: float | None
    """Mean over all answers."""
    interval: tuple[float, float] | None
    """By drawing tasks; None where there are too few."""
    pass_at: dict[int, float | None]
    """By k, the mean over tasks; None where one has fewer answers than k."""
    beside: dict[str, int]
    """Answers that failed in a way of their own, by which, and those that are lost."""


def probes_in(runs: RunSet) -> dict[str, list[Answers]]:
    """What came of the tasks of the probes among some runs, by the run."""
    found = {}
    for entry in runs.entries.values():
        if entry.counts and entry.scenario.startswith(PROBE):
            tasks = probed(runs.folder / entry.run)
            if tasks is not None:
                found[entry.run] = [Answers(entry.model, *each) for each in tasks.items()]
    return found


def probe_rows(probes: Iterable[Iterable[Answers]], ks: Sequence[int] = (1,)) -> list[ProbeRow]:
    """A row for each probe and model; several runs of one are taken together."""
    groups: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    for one in chain.from_iterable(probes):
        groups[one.task.partition("/")[0], one.model][one.task].update(one.counts)
    return [_row(*key, groups[key], ks) for key in sorted(groups)]


def _row(probe: str, model: str, tasks: Mapping[str, Counter[str]], ks: Sequence[int]) -> ProbeRow:
    every = sum(tasks.values(), Counter[str]())
    given = every.total() - every[LOST]
    values = {
        name: [1.0] * counts[PASSED] + [0.0] * (counts.total() - counts[LOST] - counts[PASSED])
        for name, counts in tasks.items()
    }
    some = {name: each for name, each in values.items() if each}
    beside = {what: n for what, n in sorted(every.items()) if what not in (PASSED, "failed") and n}
    return ProbeRow(
        probe=probe,
        model=model,
        tasks=len(tasks),
        answers=given,
        rate=every[PASSED] / given if given else None,
        interval=rate_interval(some, seed=0),
        pass_at={k: _mean_pass(values.values(), k) for k in ks},
        beside=beside,
    )


def _mean_pass(tasks: Iterable[Sequence[float]], k: int) -> float | None:
    each = [pass_at_k(len(values), int(sum(values)), k) for values in tasks]
    known = [rate for rate in each if rate is not None]
    return sum(known) / len(known) if known and len(known) == len(each) else None
