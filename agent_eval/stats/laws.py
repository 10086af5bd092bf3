"""Loss and capability as powers of training compute, fitted on small models.

    loss        L(C) = a C^b + c,                    a > 0 > b, c >= 0
    capability  -mean over P of log pass_rate(C) = alpha C^-k,   alpha, k > 0

Source: GPT-4 Technical Report (arXiv 2303.08774), section 3. Data that do not fall with compute are
not of these forms, and are refused: nothing is extrapolated from what gets worse with scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.optimize import curve_fit, isotonic_regression
from scipy.stats import linregress, t

from agent_eval.errors import NotThisForm, OperatorError
from agent_eval.stats.intervals import LEVEL
from agent_eval.stats.tied import loss_intervals

FALLS = 0.8
"""The least part of the variance that the best falling curve must account for."""


@dataclass(frozen=True)
class Predicted:
    """A value that was not measured, and between what and what it will lie."""

    at: float
    """Where on the form's axis: compute, a day, or minutes."""
    value: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Law:
    """A fitted form."""

    form: str
    parameters: dict[str, tuple[float, float, float]]
    """Each with its interval: value, low, high."""
    points: int
    predict: Callable[[float], Predicted]


def loss_law(compute: Sequence[float], loss: Sequence[float]) -> Law:
    """Fit the loss law by least squares; compute in any unit, of 5 models and more.

    Raises `NotThisForm` where losses do not fall with compute.
    """
    xs, ys = _arrays(compute, loss, at_least=5)
    _must_fall(xs, ys)
    scale = float(np.exp(np.log(xs).mean()))
    start = _start(xs / scale, ys)
    try:
        fitted, covariance = curve_fit(
            _loss,
            xs / scale,
            ys,
            p0=start,
            maxfev=20_000,
            bounds=([-50, -10, 0], [50, 3, ys.min()]),
        )
    except RuntimeError as error:
        raise NotThisForm(f"no curve of this form could be fitted: {error}") from error
    spread = _spread(ys - _loss(xs / scale, *fitted), 3)
    student = float(t.ppf((1 + LEVEL) / 2, len(xs) - 3))

    def predict(at: float) -> Predicted:
        slope = _slope(fitted, at / scale)
        error = student * float(np.sqrt(slope @ covariance @ slope + spread**2))
        value = float(_loss(np.array([at / scale]), *fitted)[0])
        return Predicted(at, value, value - error, value + error)

    log_a, log_b, c = map(float, fitted)
    b = -exp(log_b)
    tied = loss_intervals(xs, ys, b)
    values = {"a": exp(log_a - b * log(scale)), "b": b, "c": c}
    parameters = {name: (value, *tied[name]) for name, value in values.items()}
    return Law("loss", parameters, len(xs), predict)


@dataclass(frozen=True)
class Tried:
    """How many tries a value rests on, as its chance goes with that."""

    fitted: int
    """Of each problem, by the fitted models."""
    target: int
    """The same, by the one that is foretold."""
    problems: int

    def chance(self, value: float, tries: int) -> float:
        """The variance of the logarithm of a value by its tries alone.

        Of a pass rate p, seen in n tries, the logarithm has the variance (1 - p) / (n p), taken
        here with one p for all problems.
        """
        return (exp(min(value, 700)) - 1) / (tries * self.problems * value**2)


