"""How a person ends a run."""

import anyio
import anyio.lowlevel
import pytest

from agent_eval.steering import Steering

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
    with anyio.fail_after(5), steering.removal:
        await anyio.sleep(0.01)
    assert not steering.removal.cancelled_caught, "the sandbox is still removed"


async def test_abandoning_leaves_the_sandbox_too() -> None:
    steering = Steering()
    steering.abandon()
    assert steering.stopping
    for scope in (steering.scope, steering.removal):
        with scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught


async def test_removal_is_not_cancelled_with_the_run() -> None:
    steering, ended = Steering(), False
    with anyio.move_on_after(0.01):
        await anyio.lowlevel.checkpoint()
        with steering.removal:
            await anyio.sleep(0.05)
            ended = True
    assert ended
