"""The heartbeat, on a clock that the test sets: what a gap is and what it costs."""

from dataclasses import dataclass, field
from functools import partial

import anyio
import pytest

from agent_eval.sandbox.heart import BEAT_S, SILENCE_S, Heart, since_boot_s
from agent_eval.sandbox.supervisor import Supervisor
from tests.sandbox.wire import served

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """Seconds as the test says they pass."""

    now_s: float = 1000.0
    told: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s


def test_while_it_beats_time_passes() -> None:
    clock = Clock()
    heart = Heart(clock)
    started = heart.lived_s()
    clock.now_s += SILENCE_S
    assert heart.lived_s() - started == SILENCE_S


def test_in_a_gap_time_stands_still_before_anybody_noticed() -> None:
    clock = Clock()
    heart = Heart(clock)
    started = heart.lived_s()
    for passed_s in (SILENCE_S, 3600, 86400):
        clock.now_s = 1000 + passed_s
        assert heart.lived_s() - started == SILENCE_S
    clock.now_s = 0  # a clock that was set back makes no gap, and no error
    assert heart.lived_s() < started


async def test_a_gap_is_told_once_and_then_time_goes_on() -> None:
    clock = Clock()
    heart = Heart(clock)
    async with served() as (wire, pipe), anyio.create_task_group() as tasks:
        clock.now_s += 61.5
        before = heart.lived_s()
        tasks.start_soon(heart.beat, pipe, clock.told.append)
        with anyio.fail_after(20):
            while len(wire.orders) < 2:  # noqa: ASYNC110 - the wire tells nobody
                await anyio.sleep(0.05)
        assert clock.told == [61.5]
        assert heart.lived_s() == before
        clock.now_s += BEAT_S
        assert heart.lived_s() == before + BEAT_S
        assert {order["op"] for order in wire.orders} == {"beat"}
        tasks.cancel_scope.cancel()


async def test_it_stops_with_the_pipe_and_says_nothing() -> None:
    async with served() as (wire, pipe):
        wire.broken = True
        with anyio.fail_after(20):
            await Heart().beat(pipe, lambda _: None)
        assert pipe.died


async def test_beats_do_not_get_between_the_pieces_of_an_order() -> None:
    async with served() as (wire, pipe):
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(pipe.beat)
                tasks.start_soon(partial(pipe.order, "ping", number=number))
        numbers = [order["number"] for order in wire.orders if order["op"] == "ping"]
        assert sorted(numbers) == list(range(50)), "each arrived whole"


async def test_an_action_is_not_late_for_what_the_harness_slept() -> None:
    """A deadline of seconds, and an hour in which the harness was not there."""
    clock = Clock()
    heart = Heart(clock)
    async with served() as (wire, pipe):
        supervisor = Supervisor(pipe, 1000, heart.lived_s)
        await supervisor.open("bash")

        def answer(order: dict[str, object]) -> None:
            if order["op"] == "run":
                clock.now_s += 3600
                wire.says("done", channel=order["channel"], action=order["action"], exit=0)

        wire.on = answer
        done = await supervisor.execute("bash", "true", 2 * SILENCE_S, 1000)
        assert (done.rung, done.reported_exit) == ("none", 0)
        assert done.duration_s <= SILENCE_S


def test_the_clock_counts_a_suspended_machine_and_never_goes_back() -> None:
    first = since_boot_s()
    assert since_boot_s() >= first > 0
