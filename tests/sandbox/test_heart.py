"""The heartbeat, on a clock that the test sets: what a gap is and what it costs."""

from dataclasses import dataclass, field
from functools import partial

import anyio
import pytest

from agent_eval.basics.clock import BEAT_S, SILENCE_S, WorkingClock
from agent_eval.sandbox.heart import Heart
from agent_eval.sandbox.supervisor import Supervisor
from tests.sandbox.wire import served

pytestmark = pytest.mark.anyio


@dataclass
class Seconds:
    """Seconds as the test says they pass."""

    now_s: float = 1000.0
    told: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.slow
async def test_a_gap_is_told_once_and_then_time_goes_on() -> None:
    seconds = Seconds()
    heart = Heart(WorkingClock(seconds))
    heart.clock.on_gap = seconds.told.append
    async with served() as (wire, pipe), anyio.create_task_group() as tasks:
        seconds.now_s += 61.5
        before = heart.clock.now_s()
        tasks.start_soon(heart.beat, pipe)
        with anyio.fail_after(60):
            while len(wire.orders) < 2:  # noqa: ASYNC110 - the wire tells nobody
                await anyio.sleep(0.05)
        assert seconds.told == [61.5]
        assert heart.clock.now_s() == before
        seconds.now_s += BEAT_S
        assert heart.clock.now_s() == before + BEAT_S
        assert {order["op"] for order in wire.orders} == {"beat"}
        tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_of_sandboxes_with_one_clock_one_tells_of_a_gap() -> None:
    seconds = Seconds()
    clock = WorkingClock(seconds)
    clock.on_gap = seconds.told.append
    hearts = [Heart(clock) for _ in range(3)]
    async with served() as (wire, pipe), anyio.create_task_group() as tasks:
        seconds.now_s += 10
        for heart in hearts:
            tasks.start_soon(heart.beat, pipe)
        with anyio.fail_after(60):
            while len(wire.orders) < 3:  # noqa: ASYNC110 - the wire tells nobody
                await anyio.sleep(0.05)
        assert seconds.told == [10]
        tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_while_it_is_held_all_is_to_stand() -> None:
    heart = Heart()
    async with served() as (wire, pipe), anyio.create_task_group() as tasks:

        async def orders(most: int) -> list[object]:
            with anyio.fail_after(60):
                while len(wire.orders) < most:  # noqa: ASYNC110 - the wire tells nobody
                    await anyio.sleep(0.01)
            return [order["op"] for order in wire.orders]

        tasks.start_soon(heart.beat, pipe)
        assert await orders(1) == ["beat"]
        heart.clock.hold()
        assert (await orders(3))[1:] == ["stand", "stand"], "at every beat"
        before = len(wire.orders)
        heart.clock.let_go()
        assert (await orders(before + 1))[before:] == ["beat"]
        tasks.cancel_scope.cancel()


async def test_it_stops_with_the_pipe_and_says_nothing() -> None:
    async with served() as (wire, pipe):
        wire.broken = True
        with anyio.fail_after(60):
            await Heart().beat(pipe)
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
    seconds = Seconds()
    heart = Heart(WorkingClock(seconds))
    async with served() as (wire, pipe):
        supervisor = Supervisor(pipe, 1000, heart.clock.now_s)
        await supervisor.open("bash")

        def answer(order: dict[str, object]) -> None:
            if order["op"] == "run":
                seconds.now_s += 3600
                wire.says("done", channel=order["channel"], action=order["action"], exit=0)

        wire.on = answer
        done = await supervisor.execute("bash", "true", 2 * SILENCE_S, 1000)
        assert (done.rung, done.reported_exit) == ("none", 0)
        assert done.duration_s <= SILENCE_S
