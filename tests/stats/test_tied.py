"""Intervals of parameters that are tied to each other, against a search by brute force."""

from math import log

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import f

from agent_eval.stats.laws import loss_law
from agent_eval.stats.tied import loss_intervals

POINTS = 12
COMPUTE = np.logspace(-4, 4, POINTS)
TRUE = {"a": 0.5, "b": -0.12, "c": 1.2}


def losses(noise: float) -> np.ndarray:
    random = np.random.default_rng(4)
    return np.asarray(0.5 * COMPUTE**-0.12 + 1.2 + random.normal(0, noise, POINTS))


def least_with(name: str, value: float, ys: np.ndarray, start: dict[str, float]) -> float:
    """The least sum of squares with one parameter held."""
    free = [other for other in start if other != name]

    def rest(found: np.ndarray) -> np.ndarray:
        now = dict(zip(free, found, strict=True)) | {name: value}
        return np.asarray(now["a"] * COMPUTE ** now["b"] + now["c"] - ys)

    return 2 * float(least_squares(rest, [start[one] for one in free], x_scale="jac").cost)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_at_each_end_the_curve_fits_as_much_worse_as_it_may(name: str) -> None:
    ys = losses(0.004)
    law = loss_law(COMPUTE.tolist(), ys.tolist())
    best = {one: found[0] for one, found in law.parameters.items()}
    least = least_with("c", best["c"], ys, best)
    allowed = least * (1 + f.ppf(0.95, 1, POINTS - 3) / (POINTS - 3))
    _, low, high = law.parameters[name]
    assert low < best[name] < high
    assert low < TRUE[name] < high
    for end in (low, high):
        assert least_with(name, end, ys, best) == pytest.approx(allowed, rel=0.01)


def test_it_is_the_same_in_any_unit_of_compute() -> None:
    ys = losses(0.004)
    here = loss_law(COMPUTE.tolist(), ys.tolist()).parameters["b"][0]
    one, other = (loss_intervals(COMPUTE * unit, ys, here) for unit in (1.0, 1e24))
    assert other["b"] == pytest.approx(one["b"])
    assert other["c"] == pytest.approx(one["c"])
    for now, before, b in zip(other["a"], one["a"], (one["b"][1], one["b"][0]), strict=True):
        assert log(now / before) == pytest.approx(-b * log(1e24), rel=0.05)


def test_without_noise_there_is_no_room() -> None:
    exact = loss_law(COMPUTE.tolist(), losses(0).tolist())
    for value, low, high in exact.parameters.values():
        assert (low, high) == pytest.approx((value, value), rel=1e-4)
