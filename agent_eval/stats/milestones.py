"""How far away milestones are: the rate at which each is reached from the one before, in bits."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from agent_eval.stats.bits import milestone_bits, upper_bound
from agent_eval.stats.tables import SUCCESS, Told

MARK = "#"
"""What stands between a scenario and the milestone that a run of it is to reach."""


@dataclass(frozen=True)
class Reached:
    """One milestone and one model."""

    scenario: str
    """With its variant."""
    milestone: str
    model: str
    hits: int
    of: int
    bits: float | None
    """What reaching it costs; None where it was never reached."""
    at_most: float
    """The rate that is not exceeded, one-sided at 97.5 in 100."""


def milestone_rows(runs: Iterable[Told]) -> list[Reached]:
    """A row for each milestone and model, over the runs that were to reach it and were judged."""
    groups: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for run in runs:
        scenario, mark, milestone = run.entry.scenario.partition(MARK)
        said = run.axes.get(SUCCESS)
        if mark and said is not None:
            groups[scenario, milestone, run.entry.model].append(said)
    return [_row(*key, groups[key]) for key in sorted(groups)]


def _row(scenario: str, milestone: str, model: str, said: list[bool]) -> Reached:
    hits, of = sum(said), len(said)
    bound = upper_bound(hits, of)
    bits = milestone_bits(hits, of) if hits else None
    return Reached(scenario, milestone, model, hits, of, bits, bound)
