"""Operating points: how much a rater with a score finds where it may be wrong only so often.

A rater that says yes from some score on finds more the lower that is, and flags more that is not
so. The threshold is chosen on the same runs, so that few runs flatter it; counts are given beside
each share for that reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass

RATES = (0.001, 0.01, 0.05)
"""Shares of what is not so that may be flagged: 0.1, 1 and 5 %."""


@dataclass(frozen=True)
class Point:
    """What is found at a threshold that flags no more than `rate` of what is not so."""

    rate: float
    least: float | None
    """The lowest score that says yes; None where none keeps to the rate."""
    found: int
    of: int
    """Of these, which are so."""
    wrong: int
    others: int
    """Of these, which are not."""


def points(scored: Iterable[tuple[float, bool]], rates: Iterable[float] = RATES) -> list[Point]:
    """The best threshold at each rate, of pairs of a score and whether it is so.

    Scores of nothing (0 or less) never say yes. There is no point where none is so, or all are.
    """
    given = list(scored)
    yes = [score for score, so in given if so]
    no = [score for score, so in given if not so]
    if not yes or not no:
        return []
    found = []
    for rate in rates:
        best = Point(rate, None, 0, len(yes), 0, len(no))
        for least in sorted({score for score, _ in given if score > 0}, reverse=True):
            wrong = sum(score >= least for score in no)
            if wrong > rate * len(no):
                break
            hits = sum(score >= least for score in yes)
            best = Point(rate, least, hits, len(yes), wrong, len(no))
        found.append(best)
    return found
