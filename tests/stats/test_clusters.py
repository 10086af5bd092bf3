"""The clustered bootstrap, and its speed; how often it covers, `test_coverage_table` holds."""

import time

import numpy as np

from agent_eval.stats.clusters import rate_interval


def drawn(rate: float, clusters: int, each: int, alike: float, seed: int) -> dict[str, list[float]]:
    """Runs of scenarios whose own rates vary around one; `alike` 0 is not at all."""
    random = np.random.default_rng(seed)
    rates = np.full(clusters, rate)
    if alike:
        rates = random.beta(rate / alike, (1 - rate) / alike, clusters)
    return {
        str(number): random.binomial(1, own, each).astype(float).tolist()
        for number, own in enumerate(rates)
    }


def test_few_scenarios_have_no_interval() -> None:
    assert rate_interval(drawn(0.5, 4, 10, 0.2, 1), seed=1) is None
    assert rate_interval({}, seed=1) is None


def test_the_same_seed_gives_the_same_interval() -> None:
    runs = drawn(0.4, 12, 5, 0.2, 3)
    assert rate_interval(runs, seed=7) == rate_interval(runs, seed=7)
    assert rate_interval(runs, draws=50, seed=7) != rate_interval(runs, draws=50, seed=8)


def test_runs_that_are_alike_make_it_wider() -> None:
    alike = {str(n): [float(n % 2)] * 20 for n in range(20)}
    mixed = drawn(0.5, 20, 20, 0, 1)
    one, other = rate_interval(alike, seed=1), rate_interval(mixed, seed=1)
    assert one is not None
    assert other is not None
    assert one[1] - one[0] > 3 * (other[1] - other[0])


def test_twenty_thousand_runs_are_no_work() -> None:
    """Beside the same draws as plain Python would make them, of which this times a hundredth."""
    runs = drawn(0.4, 200, 100, 0.2, 1)
    started = time.perf_counter()
    rate_interval(runs, seed=1)
    ours = time.perf_counter() - started
    every = list(runs.values())
    random = np.random.default_rng(1)
    started = time.perf_counter()
    for _ in range(100):
        chosen = [every[int(i)] for i in random.integers(0, len(every), len(every))]
        sum(map(sum, chosen)) / sum(map(len, chosen))
    assert ours < 100 * (time.perf_counter() - started)
