"""Operating points, against counts by hand and every threshold tried."""

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.stats.points import points

PAIRS = st.lists(st.tuples(st.integers(0, 4).map(float), st.booleans()), max_size=60)


def test_the_threshold_is_the_lowest_that_keeps_to_the_rate() -> None:
    so = [(3.0, True)] * 6 + [(1.0, True)] * 3 + [(0.0, True)]
    not_so = [(2.0, False)] + [(1.0, False)] * 4 + [(0.0, False)] * 95
    strict, usual, loose = points(so + not_so)
    assert (strict.least, strict.found, strict.wrong) == (3.0, 6, 0)
    assert (usual.least, usual.found, usual.wrong) == (2.0, 6, 1)
    assert (loose.least, loose.found, loose.wrong) == (1.0, 9, 5)
    assert (loose.of, loose.others) == (10, 100)


def test_nothing_is_said_where_all_are_so_or_none_is() -> None:
    assert points([(1.0, True)]) == points([(1.0, False)]) == points([]) == []


def test_a_rate_that_no_threshold_keeps_to_finds_nothing() -> None:
    (point, *_) = points([(1.0, True), (1.0, False)])
    assert (point.least, point.found, point.wrong) == (None, 0, 0)


@given(PAIRS, st.sampled_from([0.001, 0.05, 0.3, 1.0]))
def test_no_other_threshold_finds_more_at_that_rate(
    pairs: list[tuple[float, bool]], rate: float
) -> None:
    for point in points(pairs, [rate]):
        assert point.wrong <= rate * point.others
        for least in (1, 2, 3, 4):
            wrong = sum(score >= least for score, so in pairs if not so)
            found = sum(score >= least for score, so in pairs if so)
            assert wrong > rate * point.others or found <= point.found
