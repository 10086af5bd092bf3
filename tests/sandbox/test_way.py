"""How much is between the ends of a pipe: little beside what is small, and no standstill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.frames import BadFrame
from agent_eval.sandbox.way import (
    ALONE_BYTES,
    FRAME_BYTES,
    HURRIED_BYTES,
    HURRIED_FRAME_BYTES,
    HURRIED_S,
    MANY_BYTES,
    SMALL_BYTES,
    SMALL_FRAME_BYTES,
    Way,
)
from tests.sandbox.test_init import loaded


def filled(way: Way, senders: int) -> int:
    """How many bytes so many senders of bulk get on the way until there is no room."""
    before = 0
    while way.has_room(senders):
        way.sent(way.frame_bytes(senders))
        before += way.frame_bytes(senders)
    return before


@pytest.mark.parametrize(
    ("senders", "most", "frame"),
    [(1, ALONE_BYTES, FRAME_BYTES), (50, MANY_BYTES, SMALL_FRAME_BYTES)],
)
def test_bulk_has_its_room(senders: int, most: int, frame: int) -> None:
    way = Way(lambda: 0.0)
    assert way.frame_bytes(senders) == frame
    assert filled(way, senders) == most


def test_while_something_small_is_about_little_of_many_is_under_way() -> None:
    now_s = 0.0
    way = Way(lambda: now_s)
    way.came(200)
    assert way.frame_bytes(50) == HURRIED_FRAME_BYTES
    assert filled(way, 50) == HURRIED_BYTES
    now_s = HURRIED_S / 2
    way.arrived(HURRIED_BYTES)
    way.sent(SMALL_BYTES)  # an answer is no bulk either
    now_s += HURRIED_S * 0.9
    assert way.frame_bytes(50) == HURRIED_FRAME_BYTES
    way.came(FRAME_BYTES)
    now_s += HURRIED_S * 0.2
    assert way.frame_bytes(50) == SMALL_FRAME_BYTES


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, FRAME_BYTES), st.floats(0, 1))))
def test_what_has_come_makes_room_again(steps: list[tuple[int, int, float]]) -> None:
    """Whatever is sent, and however many send: once it has come there, more may be sent."""
    now_s = 0.0
    here, there = Way(lambda: now_s), Way(lambda: now_s)
    for senders, size, pause_s in steps:
        now_s += pause_s
        assert here.has_room(senders)
        sent = min(size, here.frame_bytes(senders))
        here.sent(sent)
        here.arrived(there.came(sent))
        # What is not told yet is less than may be under way at the least.
        assert here.has_room(senders)


def test_who_tells_of_more_than_was_sent_is_not_believed() -> None:
    way = Way()
    way.sent(100)
    with pytest.raises(BadFrame):
        way.arrived(101)


def test_pid_1_does_the_same() -> None:
    inside = loaded("streams")
    assert (inside.UNDER_WAY_HURRIED, inside.HURRIED_FRAME) == (HURRIED_BYTES, HURRIED_FRAME_BYTES)
    assert (inside.SMALL, inside.HURRIED_S) == (SMALL_BYTES, HURRIED_S)
    assert inside.TOLD_AFTER <= HURRIED_BYTES
