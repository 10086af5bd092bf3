"""All who wait are woken, once."""

import anyio
import anyio.lowlevel
import pytest

from agent_eval.basics.waking import Waking

pytestmark = pytest.mark.anyio


async def test_all_who_wait_by_then_are_woken_and_nobody_later() -> None:
    change, woken = Waking(), []

    async def waits(name: str) -> None:
        await change.wait()
        woken.append(name)

    change.wake()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name in ("one", "two"):
                tasks.start_soon(waits, name)
            await anyio.wait_all_tasks_blocked()
            assert woken == [], "a change that nobody waited for is over"
            change.wake()
            await anyio.wait_all_tasks_blocked()
            assert sorted(woken) == ["one", "two"]
            tasks.start_soon(waits, "late")
            await anyio.wait_all_tasks_blocked()
            assert len(woken) == 2
            change.wake()
    assert woken[-1] == "late"
