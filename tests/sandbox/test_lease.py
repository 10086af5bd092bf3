"""When a lease is over, whatever is done to the clock on the wall."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.lease import Moment, lease_label
from tests.helpers import TEXTS

HERE = Moment(1_000_000.0, 500.0, "this-start")
SECONDS = st.floats(-1e9, 1e9)


@given(SECONDS, st.floats(0, 1e6))
def test_setting_the_wall_clock_moves_no_lease(jump_s: float, passed_s: float) -> None:
    until = HERE.after(3600)
    now = replace(HERE.after(passed_s), wall_s=HERE.wall_s + jump_s)
    assert abs(until.left_s(now) - (3600 - passed_s)) < 1e-3


def test_after_a_restart_the_wall_clock_decides() -> None:
    until = HERE.after(3600)
    later = Moment(HERE.wall_s + 10, 3.0, "another-start")
    assert until.left_s(later) == 3590
    assert until.left_s(replace(later, wall_s=HERE.wall_s + 4000)) < 0


def test_a_moment_survives_as_a_label() -> None:
    assert Moment.parsed(HERE.label()) == HERE
    assert Moment.parsed("12345") == Moment(12345.0)
    now = Moment.now()
    until = Moment.parsed(lease_label(now.wall_s + 60))
    assert until is not None
    assert 59 < until.left_s(now) < 61
    assert until.boot == now.boot


@given(TEXTS)
def test_any_label_is_survived(label: str) -> None:
    parsed = Moment.parsed(label)
    if parsed is not None:
        parsed.left_s(HERE)


def test_it_is_told_in_words() -> None:
    assert Moment(0.0).words() == "1970-01-01 00:00:00 UTC"
