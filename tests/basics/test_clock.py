"""Working time, on a clock that the test sets: when it stands still, and what that is worth."""

from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.clock import SILENCE_S, WorkingClock, at_most, since_boot_s


@dataclass
class Seconds:
    """Seconds as the test says they pass."""

    now_s: float = 1000.0
    told: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s


def beaten(seconds: Seconds) -> WorkingClock:
    clock = WorkingClock(seconds)
    clock.on_gap = seconds.told.append
    clock.beat()
    assert not seconds.told, "nothing was before the first"
    return clock


def test_while_it_is_beaten_time_passes() -> None:
    seconds = Seconds()
    clock = beaten(seconds)
    started = clock.now_s()
    seconds.now_s += SILENCE_S
    assert clock.now_s() - started == SILENCE_S
    clock.beat()
    assert not seconds.told
    seconds.now_s += SILENCE_S
    assert clock.now_s() - started == 2 * SILENCE_S


def test_in_a_gap_time_stands_still_before_anybody_noticed() -> None:
    seconds = Seconds()
    clock = beaten(seconds)
    started = clock.now_s()
    for passed_s in (SILENCE_S, 3600, 86400):
        seconds.now_s = 1000 + passed_s
        assert clock.now_s() - started == SILENCE_S
    clock.beat()
    clock.beat()
    assert seconds.told == [86400]
    seconds.now_s += 1
    assert clock.now_s() - started == SILENCE_S + 1
    seconds.now_s = 0  # a clock that was set back makes no gap, and no error
    assert clock.now_s() < started


def test_one_that_nobody_beats_counts_everything() -> None:
    seconds = Seconds()
    clock = WorkingClock(seconds)
    started = clock.now_s()
    seconds.now_s += 86400
    assert clock.now_s() - started == 86400


def test_it_stands_still_until_all_have_let_go() -> None:
    seconds = Seconds()
    clock = beaten(seconds)
    started = clock.now_s()
    with clock.standing():
        seconds.now_s += 1
        clock.hold()
        assert clock.held
    seconds.now_s += 1
    assert clock.held
    assert clock.now_s() == started
    clock.let_go()
    assert not clock.held
    assert clock.now_s() == started
    clock.beat()
    seconds.now_s += 0.5
    assert clock.now_s() - started == 0.5


STEPS = st.lists(
    st.tuples(st.sampled_from(["pass", "beat", "hold", "let_go", "wait", "heard"]),
              st.floats(0, 20, allow_subnormal=False)),
    max_size=40,
)  # fmt: skip


@given(STEPS)
def test_no_second_counts_twice_and_none_goes_back(steps: list[tuple[str, float]]) -> None:
    """A clock on another, both held and let go at random: each only ever goes on, and not ahead."""
    seconds = Seconds()
    run = beaten(seconds)
    wall = WorkingClock(run.now_s)
    first, held, waits = (seconds.now_s, run.now_s(), wall.now_s()), 0, 0
    last = first
    for what, amount in steps:
        match what:
            case "pass":
                seconds.now_s += amount
            case "beat":
                run.beat()
            case "hold":
                held += 1
                run.hold()
            case "let_go" if held:
                held -= 1
                run.let_go()
            case "wait":
                waits += 1
                wall.hold()
            case "heard" if waits:
                waits -= 1
                wall.let_go()
        here = (seconds.now_s, run.now_s(), wall.now_s())
        took = [now - then for now, then in zip(here, last, strict=True)]
        assert took[0] >= took[1] - 1e-9
        assert took[1] >= took[2] - 1e-9
        assert took[2] >= -1e-9
        if held and what == "pass":
            assert abs(took[1]) < 1e-9
        last = here


@pytest.mark.anyio
async def test_whoever_waits_for_a_change_is_woken_by_each() -> None:
    clock, seen = WorkingClock(), []

    async def look() -> None:
        for _ in range(2):
            await clock.changed()
            seen.append(clock.held)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            await anyio.wait_all_tasks_blocked()
            clock.hold()
            await anyio.wait_all_tasks_blocked()
            clock.let_go()
    assert seen == [True, False]


@pytest.mark.anyio
async def test_a_limit_ends_the_block_once_that_much_was_worked() -> None:
    seconds = Seconds()
    clock = WorkingClock(seconds)
    reached = False
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:

            async def block() -> None:
                nonlocal reached
                async with at_most(0.2, clock):
                    await anyio.sleep_forever()
                reached = True

            tasks.start_soon(block)
            await anyio.sleep(0.5)  # in which the clock stands
            assert not reached
            seconds.now_s += 0.3
    assert reached


@pytest.mark.anyio
async def test_a_block_within_its_limit_ends_as_it_would_without() -> None:
    async def answer(limit_s: float | None) -> str:
        async with at_most(limit_s, WorkingClock()):
            return "the answer"
        return "the limit"

    async def fails() -> None:
        async with at_most(60, WorkingClock()):
            raise KeyError("as itself")

    assert await answer(60) == "the answer"
    assert await answer(None) == "the answer"
    with pytest.raises(KeyError, match="as itself"):
        await fails()


def test_the_clock_of_the_machine_never_goes_back() -> None:
    first = since_boot_s()
    assert since_boot_s() >= first > 0
