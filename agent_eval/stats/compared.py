"""Two models, or two prompts, on the same scenarios: whether one is better, or it is chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np

EXACT_UP_TO = 14
"""Scenarios with a difference, up to which all ways of swapping are tried."""
DRAWS = 20_000


@dataclass(frozen=True)
class Comparison:
    """What came of it."""

    difference: float
    """Mean over the shared scenarios of the first one's rate less the second one's."""
    p: float
    """How often chance alone makes as large a difference, in either direction."""
    shared: int
    left_out: tuple[str, ...]
    """Scenarios that only one of them has."""
    exact: bool


def paired(
    first: Mapping[str, float], second: Mapping[str, float], *, seed: int = 0
) -> Comparison | None:
    """Compare mean rates by scenario, by swapping the two at random in each (sign flips).

    Exact where at most `EXACT_UP_TO` scenarios differ, else by `DRAWS` seeded swaps, of which the
    one that was seen counts as one. None where they share no scenario. Source: R. A. Fisher's
    randomisation test for paired samples.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return None
    all_differences = [first[name] - second[name] for name in shared]
    differing = np.array([each for each in all_differences if each])
    exact = len(differing) <= EXACT_UP_TO
    p = _exactly(differing) if exact else _drawn(differing, seed)
    left_out = tuple(sorted(first.keys() ^ second.keys()))
    return Comparison(sum(all_differences) / len(shared), p, len(shared), left_out, exact)


def _exactly(differences: np.ndarray) -> float:
    if not len(differences):
        return 1.0
    signs = np.array(list(product((1, -1), repeat=len(differences))))
    return float(_as_large(signs @ differences, differences).mean())


def _drawn(differences: np.ndarray, seed: int) -> float:
    signs = np.random.default_rng(seed).choice((1, -1), size=(DRAWS, len(differences)))
    as_large = np.count_nonzero(_as_large(signs @ differences, differences))
    return (as_large + 1) / (DRAWS + 1)


def _as_large(sums: np.ndarray, differences: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(sums) >= abs(differences.sum()) - 1e-9)


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p of pairs of single runs of which only one succeeded (exact binomial)."""
    discordant = only_first + only_second
    tail = sum(comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << discordant))
