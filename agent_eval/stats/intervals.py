"""How far a rate may be off, from the number of trials alone."""

from math import sqrt
from statistics import NormalDist

LEVEL = 0.95
SHOWN_RUNS, SHOWN_RATES = 30, (0.1, 0.9)
"""From how many runs on, and between what rates, `LEVEL` was shown to hold within 92 to 98."""


def wilson(hits: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """Between what and what the true rate lies, by Wilson's score interval.

    `hits` out of `of` independent trials; two-sided at `level`. Without a trial, 0 to 1. Source:
    E. B. Wilson, Probable inference, JASA 22 (1927). Holds for 30 trials and more with rates from
    0.1 to 0.9 within 92 to 98 in 100 where 95 is asked for.
    """
    return (
        score_interval(hits / of, of, NormalDist().inv_cdf((1 + level) / 2)) if of else (0.0, 1.0)
    )


def score_interval(rate: float, of: float, deviations: float) -> tuple[float, float]:
    """The same for a rate worth `of` independent trials, so many deviations to each side."""
    square = deviations**2
    middle = rate + square / (2 * of)
    half = sqrt(square * (rate * (1 - rate) / of + square / (4 * of * of)))
    whole = 1 + square / of
    return max((middle - half) / whole, 0.0), min((middle + half) / whole, 1.0)
