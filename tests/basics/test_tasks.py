"""Tasks beside a block."""

import anyio
import pytest

from agent_eval.basics.tasks import beside

pytestmark = pytest.mark.anyio


async def test_tasks_end_with_the_block() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("ended")

    async with beside() as tasks:
        tasks.start_soon(forever)
        tasks.start_soon(forever)
        await anyio.wait_all_tasks_blocked()
    assert ended == ["ended"] * 2


async def test_an_error_of_the_block_comes_out_as_itself() -> None:
    error = KeyError("x")

    async def block() -> None:
        async with beside() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            raise error from ValueError("the cause")

    with pytest.raises(KeyError) as caught:
        await block()
    assert caught.value is error
    assert isinstance(error.__cause__, ValueError)


async def test_an_error_of_a_task_ends_the_block() -> None:
    async def fails() -> None:
        raise OSError("disk")

    async def block() -> None:
        async with beside() as tasks:
            tasks.start_soon(fails)
            await anyio.sleep_forever()

    with pytest.raises(OSError, match="disk"):
        await block()


async def test_a_block_can_be_cancelled_from_outside() -> None:
    with anyio.move_on_after(0.05) as scope:
        async with beside() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            await anyio.sleep_forever()
    assert scope.cancelled_caught
