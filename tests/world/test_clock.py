"""The time of a world."""

from datetime import UTC, datetime, timedelta, timezone

import anyio
import pytest

from agent_eval.basics.clock import WorkingClock
from agent_eval.world.clock import WorldClock

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


def test_it_begins_when_it_is_told_to_and_goes_as_fast_as_it_is_told() -> None:
    hands = Hands()
    clock = WorldClock(START, 60, WorkingClock(hands))
    assert clock.now() == START
    hands.at_s += 2
    assert clock.now_s() == 120
    assert clock.now() == START + timedelta(minutes=2)


def test_it_stands_still_while_the_clock_of_its_run_does() -> None:
    hands = Hands()
    run = WorkingClock(hands)
    clock = WorldClock(START, 10, run)
    run.hold()
    hands.at_s += 500
    assert clock.now() == START
    run.let_go()
    hands.at_s += 1
    assert clock.now_s() == 10


@pytest.mark.anyio
async def test_it_can_be_waited_for() -> None:
    clock = WorldClock(START, 3600, WorkingClock())
    with anyio.fail_after(60):
        await clock.sleep(360)
        assert clock.now_s() >= 360
        await clock.until(START + timedelta(seconds=720))
    assert clock.now_s() >= 720


def test_its_beginning_has_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        WorldClock(START.replace(tzinfo=None), 1, WorkingClock())
    east = timezone(timedelta(hours=2))
    assert WorldClock(START.astimezone(east), 1, WorkingClock(Hands())).now() == START
