"""How far parameters of the loss law may lie from the fitted ones, tied to each other as they are.

All those with which the curve fits not clearly worse than the best: the sum of squares may be
`1 + F / (n - 3)` times the least, F of 1 and n - 3 degrees of freedom (profile likelihood; Bates
and Watts 1988, Nonlinear Regression Analysis and Its Applications, section 6.1). An interval by the
slopes at the best fit would be too short: floor and exponent make up for each other far from it.
"""

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.stats import f

from agent_eval.stats.intervals import LEVEL

FLATTEST, STEEPEST = 1e-4, 20.0
"""Exponents, without their sign, beyond which nothing is looked for."""
EXPONENTS = 400
"""At how many of them the other two parameters are looked at."""

Interval = tuple[float, float]


def loss_intervals(xs: np.ndarray, ys: np.ndarray, b: float) -> dict[str, Interval]:
    """Low and high of `a`, `b` and `c` in `a C^b + c`; `b` is the fitted one, below 0.

    With `b` held, the law is a line in `C^b`, whose two parameters have a closed form.
    """
    logs = np.log(xs)
    left = len(xs) - 3
    allowed = _given(logs, ys, b)[0] * (1 + float(f.ppf(LEVEL, 1, left)) / left)

    def over(steepness: float) -> float:
        return _given(logs, ys, -exp(steepness))[0] - allowed

    flat, steep = (_crossing(over, log(-b), log(end)) for end in (FLATTEST, STEEPEST))
    found = [_given(logs, ys, -exp(each), allowed) for each in np.linspace(flat, steep, EXPONENTS)]
    factors, floors = (np.array(each) for each in zip(*(one[1:] for one in found), strict=True))
    return {
        "a": (float(factors.min()), float(factors.max())),
        "b": (-exp(steep), -exp(flat)),
        "c": (float(floors.min()), float(floors.max())),
    }


def _crossing(over: Callable[[float], float], inside: float, end: float) -> float:
    """Where it gets above 0 on the way to an end; the end if it does not."""
    if over(end) <= 0:
        return end
    return float(brentq(over, inside, end))


def _given(
    logs: np.ndarray, ys: np.ndarray, b: float, allowed: float | None = None
) -> tuple[float, Interval, Interval]:
    """The least sum of squares with `b` held, and what `a` and `c` may be up to `allowed`."""
    middle = float(logs.mean())
    part = np.exp(np.clip(b * (logs - middle), None, 300))
    about = part - part.mean()
    factor = float(about @ ys) / float(about @ about)
    floor = float(ys.mean() - factor * part.mean())
    if floor < 0:  # the law has none
        factor, floor = float(part @ ys) / float(part @ part), 0.0
    least = float(((ys - factor * part - floor) ** 2).sum())
    room = max((allowed or least) - least, 0.0)
    off = sqrt(room / float(about @ about))
    unit = exp(min(-b * middle, 600))  # `a` as it is in the unit of compute that was given
    off_floor = sqrt(room * float(part @ part) / len(ys) / float(about @ about))
    return (
        least,
        (max(factor - off, 0.0) * unit, (factor + off) * unit),
        (max(floor - off_floor, 0.0), floor + off_floor),
    )
