"""Paired comparisons, against brute force and the library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from agent_eval.stats.compared import exact_mcnemar, paired

RATES = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


@given(RATES, RATES)
def test_it_does_not_matter_which_is_first(
    first: dict[str, float], second: dict[str, float]
) -> None:
    one, other = paired(first, second), paired(second, first)
    if one is None or other is None:
        assert not first.keys() & second.keys()
        return
    assert one.difference == pytest.approx(-other.difference)
    assert one.p == other.p
    assert set(one.left_out) == first.keys() ^ second.keys()


def test_it_is_the_library_s_test() -> None:
    first = {str(n): rate for n, rate in enumerate([0.9, 0.8, 0.75, 0.9, 0.6, 0.7, 0.5, 0.8])}
    second = {str(n): rate for n, rate in enumerate([0.5, 0.7, 0.8, 0.4, 0.5, 0.7, 0.2, 0.3])}
    seen = paired(first, second)
    library = permutation_test(
        (list(first.values()), list(second.values())),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=100_000,
        vectorized=True,
    )
    assert seen is not None
    assert seen.exact
    assert seen.p == pytest.approx(library.pvalue, abs=1e-9)


def test_many_scenarios_are_drawn() -> None:
    first = {str(n): 0.5 + (n % 5) / 10 for n in range(40)}
    same = {str(n): 0.5 + ((n + 2) % 5) / 10 for n in range(40)}
    worse = {name: rate - 0.2 for name, rate in first.items()}
    alike, better = paired(first, same), paired(first, worse)
    assert alike is not None
    assert better is not None
    assert not better.exact
    assert better.p < 0.001
    assert alike.p > 0.3


def test_equal_models_do_not_differ() -> None:
    seen = paired({"a": 0.5, "b": 1.0}, {"a": 0.5, "b": 1.0})
    assert seen is not None
    assert (seen.difference, seen.p) == (0, 1)
    assert paired({"a": 1.0}, {"b": 1.0}) is None


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    if first + second:
        assert exact_mcnemar(first, second) == pytest.approx(
            binomtest(first, first + second).pvalue
        )
    else:
        assert exact_mcnemar(0, 0) == 1
