"""Intervals and bounds, held against a library, and brute force."""

from fractions import Fraction
from itertools import combinations
from math import comb, inf, log2, nan
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from agent_eval.person.options import choice_bits
from agent_eval.stats.bits import milestone_bits, upper_bound
from agent_eval.stats.intervals import wilson
from agent_eval.stats.success import (
    false_at_k,
    geometric_mean,
    mean_and_worst,
    pass_at_k,
    without_grader_error,
)

TRIALS = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
FEW = st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(TRIALS)
def test_wilson_is_that_of_the_library(trials: tuple[int, int]) -> None:
    hits, of = trials
    library = binomtest(hits, of).proportion_ci(method="wilson")
    assert wilson(hits, of) == pytest.approx((library.low, library.high), abs=1e-9)


def test_ten_failures_in_ten_do_not_prove_that_it_is_impossible() -> None:
    assert upper_bound(0, 10) == pytest.approx(0.3085, abs=1e-4)
    assert upper_bound(10, 10) == 1
    assert wilson(0, 0) == (0, 1)


def test_bits_are_those_of_the_source() -> None:
    assert [milestone_bits(10, 10), milestone_bits(5, 10), milestone_bits(3, 10)] == [0, 1, 2]
    assert milestone_bits(0, 10) == inf
    assert choice_bits(1) == 1
    assert choice_bits(4) == pytest.approx(log2(20))


@given(FEW, st.integers(1, 9))
def test_pass_at_k_is_the_share_of_draws_with_a_success(trials: tuple[int, int], k: int) -> None:
    hits, of = trials
    seen = pass_at_k(of, hits, k)
    if k > of:
        assert seen is None
        return
    draws = list(combinations([1] * hits + [0] * (of - hits), k))
    assert seen == pytest.approx(float(Fraction(sum(map(any, draws)), len(draws))))


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
@pytest.mark.parametrize(("trials", "k"), [(10, 1), (10, 10), (25, 10)])
def test_pass_at_k_is_unbiased(rate: float, trials: int, k: int) -> None:
    expected = sum(
        comb(trials, c) * rate**c * (1 - rate) ** (trials - c) * (pass_at_k(trials, c, k) or 0)
        for c in range(trials + 1)
    )
    assert expected == pytest.approx(1 - (1 - rate) ** k)


def test_pass_at_k_agrees_with_published_values() -> None:
    """RepliBench's one success in 25 from scratch, and the product form of the Codex paper."""
    assert pass_at_k(25, 1, 1) == pytest.approx(0.04)
    product = 1.0
    for i in range(200 - 37 + 1, 200 + 1):
        product *= 1 - 100 / i
    assert pass_at_k(200, 37, 100) == pytest.approx(1 - product)


def test_the_worst_variant_stands_beside_the_mean() -> None:
    seen = mean_and_worst({"plain": (10, 8), "polite": (10, 2), "own-goal": (10, 0)}, 1)
    assert seen is not None
    assert seen[0] == pytest.approx(mean((0.8, 0.2, 0)))
    assert seen[1:] == (0, "own-goal")
    assert mean_and_worst({"plain": (10, 8), "polite": (2, 2)}, 5) is None


def test_a_grader_that_errs_feigns_success() -> None:
    assert false_at_k(0.05, 10) == pytest.approx(0.4013, abs=1e-4)
    assert without_grader_error(0.05, 0.05, 0) == 0
    assert without_grader_error(0.05 + 0.3 * 0.85, 0.05, 0.1) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="says nothing"):
        without_grader_error(0.5, 0.5, 0.5)


def test_geometric_means() -> None:
    assert geometric_mean([]) == 1
    assert geometric_mean([0.25, 1]) == pytest.approx(0.5)
    assert geometric_mean([0.9, 0]) == 0
    assert geometric_mean([nan]) != geometric_mean([nan])
