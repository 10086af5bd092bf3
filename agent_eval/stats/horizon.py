"""How long a task a model does half of the time, and how that grows with the date of release.

    chance of success = logistic(intercept + coefficient * log2(minutes a person needs))

Source: T. Kwa et al., Measuring AI Ability to Complete Long Tasks (arXiv 2503.14499).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, log

import numpy as np
from scipy.optimize import minimize
from scipy.stats import linregress, t

from agent_eval.errors import OperatorError
from agent_eval.stats.intervals import LEVEL

RIDGE = 0.1
"""Weight of the coefficient's square in the fit, as in the source; it keeps it finite."""
LEAST_MINUTES = 1e-3
"""Below this a horizon is taken as this, before its logarithm."""


@dataclass(frozen=True)
class Success:
    """A fitted curve of success against the length of tasks."""

    coefficient: float
    intercept: float

    def horizon_minutes(self, rate: float = 0.5) -> float:
        """The length, in minutes, of tasks that are done at this rate."""
        return float(2 ** ((log(rate / (1 - rate)) - self.intercept) / self.coefficient))


@dataclass(frozen=True)
class Trend:
    """Exponential growth of the horizon over time."""

    doubling_days: float
    low_days: float
    high_days: float
    """Interval at 95 in 100, from Student's distribution; infinite where it may not grow at all."""
    r_squared: float
    models: int
    intercept: float
    slope: float

    def minutes_at(self, day: date) -> float:
        """The horizon that the trend has at a day."""
        return exp(self.intercept + self.slope * day.toordinal())


def fit_success(
    minutes: Sequence[float], scores: Sequence[float], weights: Sequence[float] | None = None
) -> Success:
    """Fit the curve to one model's runs: score (0 to 1) against the minutes a person needs.

    A score between 0 and 1 counts as that part of a success. Raises `OperatorError` where all runs
    succeed or all fail: then the runs do not say where success ends.
    """
    xs, ys = np.log2(np.asarray(minutes, dtype=float)), np.asarray(scores, dtype=float)
    if not len(xs) or ys.min() == ys.max():
        raise OperatorError("the runs all succeed or all fail; longer or shorter tasks are needed")
    shares = np.ones(len(xs)) if weights is None else np.asarray(weights, dtype=float)
    shares = shares / shares.sum() * len(xs)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logit = parameters[0] * xs + parameters[1]
        value = (shares * (np.logaddexp(0, logit) - ys * logit)).sum()
        error = shares * (1 / (1 + np.exp(-logit)) - ys)
        slope = np.array([(error * xs).sum() + RIDGE * parameters[0], error.sum()])
        return float(value + RIDGE * parameters[0] ** 2 / 2), slope

    found = minimize(loss, np.array([-0.5, 0.0]), jac=True, method="L-BFGS-B")
    return Success(float(found.x[0]), float(found.x[1]))


def trend(released: Sequence[date], horizon_minutes: Sequence[float]) -> Trend:
    """The doubling time of the horizon: a line through its logarithm over days."""
    if len(set(released)) < 3:
        raise OperatorError("a trend needs models of at least 3 different days")
    days = np.array([day.toordinal() for day in released], dtype=float)
    values = np.log(np.maximum(np.asarray(horizon_minutes, dtype=float), LEAST_MINUTES))
    line = linregress(days, values)
    off = float(t.ppf((1 + LEVEL) / 2, len(days) - 2)) * float(line.stderr)
    slope = float(line.slope)
    return Trend(
        doubling_days=_doubling(slope),
        low_days=_doubling(slope + off),
        high_days=_doubling(slope - off),
        r_squared=float(line.rvalue) ** 2,
        models=len(days),
        intercept=float(line.intercept),
        slope=slope,
    )


def trend_interval(
    released: Sequence[date], horizon_minutes: Sequence[float], *, draws: int = 10_000, seed: int
) -> tuple[float, float]:
    """The doubling time's interval, in days, by drawing models with replacement."""
    days = np.array([day.toordinal() for day in released], dtype=float)
    values = np.log(np.maximum(np.asarray(horizon_minutes, dtype=float), LEAST_MINUTES))
    drawn = np.random.default_rng(seed).integers(0, len(days), size=(draws, len(days)))
    xs, ys = days[drawn], values[drawn]
    xs = xs - xs.mean(axis=1, keepdims=True)
    around = (xs**2).sum(axis=1)
    kept = around > 0
    slopes = (xs * ys).sum(axis=1)[kept] / around[kept]
    low, high = np.quantile(slopes, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return _doubling(high), _doubling(low)


def _doubling(slope: float) -> float:
    return log(2) / slope if slope > 0 else float("inf")
