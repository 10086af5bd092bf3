"""A rate never hides what it does not cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.record.runset import Entry
from agent_eval.show.rates import Rate, success_rate


def entry(verdict: str, blame: str | None = None, sealed: bool = True) -> Entry:
    outcome = {"status": "x", **({"blame": blame} if blame else {})} if sealed else None
    return Entry("r", "c", 1, "s", "m", outcome, verdict)


def test_failures_of_machines_and_people_are_beside_the_rate_and_never_in_it() -> None:
    runs = [entry("success"), entry("failure", "limit"), entry("partial", "model")]
    runs += [entry("unscored"), entry("success", "infrastructure"), entry("unscored", "operator")]
    runs += [entry("unscored", sealed=False)]
    rate = success_rate(runs, wanted=9)
    assert (rate.hits, rate.scored, rate.of) == (1, 3, 9)
    said = rate.words()
    assert said.startswith("1/3 = 33% (")
    assert said.endswith("3 of 9 scored, 1 by infrastructure, 1 by nobody yet, 1 by operator")


def test_without_a_verdict_there_is_no_rate() -> None:
    assert success_rate([entry("unscored")]).words() == "no rate, 0 of 1 scored"


@pytest.mark.parametrize(
    ("hits", "scored", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_the_interval_is_wilsons(hits: int, scored: int, low: float, high: float) -> None:
    """The last are the figures of Newcombe (1998), table I."""
    assert Rate(hits, scored, scored, {}).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_rate_and_shrinks(hits: int, scored: int) -> None:
    hits = min(hits, scored)
    low, high = Rate(hits, scored, scored, {}).interval
    assert 0 <= low <= hits / scored + 1e-9 and hits / scored - 1e-9 <= high <= 1
    narrow = Rate(hits * 4, scored * 4, scored * 4, {}).interval
    assert narrow[1] - narrow[0] < high - low
