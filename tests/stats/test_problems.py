"""Which problems may be foretold, and the mean of logarithms over them."""

from math import comb, log

import pytest

from agent_eval.errors import OperatorError
from agent_eval.stats.problems import Tries, buckets, eligible, log_pass_rate, minus_mean_log


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_the_estimate_of_the_logarithm_has_the_bias_that_it_states(rate: float) -> None:
    trials = 30
    expected = sum(
        comb(trials, c) * rate**c * (1 - rate) ** (trials - c) * log_pass_rate(Tries(trials, c))
        for c in range(trials + 1)
    )
    bound = (1 - rate) ** (trials + 1) / (rate * (trials + 1))
    assert 0 <= expected - log(rate) <= bound + 1e-12


def test_always_is_nothing_lost() -> None:
    assert log_pass_rate(Tries(10, 10)) == 0
    assert log_pass_rate(Tries(1, 0)) == pytest.approx(-1)


RESULTS = {
    "small": {"a": Tries(10, 9), "b": Tries(10, 5), "c": Tries(10, 1), "d": Tries(10, 0)},
    "large": {"a": Tries(10, 1), "b": Tries(10, 10), "c": Tries(10, 9), "e": Tries(10, 2)},
}


def test_only_what_every_model_solves_is_in() -> None:
    problems, out = eligible(RESULTS)
    assert problems == ["a", "b", "c"]
    assert out == {"d": "small never solved it in 10 trials", "e": "small never tried it"}


def test_nothing_left_is_refused() -> None:
    with pytest.raises(OperatorError, match="more trials, or easier problems"):
        minus_mean_log(RESULTS["small"], [])


def test_it_is_the_mean_of_logarithms() -> None:
    seen = minus_mean_log(RESULTS["small"], ["a", "b"])
    assert seen == pytest.approx(-(log_pass_rate(Tries(10, 9)) + log_pass_rate(Tries(10, 5))) / 2)


def test_difficulty_is_what_small_models_find_difficult() -> None:
    assert buckets(RESULTS, ["small"], count=2) == [["a", "b"], ["c", "d"]]
    assert buckets(RESULTS, ["small"], count=3, leave_hardest=1) == [["a"], ["b"], ["c"]]
    assert buckets(RESULTS, [], count=1) == [[]]
