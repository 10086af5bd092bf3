"""The host's side of a pipe whose other end is played by the test."""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel

from agent_eval.sandbox.frames import CONTROL, DATA, Decoder, encode
from agent_eval.sandbox.pipe import Pipe


class Wire:
    """A stream into a PID 1 that the test plays: it keeps what is sent and says what it is told."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.orders: list[dict[str, Any]] = []
        self.data: dict[int, bytes] = {}
        self.broken = False
        self.on: Callable[[dict[str, Any]], None] = lambda _order: None
        """Called with each order that is sent."""
        self._decoder = Decoder(8 * 1024 * 1024)
        self._coming: deque[bytes] = deque()
        self._came = anyio.Event()

    async def send(self, data: bytes) -> None:
        """Take all of it, in two pieces with other tasks between them."""
        if self.broken:
            raise anyio.BrokenResourceError
        half = len(data) // 2
        self.sent += data[:half]
        await anyio.lowlevel.checkpoint()
        self.sent += data[half:]
        for kind, channel, payload in self._decoder.feed(data):
            if kind == CONTROL:
                order = json.loads(payload)
                self.orders.append(order)
                self.on(order)
            else:
                self.data[channel] = self.data.get(channel, b"") + payload

    async def receive(self) -> bytes:
        """What is said next; empty at the end."""
        while not self._coming:
            await self._came.wait()
        return self._coming.popleft()

    def raw(self, data: bytes) -> None:
        """Say any bytes; none at all is the end."""
        self._coming.append(data)
        self._came.set()
        self._came = anyio.Event()

    def says(self, op: str, **fields: Any) -> None:
        """Say a report."""
        self.raw(encode(CONTROL, 0, json.dumps({"op": op, **fields}).encode()))

    def writes(self, channel: int, data: bytes) -> None:
        """Say data of a channel, in frames of a size that is allowed."""
        for at in range(0, len(data), 200_000):
            self.raw(encode(DATA, channel, data[at : at + 200_000]))

    def hangs_up(self) -> None:
        """End it."""
        self.raw(b"")


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Wire, Pipe]]:
    """A wire and a pipe that reads from it."""
    wire = Wire()
    pipe = Pipe(wire)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipe.serve)
        yield wire, pipe
        tasks.cancel_scope.cancel()
