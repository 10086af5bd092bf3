"""Rates of many tries at one task: at least one success, the worst wording, errors of graders."""

from collections.abc import Mapping, Sequence
from math import comb


def pass_at_k(trials: int, hits: int, k: int) -> float | None:
    """The chance that at least one of k tries succeeds: `1 - C(n-c, k) / C(n, k)`.

    Unbiased where the `trials` n are independent and `hits` c of them succeeded. None where there
    are fewer trials than k: then no unbiased estimate exists. Source: M. Chen et al., Evaluating
    Large Language Models Trained on Code (arXiv 2107.03374).
    """
    return None if k > trials else 1 - comb(trials - hits, k) / comb(trials, k)


def mean_and_worst(
    variants: Mapping[str, tuple[int, int]], k: int
) -> tuple[float, float, str] | None:
    """pass@k over the wordings of a task: their mean, and the lowest with its name.

    `variants` has trials and hits of each. None where one of them has fewer trials than k.
    """
    found = {name: pass_at_k(trials, hits, k) for name, (trials, hits) in variants.items()}
    rates = {name: rate for name, rate in found.items() if rate is not None}
    if not rates or len(rates) < len(found):
        return None
    worst = min(rates, key=lambda name: (rates[name], name))
    return sum(rates.values()) / len(rates), rates[worst], worst


def false_at_k(false_positives: float, k: int) -> float:
    """What pass@k is where nothing ever succeeds, by the grader's errors alone.

    A grader that takes 5 in 100 failures for successes shows 40 % at k = 10.
    """
    return 1 - (1 - false_positives) ** k


def without_grader_error(rate: float, false_positives: float, false_negatives: float) -> float:
    """The true rate behind one that a grader of known errors saw, between 0 and 1.

    Source: W. Rogan and B. Gladen, Estimating prevalence from the results of a screening test,
    American Journal of Epidemiology 107 (1978). Raises `ValueError` where the grader is no better
    than chance, as its verdicts then say nothing.
    """
    power = 1 - false_positives - false_negatives
    if power <= 0:
        raise ValueError("a grader that errs so often says nothing about the rate")
    return min(max((rate - false_positives) / power, 0.0), 1.0)


def geometric_mean(rates: Sequence[float]) -> float:
    """The n-th root of the product of n rates; 1 where there are none."""
    product = 1.0
    for rate in rates:
        product *= rate
    return product ** (1 / len(rates)) if rates else 1.0
