"""Agreement of raters: published figures, counting by hand, and intervals that cover."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.stats.agreement import ac1, agreement, kappa

COUNTS = st.integers(0, 40)
SEEDS = 500
Pairs = dict[str, list[tuple[bool, bool]]]


@pytest.mark.parametrize(
    ("table", "cohen", "gwet"),
    [
        # Two of the example tables that articles on the matter go back to.
        ([[20, 5], [10, 15]], 0.4, None),
        # Gwet, "Kappa statistic is not satisfactory ..." (2002): high agreement, kappa below zero.
        ([[118, 5], [2, 0]], -0.0234, 0.9408),
        # cont3x3abstractors, printed in the documentation of Gwet's own package irrCAC.
        ([[13, 0, 0], [0, 20, 7], [0, 4, 56]], 0.7964094, 0.84933),
    ],
)
def test_published_figures_come_out(
    table: list[list[float]], cohen: float, gwet: float | None
) -> None:
    assert kappa(table) == pytest.approx(cohen, abs=5e-5)
    if gwet is not None:
        assert ac1(table) == pytest.approx(gwet, abs=5e-5)


@given(a=COUNTS, b=COUNTS, c=COUNTS, d=COUNTS)
def test_they_are_what_drawing_raters_apart_would_give(a: int, b: int, c: int, d: int) -> None:
    """Chance agreement counted out: each answer of the one beside each of the other."""
    pairs = [*[(1, 1)] * a, *[(1, 0)] * b, *[(0, 1)] * c, *[(0, 0)] * d]
    cohen, gwet = kappa([[a, b], [c, d]]), ac1([[a, b], [c, d]])
    if not pairs:
        assert cohen is None
        assert gwet is None
        return
    agreed = sum(one == other for one, other in pairs) / len(pairs)
    by_chance = sum(one == other for (one, _), (_, other) in product(pairs, pairs))
    chance = by_chance / len(pairs) ** 2
    if by_chance == len(pairs) ** 2:
        assert cohen is None
    else:
        assert cohen == pytest.approx((agreed - chance) / (1 - chance))
    every = [answer for pair in pairs for answer in pair]
    split = 2 * (sum(every) / len(every)) * (1 - sum(every) / len(every))
    assert gwet == pytest.approx((agreed - split) / (1 - split))


def drawn(scenarios: int, each: int, rate: float, wrong: float, seed: int) -> Pairs:
    """A grader that is wrong so often, over scenarios whose rates vary around one."""
    random = np.random.default_rng(seed)
    found: Pairs = {}
    for number in range(scenarios):
        own = random.beta(rate * 4, (1 - rate) * 4)
        truth = random.random(each) < own
        said = truth ^ (random.random(each) < wrong)
        found[str(number)] = [(bool(a), bool(b)) for a, b in zip(said, truth, strict=True)]
    return found


def test_the_table_stands_beside_the_figures() -> None:
    pairs: Pairs = {
        "one": [(True, True), (True, False), (False, False)],
        "other": [(False, True), (False, False)],
        "empty": [],
    }
    found = agreement(pairs)
    assert found is not None
    assert (found.both, found.first, found.second, found.neither) == (1, 1, 1, 2)
    assert (found.agreed, found.prevalence) == (0.6, 0.4)
    assert found.kappa == kappa([[1, 1], [1, 2]])
    assert found.agreed_interval is found.kappa_interval is found.ac1_interval is None, "too few"
    assert agreement({"empty": []}) is None


def test_raters_who_never_differ_have_no_interval_of_kappa() -> None:
    """Every draw says 1: that shows nothing of how far it may be off."""
    found = agreement({str(n): [(bool(n % 2), bool(n % 2))] * 3 for n in range(12)})
    assert found is not None
    assert (found.kappa, found.ac1) == (1.0, 1.0)
    assert found.kappa_interval is found.ac1_interval is None
    assert found.agreed_interval is not None
    assert found.agreed_interval[0] < 0.8


def test_one_seed_gives_one_interval_and_chance_another() -> None:
    pairs = drawn(20, 6, 0.3, 0.15, 1)
    assert agreement(pairs, draws=500) == agreement(pairs, draws=500)
    assert agreement(pairs, draws=500) != agreement(pairs, draws=500, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenarios", "each", "rate", "wrong"),
    [(25, 8, 0.5, 0.3), (20, 5, 0.3, 0.15), (30, 5, 0.3, 0.15), (40, 10, 0.2, 0.2)],
)
def test_intervals_cover_what_they_claim(
    scenarios: int, each: int, rate: float, wrong: float
) -> None:
    """Against the figures over very many scenarios."""
    many = agreement(drawn(40_000, each, rate, wrong, 0), draws=10)
    assert many is not None
    for figure in ("kappa", "ac1"):
        truth, stated = getattr(many, figure), 0
        covered = 0
        for seed in range(1, SEEDS + 1):
            found = agreement(drawn(scenarios, each, rate, wrong, seed), draws=10)
            interval = getattr(found, f"{figure}_interval")
            if interval is not None:  # where they never differ, none is stated
                stated += 1
                covered += interval[0] <= truth <= interval[1]
        assert stated > 0.97 * SEEDS
        assert 0.92 <= covered / stated <= 0.98, (figure, covered / stated)
