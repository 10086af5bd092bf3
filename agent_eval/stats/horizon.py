"""How long a task a model does half of the time, and how that grows with the date of release.

    chance of success = logistic(intercept + coefficient * log2(minutes a person needs))

Source: T. Kwa et al., Measuring AI Ability to Complete Long Tasks (arXiv 2503.14499).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np
from scipy.optimize import minimize
from scipy.stats import linregress, t

from agent_eval.errors import NotThisForm, OperatorError
from agent_eval.stats.intervals import LEVEL
from agent_eval.stats.laws import Law, Predicted
from agent_eval.stats.problems import Tries

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


# --- what they foretell -------------------------------------------------------------------------

DRAWS = 2000
_STEPS = 40
_CLOSE = 1e-6
_EDGES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def trend_law(released: Sequence[date], horizon_minutes: Sequence[float]) -> Law:
    """The trend as a form that foretells the horizon of a model by its day (an ordinal).

    Its interval is Student's, for one more model. Raises `NotThisForm` where horizons do not grow.
    """
    line = trend(released, horizon_minutes)
    if line.slope <= 0:
        raise NotThisForm("horizons do not grow with the day of release: nothing is extrapolated")
    days = np.array([day.toordinal() for day in released], dtype=float)
    values = np.log(np.maximum(np.asarray(horizon_minutes, dtype=float), LEAST_MINUTES))
    rest = values - (line.intercept + line.slope * days)
    spread = float(np.sqrt((rest**2).sum() / (len(days) - 2)))
    around = float(((days - days.mean()) ** 2).sum())
    student = float(t.ppf(_EDGES[1], len(days) - 2))

    def predict(at: float) -> Predicted:
        value = line.intercept + line.slope * at
        far = (at - float(days.mean())) ** 2 / around
        error = student * spread * float(np.sqrt(1 + 1 / len(days) + far))
        return Predicted(at, exp(value), exp(value - error), exp(value + error))

    doubling = (line.doubling_days, line.low_days, line.high_days)
    parameters = {
        "doubling_days": doubling,
        "r_squared": (line.r_squared, line.r_squared, line.r_squared),
    }
    return Law("trend", parameters, len(days), predict)


def success_law(
    minutes: Sequence[float], tries: Sequence[Tries], *, draws: int = DRAWS, seed: int = 0
) -> tuple[Law, Callable[[Sequence[float]], Predicted]]:
    """One model's curve with intervals, by drawing tasks; and what it foretells of other tasks.

    The second foretells the mean success over tasks of these lengths, tried once each: its interval
    holds the chance of those tries as well. Draws whole tasks, so tasks are taken to be independent
    of each other; families of alike tasks make it too narrow. Raises as `fit_success`.
    """
    xs = np.log2(np.asarray(minutes, dtype=float))
    hits = np.array([one.hits for one in tries], dtype=float)
    trials = np.array([one.trials for one in tries], dtype=float)
    curve = fit_success(minutes, (hits / trials).tolist(), trials.tolist())
    alike = len(xs) / float(trials.sum())  # what a weight is in `fit_success`
    drawn = _drawn_curves(xs, hits * alike, trials * alike, draws, seed)
    edges = _wider_edges(len(xs))

    def chances(lengths: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-(drawn[:, :1] * np.log2(lengths) + drawn[:, 1:]))))

    def predict(at: float) -> Predicted:
        low, high = np.quantile(chances(np.array([at])), edges).tolist()
        return Predicted(at, _chance(curve, at), low, high)

    def over(lengths: Sequence[float]) -> Predicted:
        each = chances(np.asarray(lengths, dtype=float))
        means = np.random.default_rng(seed).binomial(1, each).mean(axis=1)
        low, high = np.quantile(means, edges).tolist()
        value = sum(_chance(curve, length) for length in lengths) / len(lengths)
        middle = float(2 ** np.log2(np.asarray(lengths, dtype=float)).mean())
        return Predicted(middle, value, low, high)

    parameters = {
        "coefficient": _with_edges(curve.coefficient, drawn[:, 0], edges),
        "intercept": _with_edges(curve.intercept, drawn[:, 1], edges),
        **{
            f"p{rate}_minutes": _with_edges(
                curve.horizon_minutes(rate / 100),
                2 ** np.clip((log(rate / (100 - rate)) - drawn[:, 1]) / drawn[:, 0], -99, 99),
                edges,
            )
            for rate in (50, 80)
        },
    }
    return Law("success", parameters, len(xs), predict), over


def _chance(curve: Success, minutes: float) -> float:
    return 1 / (1 + exp(-(curve.coefficient * float(np.log2(minutes)) + curve.intercept)))


def _with_edges(
    value: float, drawn: np.ndarray, edges: tuple[float, float]
) -> tuple[float, float, float]:
    low, high = np.quantile(drawn, edges).tolist()
    return value, low, high


def _wider_edges(tasks: int) -> tuple[float, float]:
    """Which quantiles of the draws to take: further out than `LEVEL` says, the fewer tasks.

    Draws of few tasks differ less than the tasks do, and by a distribution with shorter tails than
    Student's. Source: T. Hesterberg, What Teachers Should Know About the Bootstrap, The American
    Statistician 69 (2015), on expanded percentile intervals.
    """
    free = max(tasks - 2, 1)
    deviations = float(t.ppf(_EDGES[1], free)) * sqrt(tasks / free)
    outside = NormalDist().cdf(-deviations)
    return outside, 1 - outside


def _drawn_curves(
    xs: np.ndarray, hits: np.ndarray, trials: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """Coefficient and intercept of so many fits, each to as many tasks drawn with replacement.

    Newton's method on all of them at once. Draws that all succeed or all fail are left out.
    """
    random = np.random.default_rng(seed)
    counts = random.multinomial(len(xs), np.full(len(xs), 1 / len(xs)), size=draws).astype(float)
    all_hits, all_trials = counts @ hits, counts @ trials
    counts = counts[(all_hits > 0) & (all_hits < all_trials)]
    found = np.tile([-0.5, 0.0], (len(counts), 1))
    going = np.arange(len(counts))
    for _ in range(_STEPS):
        step = _newton(xs, counts[going], (hits, trials), found[going])
        found[going] -= step
        going = going[np.abs(step).max(axis=1) > _CLOSE]
        if not len(going):
            break
    return found


def _newton(
    xs: np.ndarray, counts: np.ndarray, tries: tuple[np.ndarray, np.ndarray], at: np.ndarray
) -> np.ndarray:
    """One step of the search for each draw, from where it is."""
    hits, trials = tries
    chance = 1 / (1 + np.exp(-np.clip(at[:, :1] * xs + at[:, 1:], -60, 60)))
    off = counts * (trials * chance - hits)
    bend = counts * trials * chance * (1 - chance)
    slope = np.stack([(off * xs).sum(1) + RIDGE * at[:, 0], off.sum(1)], axis=1)
    a, b, c = (bend * xs**2).sum(1) + RIDGE, (bend * xs).sum(1), bend.sum(1) + 1e-9
    whole = np.maximum(a * c - b * b, 1e-12)
    step = np.stack([c * slope[:, 0] - b * slope[:, 1], a * slope[:, 1] - b * slope[:, 0]], 1)
    return np.asarray(np.clip(step / whole[:, None], -1, 1))
