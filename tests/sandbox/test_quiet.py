"""Moments in which nothing is asked of a sandbox."""

import anyio
import pytest

from agent_eval.sandbox.quiet import Quiet

pytestmark = pytest.mark.anyio


async def test_a_quiet_moment_comes_after_what_is_under_way_and_before_what_is_new() -> None:
    quiet, order = Quiet(), []

    async def work(name: str, wait: anyio.Event) -> None:
        async with quiet.busy():
            order.append(name)
            await wait.wait()
            order.append(f"{name} over")

    first, second = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, "first", first)
        tasks.start_soon(work, "beside", first)
        await anyio.wait_all_tasks_blocked()

        async def still() -> None:
            async with quiet.kept(60):
                order.append("quiet")
                await anyio.wait_all_tasks_blocked()
                order.append("loud")

        tasks.start_soon(still)
        await anyio.wait_all_tasks_blocked()
        second.set()
        tasks.start_soon(work, "second", second)
        await anyio.wait_all_tasks_blocked()
        assert order == ["first", "beside"]
        first.set()
    assert order[2:4] in (["first over", "beside over"], ["beside over", "first over"])
    assert order[4:] == ["quiet", "loud", "second", "second over"]


async def test_who_waits_too_long_for_quiet_lets_the_others_go_on() -> None:
    quiet = Quiet()
    async with quiet.busy():
        with pytest.raises(TimeoutError):
            async with quiet.kept(0.05):
                pass
        async with quiet.busy():
            pass
    async with quiet.kept(60), anyio.create_task_group() as tasks:
        tasks.cancel_scope.cancel()
    async with quiet.busy():
        pass
