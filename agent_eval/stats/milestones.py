"""How far away milestones are: the rate at which each is reached from the one before, in bits.

Where a model never gets there by itself, an expert who picks among its replies may get it there:
what the picks cost is added up over the run (`run --best-of`). Runs in which a person helped are in
no rate of the model.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

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
    expert_hits: int = 0
    """Runs that reached it, of those in which an expert picked."""
    expert_of: int = 0
    expert_bits: float | None = None
    """What the picks cost, on average over the runs that reached it."""

    @property
    def cost(self) -> float | None:
        """Bits by its own rate, else by an expert's picks; None where neither got there."""
        return self.expert_bits if self.bits is None else self.bits


@dataclass(frozen=True)
class Way:
    """All milestones of a scenario with one model."""

    scenario: str
    model: str
    milestones: int
    bits: float | None
    """What all of them cost together; None where one was never reached in any way."""


def milestone_rows(runs: Iterable[Told]) -> list[Reached]:
    """A row for each milestone and model, over the runs that were to reach it and were judged."""
    groups: dict[tuple[str, str, str], list[tuple[bool, Told]]] = defaultdict(list)
    for run in runs:
        scenario, mark, milestone = run.entry.scenario.partition(MARK)
        said = run.axes.get(SUCCESS)
        if mark and said is not None:
            groups[scenario, milestone, run.entry.model].append((said, run))
    return [_row(*key, groups[key]) for key in sorted(groups)]


def ways(rows: Iterable[Reached]) -> list[Way]:
    """What all milestones of a scenario cost together, where more than one was tried for."""
    groups: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for row in rows:
        groups[row.scenario, row.model].append(row.cost)
    return [
        Way(*key, len(costs), None if None in costs else sum(each or 0.0 for each in costs))
        for key, costs in sorted(groups.items())
        if len(costs) > 1
    ]


def _row(scenario: str, milestone: str, model: str, runs: list[tuple[bool, Told]]) -> Reached:
    alone = [said for said, run in runs if not run.entry.helped]
    picked = [(said, run.entry.choice_bits) for said, run in runs if run.entry.only_picked]
    hits, of = sum(alone), len(alone)
    costs = [bits for said, bits in picked if said and bits is not None]
    return Reached(
        *(scenario, milestone, model, hits, of),
        bits=milestone_bits(hits, of) if hits else None,
        at_most=upper_bound(hits, of),
        expert_hits=sum(said for said, _ in picked),
        expert_of=len(picked),
        expert_bits=mean(costs) if costs else None,
    )
