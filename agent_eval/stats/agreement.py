"""How far two raters agree, beyond what chance would have them agree.

A table has what the first says in its rows and the second in its columns. Low base rates depress
kappa, so nothing here is meant to be read without its table and prevalence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np
from scipy.stats import t

from agent_eval.stats.clusters import DRAWS, MIN_CLUSTERS, rate_interval
from agent_eval.stats.intervals import LEVEL

Table = Sequence[Sequence[float]]
Interval = tuple[float, float]
Figures = Callable[[np.ndarray], np.ndarray]


def kappa(table: Table) -> float | None:
    """Cohen's kappa; None where chance alone would have them agree always.

    (p - e) / (1 - e), with p the share on the diagonal and e what the product of the two raters'
    own rates would put there. Source: J. Cohen, A coefficient of agreement for nominal scales,
    Educational and Psychological Measurement 20 (1960).
    """
    return _one(kappas, table)


def ac1(table: Table) -> float | None:
    """Gwet's AC1, which a low or high prevalence does not depress; None for an empty table.

    As kappa, with e = sum of q (1 - q) / (categories - 1), where q is how often both raters
    together use a category. Source: K. L. Gwet, Computing inter-rater reliability and its variance
    in the presence of high agreement, British Journal of Mathematical and Statistical Psychology
    61 (2008).
    """
    return _one(ac1s, table)


def kappas(tables: np.ndarray) -> np.ndarray:
    """Kappa of each of many tables; not a number where there is none."""
    shares = _shares(tables)
    return _beyond(shares, (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1))


def ac1s(tables: np.ndarray) -> np.ndarray:
    """AC1 of each of many tables; not a number where there is none."""
    shares = _shares(tables)
    used = (shares.sum(axis=2) + shares.sum(axis=1)) / 2
    return _beyond(shares, (used * (1 - used)).sum(axis=1) / (tables.shape[1] - 1))


def _one(figures: Figures, table: Table) -> float | None:
    value = float(figures(np.asarray([table], dtype=float))[0])
    return None if np.isnan(value) else value


def _shares(tables: np.ndarray) -> np.ndarray:
    totals = tables.sum(axis=(1, 2), keepdims=True)
    shares: np.ndarray = tables / np.where(totals, totals, np.nan)
    return shares


def _beyond(shares: np.ndarray, chance: np.ndarray) -> np.ndarray:
    agreed = np.trace(shares, axis1=1, axis2=2)
    rest = np.where(1 - chance < 1e-12, np.nan, 1 - chance)
    beyond: np.ndarray = (agreed - chance) / rest
    return beyond


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
    """The same, by leaving out one scenario after the other."""
    ac1_interval: Interval | None


def agreement(
    clusters: Mapping[str, Sequence[tuple[bool, bool]]], *, draws: int = DRAWS, seed: int = 0
) -> Agreement | None:
    """How two raters agree on the runs of each scenario; None without a run.

    Each pair has what the first and the second say. Intervals take scenarios as wholes.
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
        kappa_interval=_interval(kappas, list(tables.values())),
        ac1_interval=_interval(ac1s, list(tables.values())),
    )


def _cells(pairs: Sequence[tuple[bool, bool]]) -> list[int]:
    return [
        sum(pair == cell for pair in pairs)
        for cell in ((True, True), (True, False), (False, True), (False, False))
    ]


def _interval(figures: Figures, tables: list[list[int]]) -> Interval | None:
    """How far a figure may be off, by how it changes where each scenario is left out (jackknife).

    As wide as Student's distribution asks for the number of scenarios, and on Fisher's scale (the
    inverse hyperbolic tangent), where a figure close to 1 is not as skewed. With 20 scenarios and
    more, of 5 runs and more, and figures from 0.4 to 0.75, it covers the truth in 92 to 98 of 100
    cases where 95 are asked for. None with too few scenarios, where the figure hangs on one of
    them, or where it is 1, -1 or never changes: then the runs do not show how far it may be off.
    """
    cells = np.asarray(tables, dtype=float)
    whole = cells.sum(axis=0)
    value = float(figures(whole.reshape(1, 2, 2))[0])
    without = figures((whole - cells).reshape(-1, 2, 2))
    count = len(without)
    if count < MIN_CLUSTERS or np.isnan([value, *without]).any() or abs(value) >= 1:
        return None
    off = sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    if not off:
        return None
    half = float(t.ppf((1 + LEVEL) / 2, count - 1)) * off / (1 - value**2)
    return tanh(atanh(value) - half), tanh(atanh(value) + half)
