"""A socket as a stream: whole, both ways, and without a trace of waits that were cancelled."""

import asyncio
import socket

import anyio
import pytest

from agent_eval.sandbox.ready_socket import ReadySocket

pytestmark = pytest.mark.anyio


async def test_much_goes_both_ways_at_once() -> None:
    ours, theirs = map(ReadySocket, socket.socketpair())
    much = bytes(range(256)) * 8192

    async def send(stream: ReadySocket) -> None:
        await stream.send(much)

    async def receive(stream: ReadySocket) -> None:
        came = b""
        while len(came) < len(much):
            came += await stream.receive(65536)
        assert came == much

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for stream in (ours, theirs):
                tasks.start_soon(send, stream)
                tasks.start_soon(receive, stream)
    await ours.aclose()
    assert await theirs.receive(10) == b""
    with pytest.raises(OSError, match="Broken pipe"):
        await theirs.send(b"x")
    await theirs.aclose()


async def test_one_who_waits_is_woken_when_it_is_closed() -> None:
    ours, theirs = socket.socketpair()
    stream = ReadySocket(ours)
    with theirs, anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                with pytest.raises(anyio.ClosedResourceError):
                    await stream.receive(10)

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()


@pytest.mark.slow
async def test_a_wait_that_is_cancelled_as_something_comes_leaves_nothing_behind() -> None:
    """The test's runner fails it for an error of any callback."""
    for _ in range(50):
        ours, theirs = socket.socketpair()
        stream = ReadySocket(ours)
        with theirs:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.receive, 10)
                await anyio.wait_all_tasks_blocked()
                # In the same turn of the loop, and before it: in whichever order it finds them.
                asyncio.get_running_loop().call_soon(tasks.cancel_scope.cancel)
                theirs.send(b"x")
            await stream.aclose()
