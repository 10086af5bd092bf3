"""The two laws on data of known parameters, and what is not of their form."""

from math import log

import numpy as np
import pytest

from agent_eval.errors import NotThisForm, OperatorError
from agent_eval.stats.laws import capability_law, loss_law


def losses(seed: int, noise: float = 0.002, points: int = 12) -> tuple[list[float], list[float]]:
    """Losses of models of up to a ten-thousandth of the compute (1) that is foretold."""
    compute = np.logspace(-10, -4, points)
    values = 0.7 * compute**-0.06 + 1.1
    values *= 1 + np.random.default_rng(seed).normal(0, noise, points) if noise else 1
    return compute.tolist(), values.tolist()


def test_known_parameters_are_found_again() -> None:
    law = loss_law(*losses(0, noise=0))
    assert law.parameters["a"][0] == pytest.approx(0.7, rel=1e-3)
    assert law.parameters["b"][0] == pytest.approx(-0.06, rel=1e-3)
    assert law.parameters["c"][0] == pytest.approx(1.1, rel=1e-3)
    assert law.predict(1).value == pytest.approx(1.8, rel=1e-4)


def test_the_unit_of_compute_does_not_matter() -> None:
    compute, values = losses(3)
    here, there = loss_law(compute, values), loss_law([1e24 * c for c in compute], values)
    assert there.predict(1e24).value == pytest.approx(here.predict(1).value, rel=1e-6)
    assert there.parameters["b"][0] == pytest.approx(here.parameters["b"][0], rel=1e-4)


def test_what_gets_worse_with_scale_is_not_this_form() -> None:
    """Accuracies of hindsight neglect as read off the GPT-4 report's figure, small to large."""
    accuracy = [0.44, 0.36, 0.19, 0.18]
    compute = [1e-4, 1e-3, 1e-2, 1e-1]
    for form in (capability_law, loss_law):
        with pytest.raises(NotThisForm, match="gets worse with scale"):
            form([*compute, 1.0], [-log(rate) for rate in (*accuracy, 0.15)])
    with pytest.raises(NotThisForm):  # down, and up again
        capability_law([1, 2, 4, 8, 16], [3, 2, 1, 2, 3])
    with pytest.raises(NotThisForm):
        capability_law([1, 2, 4], [1, 1, 1])


@pytest.mark.parametrize(
    ("compute", "values", "said"),
    [
        ([1, 10, 100, 1000], [4, 3, 2.5, 2.2], "it needs 5"),
        ([1, 10, 10, 10, 10], [4, 3, 3, 3, 3], "it needs 5"),
        ([1, 10, 100, 1000, -1], [4, 3, 2.5, 2.2, 2], "positive"),
        ([1, 10, 100, 1000], [4, 3, 2.5], "both finite"),
        ([1, 10, 100, 1000, 1e4], [4, 3, 2.5, 2.2, float("nan")], "both finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    compute: list[float], values: list[float], said: str
) -> None:
    with pytest.raises(OperatorError, match=said):
        loss_law(compute, values)


def test_a_model_that_always_passes_is_off_the_curve() -> None:
    with pytest.raises(NotThisForm, match="always passes"):
        capability_law([1, 2, 4], [1, 0.5, 0])
    with pytest.raises(OperatorError, match="it needs 3"):
        capability_law([1, 2], [1, 0.5])
