"""How far two raters agree, beyond what chance would have them agree.

A table has what the first says in its rows and the second in its columns. Low base rates depress
kappa, so nothing here is meant to be read without its table and prevalence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent_eval.stats.clusters import DRAWS, MIN_CLUSTERS, rate_interval, sums_drawn
from agent_eval.stats.intervals import LEVEL

Table = Sequence[Sequence[float]]
Interval = tuple[float, float]

LEAST_DEFINED = 0.9
"""Part of the draws that must have a figure for an interval to be made of them."""


def kappa(table: Table) -> float | None:
    """Cohen's kappa; None where chance alone would have them agree always.

    (p - e) / (1 - e), with p the share on the diagonal and e what the product of the two raters'
    own rates would put there. Source: J. Cohen, A coefficient of agreement for nominal scales,
    Educational and Psychological Measurement 20 (1960).
    """
    shares = _shares(table)
    if shares is None:
        return None
    return _beyond(shares, float(shares.sum(axis=1) @ shares.sum(axis=0)))


def ac1(table: Table) -> float | None:
    """Gwet's AC1, which a low or high prevalence does not depress; None for an empty table.

    As kappa, with e = sum of q (1 - q) / (categories - 1), where q is how often both raters
    together use a category. Source: K. L. Gwet, Computing inter-rater reliability and its variance
    in the presence of high agreement, British Journal of Mathematical and Statistical Psychology
    61 (2008).
    """
    shares = _shares(table)
    if shares is None:
        return None
    used = (shares.sum(axis=1) + shares.sum(axis=0)) / 2
    return _beyond(shares, float((used * (1 - used)).sum() / (len(used) - 1)))


def _shares(table: Table) -> "np.ndarray | None":
    counts = np.asarray(table, dtype=float)
    return counts / counts.sum() if counts.sum() else None


def _beyond(shares: np.ndarray, chance: float) -> float | None:
    agreed = float(np.trace(shares))
    return None if 1 - chance < 1e-12 else (agreed - chance) / (1 - chance)


@dataclass(frozen=True)
class Agreement:
    """Two raters over runs that both rated: 2x2, and what follows from it."""

    both: int
    """Both say yes."""
    first: int
    """Only the first does."""
    second: int
    """Only the second does."""
    neither: int
    """Both say no."""
    agreed: float
    """Share of runs on which they say the same."""
    prevalence: float
    """Share of runs of which the second says yes."""
    kappa: float | None
    ac1: float | None
    agreed_interval: Interval | None
    """At 95 in 100, by drawing scenarios; None where there are too few."""
    kappa_interval: Interval | None
    ac1_interval: Interval | None


def agreement(
    clusters: Mapping[str, Sequence[tuple[bool, bool]]], *, draws: int = DRAWS, seed: int = 0
) -> Agreement | None:
    """How two raters agree on the runs of each scenario; None without a run.

    Each pair has what the first and the second say. Intervals draw whole scenarios.
    """
    tables = {name: _cells(pairs) for name, pairs in clusters.items() if pairs}
    if not tables:
        return None
    both, first, second, neither = map(int, np.sum(list(tables.values()), axis=0))
    whole = ((both, first), (second, neither))
    of = both + first + second + neither
    same = {name: [float(a == b) for a, b in pairs] for name, pairs in clusters.items() if pairs}
    return Agreement(
        *(both, first, second, neither),
        agreed=(both + neither) / of,
        prevalence=(both + second) / of,
        kappa=kappa(whole),
        ac1=ac1(whole),
        agreed_interval=rate_interval(same, draws=draws, seed=seed),
        kappa_interval=_drawn_interval(kappa, list(tables.values()), draws, seed),
        ac1_interval=_drawn_interval(ac1, list(tables.values()), draws, seed),
    )


def _cells(pairs: Sequence[tuple[bool, bool]]) -> list[int]:
    return [
        sum(pair == cell for pair in pairs)
        for cell in ((True, True), (True, False), (False, True), (False, False))
    ]


def _drawn_interval(
    figure: Callable[[Table], float | None], tables: list[list[int]], draws: int, seed: int
) -> Interval | None:
    """Quantiles of a figure over tables that are sums of drawn ones.

    None where there are too few scenarios, where too many draws have no such figure, or where all
    draws have the same: then the runs do not show how far it may be off.
    """
    if len(tables) < MIN_CLUSTERS:
        return None
    sums = sums_drawn(np.asarray(tables, dtype=float), draws, seed)
    distinct, counts = np.unique(sums, axis=0, return_counts=True)
    figures = [figure(cells.reshape(2, 2)) for cells in distinct]
    kept = [
        (value, count) for value, count in zip(figures, counts, strict=True) if value is not None
    ]
    if sum(count for _, count in kept) < LEAST_DEFINED * draws:
        return None
    values = np.repeat([value for value, _ in kept], [count for _, count in kept])
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return None if low == high else (float(low), float(high))
