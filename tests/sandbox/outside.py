"""What a sandbox's network leads to, for tests: servers on the host that answer in simple ways."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from agent_eval.sandbox.network import Network

ADDRESS = "127.128.0.7"
"""Where every name leads that there is."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Outside:
    """Names that lead to one address, whose ports do each something; all else is refused."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[str] = []
        self.wanted: list[tuple[str, int]] = []
        self.ports: dict[int, Serve] = {7: echo, 9: swallow, 19: pour}
        self._tasks: set[asyncio.Task[None]] = set()

    def network(self, authority_pem: str = "") -> Network:
        """For a sandbox."""
        return Network(self.connect, self.resolve, authority_pem)

    def resolve(self, name: str) -> str | None:
        """An address for the names there are."""
        self.asked.append(name)
        return ADDRESS if name in self.names else None

    async def connect(self, address: str, port: int) -> socket.socket | None:
        """A server of that port."""
        self.wanted.append((address, port))
        serve = self.ports.get(port) if address == ADDRESS else None
        if serve is None:
            return None
        ours, theirs = socket.socketpair()
        try:
            reader, writer = await asyncio.open_connection(sock=theirs)
        except BaseException:  # the sandbox may end meanwhile
            ours.close()
            theirs.close()
            raise
        task = asyncio.create_task(self._served(serve, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours

    async def close(self) -> None:
        """End what still serves."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # for the connections to be closed

    @staticmethod
    async def _served(
        serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            with suppress(OSError):
                await serve(reader, writer)
        finally:
            writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what it hears."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say how many bytes it heard when there are no more."""
    heard = 0
    while data := await reader.read(65536):
        heard += len(data)
    writer.write(b"%d" % heard)


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say as many bytes as the first line asks for."""
    left = int(await reader.readline())
    while left:
        part = bytes(min(left, 65536))
        writer.write(part)
        await writer.drain()
        left -= len(part)