def capability_law(
    compute: Sequence[float], minus_log: Sequence[float], tried: Tried | None = None
) -> Law:
    """Fit the capability law as a line in logarithms; of 3 models and more.

    `minus_log` is the mean over the problems of the negative logarithm of the pass rate, one value
    a model. Raises `NotThisForm` where it does not fall with compute or is not positive.

    A prediction is of a value as it will be seen. The fitted models lie off the curve by their own
    chance and by what is particular to each; only the second is the target's as well, and to it
    comes the chance of its own tries, which weighs more close to 0. Without `tried`, all that they
    lie off is taken for the second. With 5 and 7 models, 8 problems of 12 to 200 tries, targets at
    10 to 1,000 times the compute and models that lie off by 0 to 10 %, it covers what comes 92 to
    98 times in 100 where 95 is asked for; with fewer models nothing was measured.
    """
    xs, ys = _arrays(compute, minus_log, at_least=3)
    if (ys <= 0).any():
        raise NotThisForm("a model that always passes has no place on a curve of this form")
    _must_fall(xs, ys)
    line = linregress(np.log(xs), np.log(ys))
    if line.slope >= 0:
        raise NotThisForm("the pass rate does not rise with compute")
    curve = line.intercept + line.slope * np.log(xs)
    variance = _spread(np.log(ys) - curve, 2) ** 2
    student = float(t.ppf((1 + LEVEL) / 2, len(xs) - 2))
    middle, around = float(np.log(xs).mean()), float(((np.log(xs) - np.log(xs).mean()) ** 2).sum())
    fitted = [tried.chance(exp(value), tried.fitted) for value in curve] if tried else [0.0]
    particular = max(variance - sum(fitted) / len(fitted), 0.0)

    def predict(at: float) -> Predicted:
        value = line.intercept + line.slope * log(at)
        of_curve = variance * (1 / len(xs) + (log(at) - middle) ** 2 / around)
        chance = tried.chance(exp(value), tried.target) if tried else 0.0
        normal = NormalDist().inv_cdf((1 + LEVEL) / 2)
        error = hypot(student * sqrt(of_curve + particular), normal * sqrt(chance))
        return Predicted(at, exp(value), exp(value - error), exp(value + error))

    parameters = {
        "alpha": _exp_interval(float(line.intercept), student * float(line.intercept_stderr)),
        "k": (
            -float(line.slope),
            -float(line.slope + student * line.stderr),
            -float(line.slope - student * line.stderr),
        ),
    }
    return Law("capability", parameters, len(xs), predict)


def _arrays(
    compute: Sequence[float], values: Sequence[float], at_least: int
) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = np.asarray(compute, dtype=float), np.asarray(values, dtype=float)
    if len(xs) != len(ys) or not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise OperatorError("every model needs its compute and its value, both finite numbers")
    if (xs <= 0).any():
        raise OperatorError("compute is a positive number, in any unit")
    if len(set(xs.tolist())) < at_least:
        raise OperatorError(
            f"{len(set(xs.tolist()))} different amounts of compute do not settle this form; "
            f"it needs {at_least}"
        )
    order = np.argsort(xs, kind="stable")
    return xs[order], ys[order]


def _must_fall(xs: np.ndarray, ys: np.ndarray) -> None:
    """Refuse what gets no better, or worse again, with compute."""
    levels = np.array([ys[xs == x].mean() for x in dict.fromkeys(xs.tolist())])
    about = float(((levels - levels.mean()) ** 2).sum())
    falling = isotonic_regression(levels, increasing=False).x
    left = float(((levels - falling) ** 2).sum())
    if about == 0 or 1 - left / about < FALLS:
        raise NotThisForm(
            "the values do not fall with compute (the best falling curve leaves "
            f"{1 if about == 0 else left / about:.0%} of their variance): not this form. Nothing "
            "is extrapolated from a measure that gets worse with scale or stays as it is"
        )


def _loss(compute: np.ndarray, log_a: float, log_b: float, c: float) -> np.ndarray:
    return np.asarray(np.exp(log_a - np.exp(log_b) * np.log(compute)) + c)


def _slope(fitted: np.ndarray, at: float) -> np.ndarray:
    """How the loss at a compute changes with each parameter."""
    log_a, log_b, _ = map(float, fitted)
    part = exp(log_a - exp(log_b) * log(at))
    return np.array([part, -part * exp(log_b) * log(at), 1.0])


def _start(xs: np.ndarray, ys: np.ndarray) -> list[float]:
    """A beginning for the search: of many floors, the one with the straightest line above it."""

    def line(c: float) -> Any:
        return linregress(np.log(xs), np.log(ys - c))

    floors = [float(ys.min()) * part for part in np.linspace(0, 0.999, 60)]
    best = max(floors, key=lambda c: float(line(c).rvalue ** 2))
    found = line(best)
    return [float(found.intercept), log(max(-float(found.slope), 1e-3)), best]


def _spread(rest: np.ndarray, parameters: int) -> float:
    return float(np.sqrt((rest**2).sum() / (len(rest) - parameters)))


def _exp_interval(value: float, off: float) -> tuple[float, float, float]:
    return exp(value), exp(min(value - off, 700)), exp(min(value + off, 700))
