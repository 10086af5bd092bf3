"""Streams between the sandboxes of a run."""

import asyncio
import socket
from pathlib import Path

import anyio
import pytest

from agent_eval.world.base import Origin
from tests.world.worlds import AGENT, staged, until

pytestmark = pytest.mark.anyio
MACHINE = Origin("i-1", "0")


async def listener() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


async def test_a_stream_to_an_instance_is_counted_with_its_ends(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    server = await listener()
    dialled: list[int] = []

    async def dial(port: int) -> socket.socket:
        dialled.append(port)
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, server.getsockname())
        return sock

    async with staged(tmp_path, {}) as stage:
        address = stage.world.gateway.appear("i-1", ("ip-10-0-0-5.internal",), dial)
        near = await stage.stream("ip-10-0-0-5.internal", 22)
        far, _ = await loop.sock_accept(server)
        sent = b"A" * 1500 + b"B" * 300_000 + b"C" * 1000

        async def answer() -> None:
            got = b""
            while data := await loop.sock_recv(far, 65536):
                got += data
            assert got == sent
            await loop.sock_sendall(far, b"thanks")
            far.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            await loop.sock_sendall(near, sent)
            near.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(near, 100) == b"thanks"
            assert await loop.sock_recv(near, 100) == b""
        near.close()
        await until(lambda: stage.events("world.stream_ended"))
    server.close()
    opened, ended = stage.events("world.stream", "world.stream_ended")
    assert dialled == [22]
    assert (opened["sandbox"], opened["to"], opened["address"]) == ("0", "i-1", address)
    assert ended["sent"]["bytes"] == len(sent)
    assert ended["sent"]["head"]["text"] == "A" * 1024
    assert ended["sent"]["tail"]["text"] == "B" * 24 + "C" * 1000
    assert ended["received"] == {"bytes": 6, "head": {"text": "thanks"}}


async def test_a_port_where_nothing_listens_is_refused_and_so_is_one_that_vanished(
    tmp_path: Path,
) -> None:
    async def dial(_port: int) -> socket.socket:
        raise ConnectionRefusedError("nobody is there")

    async with staged(tmp_path, {}) as stage:
        gateway = stage.world.gateway
        address = gateway.appear("i-1", ("a.internal", "54.1.2.3"), dial)
        assert await gateway.connect(AGENT, "54.1.2.3", 8000) is None
        gateway.vanish("i-1")
        assert await gateway.connect(AGENT, address, 8000) is None
    reasons = [each["reason"] for each in stage.events("world.refused")]
    assert reasons == ["closed", "unknown"]


async def test_what_a_stream_carried_is_on_record_when_the_run_is_over(tmp_path: Path) -> None:
    """Also where it would have stayed open, and where its end was only on its way."""
    loop = asyncio.get_running_loop()
    lines: list[socket.socket] = []

    async def dial(_port: int) -> socket.socket:
        far, theirs = socket.socketpair()
        for each in (far, theirs):
            each.setblocking(False)
        lines.append(far)
        return theirs

    async with staged(tmp_path, {}) as stage:
        stage.world.gateway.appear("i-1", ("a.internal",), dial)
        for said in (b"kept open", b"just closed"):
            near = await stage.stream("a.internal", 80)
            lines.append(near)
            await loop.sock_sendall(near, said)
            assert await loop.sock_recv(lines[-2], 100) == said
        for each in lines[-2:]:
            each.close()
        assert not stage.events("world.stream_ended")
        await stage.world.gateway.settled()
        told = [each["sent"]["head"]["text"] for each in stage.events("world.stream_ended")]
        assert sorted(told) == ["just closed", "kept open"]
    for each in lines[:2]:
        each.close()


async def test_streams_to_an_instance_end_with_it(tmp_path: Path) -> None:
    far, theirs = socket.socketpair()
    for each in (far, theirs):
        each.setblocking(False)

    async def dial(_port: int) -> socket.socket:
        return theirs

    async with staged(tmp_path, {}) as stage:
        stage.world.gateway.appear("i-1", ("a.internal",), dial)
        near = await stage.stream("a.internal", 22, MACHINE)
        await anyio.wait_all_tasks_blocked()
        stage.world.gateway.vanish("i-1")
        with anyio.fail_after(60):
            assert await asyncio.get_running_loop().sock_recv(near, 10) == b""
        near.close()
        far.close()
    assert stage.events("world.stream_ended")[0]["sandbox"] == "i-1"
