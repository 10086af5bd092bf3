"""How a person ends a run, pauses it and lets it go on."""

import anyio
import anyio.lowlevel
import pytest

from agent_eval.person.steering import Steering

pytestmark = pytest.mark.anyio


async def test_draining_asks_and_cancelling_ends() -> None:
    steering = Steering()
    assert not steering.stopping
    steering.drain()
    assert steering.stopping
    with steering.scope:
        await anyio.lowlevel.checkpoint()
        steering.cancel()
        await anyio.sleep_forever()
    assert steering.scope.cancelled_caught
    with anyio.fail_after(60), steering.removing() as removal:
        await anyio.sleep(0.01)
    assert not removal.cancelled_caught, "the sandbox is still removed"


async def test_abandoning_leaves_the_sandbox_too() -> None:
    steering = Steering()
    async with anyio.create_task_group() as tasks:

        async def remove() -> None:
            with steering.removing() as begun:
                await anyio.sleep_forever()
            assert begun.cancelled_caught

        tasks.start_soon(remove)
        await anyio.wait_all_tasks_blocked()
        steering.abandon()
    assert steering.stopping
    with steering.scope:
        await anyio.sleep_forever()
    with steering.removing() as later:
        await anyio.sleep_forever()
    assert steering.scope.cancelled_caught
    assert later.cancelled_caught


async def test_removal_is_not_cancelled_with_the_run() -> None:
    steering, ended = Steering(), False
    with anyio.move_on_after(0.01):
        await anyio.lowlevel.checkpoint()
        with steering.removing():
            await anyio.sleep(0.05)
            ended = True
    assert ended


async def test_a_pause_stops_both_clocks_and_whoever_would_start_something() -> None:
    steering, started = Steering(), []

    async def starts() -> None:
        await steering.going()
        started.append(steering.paused)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            steering.pause()
            steering.pause()
            before = steering.clock.now_s(), steering.wall.now_s()
            tasks.start_soon(starts)
            await anyio.sleep(0.05)
            assert (steering.clock.now_s(), steering.wall.now_s()) == before
            assert not started
            steering.go_on()
            steering.go_on()
    assert started == [False]
    assert not steering.paused
    assert steering.clock.now_s() > before[0]


async def test_only_the_wall_stands_still_while_an_agent_waits_for_a_person() -> None:
    steering = Steering()
    with steering.at_work(), steering.behind_a_person():
        before = steering.clock.now_s(), steering.wall.now_s()
        await anyio.sleep(0.01)
        assert steering.clock.now_s() > before[0]
        assert steering.wall.now_s() == before[1]
        assert not steering.paused, "nothing is frozen for it"


async def test_the_wall_goes_on_while_another_agent_of_the_tree_is_at_work() -> None:
    steering = Steering()

    def stands() -> bool:
        return steering.wall.held

    with steering.at_work(), steering.behind_copies():
        with steering.at_work(), steering.behind_a_person():
            with steering.at_work():
                assert not stands(), "one copy waits, the other one works"
                with steering.behind_a_person():
                    assert stands(), "both wait, and their parent for them"
                assert not stands()
            assert stands(), "the other copy has ended"
        assert not stands()
    assert not stands(), "nobody waits for anybody"


async def test_a_run_that_is_to_end_goes_on_to_its_end() -> None:
    for end in (Steering.drain, Steering.cancel, Steering.abandon):
        steering = Steering()
        steering.pause()
        end(steering)
        assert not steering.paused
        steering.pause()
        assert not steering.paused, "and is not paused again"
