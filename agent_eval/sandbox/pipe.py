"""Both directions of the pipe, as channels.

One task reads for as long as the sandbox lives and sorts what arrives by channel; whoever waits on
a channel is woken when something came, and learns at once when the pipe has ended. All that PID 1
says is untrusted: what does not fit the form ends the sandbox.
"""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, Protocol

import anyio

from agent_eval.basics.conversation import untrusted_json
from agent_eval.basics.waking import Waking
from agent_eval.errors import Blame, SandboxDied
from agent_eval.sandbox.frames import (
    CONTROL,
    DATA,
    END,
    MAX_PAYLOAD_BYTES,
    BadFrame,
    Decoder,
    encode,
)

MAX_REPORTS = 100
"""Reports that may wait unread on one channel; an honest supervisor sends one per order."""

MAX_ORDER_BYTES = 4 * 1024 * 1024
"""The longest code there may be, every byte of it written as a JSON escape, and some room."""

SEND_S = 60.0
"""Seconds PID 1 has to take what is sent to it."""


class Stream(Protocol):
    """The attached standard input and output of PID 1."""

    async def send(self, data: bytes) -> None:
        """Write all of it."""

    async def receive(self) -> bytes:
        """What PID 1 wrote next; empty at the end."""


class Channel:
    """What has come for one session or transfer, and not been taken."""

    def __init__(self, number: int, room_bytes: int) -> None:
        self.number = number
        self.room_bytes = room_bytes
        """What may wait here untaken; beyond it bytes are counted and dropped."""
        self.data = bytearray()
        self.dropped_bytes = 0
        self.reports: deque[dict[str, Any]] = deque()
        self._changed = Waking()

    def take(self) -> tuple[bytes, int]:
        """All data that has come, and how many bytes were dropped; both start over."""
        taken, dropped = bytes(self.data), self.dropped_bytes
        self.data.clear()
        self.dropped_bytes = 0
        return taken, dropped

    def arrive(self, data: bytes) -> None:
        """Keep what there is room for."""
        room = max(self.room_bytes - len(self.data), 0)
        self.data += data[:room]
        self.dropped_bytes += max(len(data) - room, 0)
        if self.dropped_bytes:
            self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._changed.wake()

    async def changed(self) -> None:
        """Wait for a report, an overflow, or the end of the pipe."""
        await self._changed.wait()


class Sink(Channel):
    """A channel whose data goes to a file as it comes, for more than memory should hold."""

    def __init__(self, number: int, room_bytes: int, file: BinaryIO) -> None:
        super().__init__(number, room_bytes)
        self._file = file
        self.failed: OSError | None = None
        """Why the file takes no more."""

    def arrive(self, data: bytes) -> None:
        """Write what there is room for."""
        kept = b"" if self.failed else data[: self.room_bytes]
        try:
            self._file.write(kept)
        except OSError as error:
            self.failed, kept = error, b""
        self.room_bytes -= len(kept)
        self.dropped_bytes += len(data) - len(kept)
        if self.dropped_bytes:
            self.wake()


class Pipe:
    """The only wire into a sandbox."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = Decoder()
        self._channels: dict[int, Channel] = {0: Channel(0, 0)}
        self.numbers = 0
        """The highest number of a channel so far."""
        self._sending = anyio.Lock()
        self.on_stream: Callable[[int, int, bytes], None] | None = None
        """Given what belongs to streams and names; None where a sandbox has no network."""
        self.died: SandboxDied | None = None
        """Why nothing more will come."""
        self._over = anyio.Event()

    async def greet(self, greeting: str) -> None:
        """Begin anew with a PID 1 that was another harness's, before anything else is done here.

        What either end had said by half is thrown away. Nothing inside knows the greeting.
        """
        self._decoder = Decoder(after=greeting.encode())
        await self._stream.send(greeting.encode())

    async def serve(self) -> None:
        """Read until the pipe ends; never raises for what a sandbox does."""
        try:
            while data := await self._stream.receive():
                for kind, channel, payload in self._decoder.feed(data):
                    self._sort(kind, channel, payload)
            self.end("the sandbox closed its end of the pipe", Blame.INFRASTRUCTURE)
        except BadFrame as error:
            self.end(f"PID 1 broke the rules of the pipe: {error}", Blame.MODEL)

    def end(self, reason: str, blame: Blame) -> None:
        """Nothing more will come: wake everyone who waits."""
        self.died = self.died or SandboxDied(reason, blame)
        self._over.set()
        for channel in self._channels.values():
            channel.wake()

    async def over(self) -> SandboxDied:
        """Wait until nothing more will come; returns why."""
        await self._over.wait()
        assert self.died
        return self.died

    def channel(self, room_bytes: int) -> Channel:
        """A new channel."""
        return self.adopt(self.numbers + 1, room_bytes)

    def sink(self, room_bytes: int, file: BinaryIO) -> Sink:
        """A new channel whose data goes to a file."""
        self.numbers += 1
        sink = Sink(self.numbers, room_bytes, file)
        self._channels[sink.number] = sink
        return sink

    def adopt(self, number: int, room_bytes: int) -> Channel:
        """A channel of this number, which the PID 1 of a copy may know already."""
        self.numbers = max(self.numbers, number)
        channel = self._channels[number] = Channel(number, room_bytes)
        return channel

    def forget(self, channel: Channel) -> None:
        """What still comes for this channel is thrown away."""
        self._channels.pop(channel.number, None)

    async def order(self, op: str, **fields: Any) -> None:
        """Tell PID 1 to do something."""
        payload = json.dumps({"op": op, **fields}).encode()
        if len(payload) > MAX_ORDER_BYTES:
            raise ValueError("an order larger than PID 1 is asked to take")
        await self._send(encode(CONTROL, 0, payload))

    async def beat(self) -> None:
        """Let PID 1 hear that its harness is there, unless it hears so already."""
        if not self._sending.locked():
            await self.order("beat")

    async def data(self, channel: Channel, data: bytes) -> None:
        """Send bytes of a channel."""
        for at in range(0, len(data), MAX_PAYLOAD_BYTES):
            await self._send(encode(DATA, channel.number, data[at : at + MAX_PAYLOAD_BYTES]))

    async def bulk(self, take: Callable[[], bytes]) -> None:
        """Send frames that are made only when it is their turn: what else waits goes first."""
        with anyio.CancelScope(shield=True):
            async with self._sending:
                if frames := take():
                    await self._write(frames)

    async def end_data(self, channel: Channel) -> None:
        """Say that no more bytes come."""
        await self._send(encode(END, channel.number, b""))

    @asynccontextmanager
    async def held(self, wait_s: float) -> AsyncIterator[None]:
        """Have nothing in the pipe, either way, until the end of the block.

        Raises `TimeoutError` if PID 1 goes on talking for longer than `wait_s`.
        """
        channel = self.channel(0)
        try:
            async with self._sending:
                order = {"op": "copying", "what": "hold", "channel": channel.number}
                await self._write(encode(CONTROL, 0, json.dumps(order).encode()))
                with anyio.fail_after(wait_s):
                    await self.report(channel)
                yield
        finally:
            self.forget(channel)
            with anyio.CancelScope(shield=True):
                await self.order("copying", what="go_on")

    async def _send(self, frame: bytes) -> None:
        """Send a frame, even if cancelled meanwhile: its sender may not know what came of it."""
        with anyio.CancelScope(shield=True):
            async with self._sending:
                await self._write(frame)

    async def _write(self, frame: bytes) -> None:
        """Send all of a frame, even if cancelled meanwhile: half of one would garble the rest."""
        if self.died:
            raise self.died
        try:
            with anyio.fail_after(SEND_S, shield=True):
                await self._stream.send(frame)
        except TimeoutError as error:
            self.end(f"PID 1 took nothing for {SEND_S:g} s", Blame.INFRASTRUCTURE)
            raise self.died or error from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            self.end("the pipe into the sandbox is broken", Blame.INFRASTRUCTURE)
            raise self.died or error from error

    async def report(self, channel: Channel | None = None) -> dict[str, Any] | None:
        """The next report on a channel; None when the channel overflows first."""
        channel = channel or self._channels[0]
        while True:
            if channel.reports:
                return channel.reports.popleft()
            if channel.dropped_bytes:
                return None
            if self.died:
                raise self.died
            await channel.changed()

    def _sort(self, kind: int, number: int, payload: bytes) -> None:
        if kind == CONTROL:
            report = _parsed(payload)
            number = report.get("channel", 0)
            channel = self._channels.get(number) if isinstance(number, int) else None
            if channel is None:
                return
            if len(channel.reports) >= MAX_REPORTS:
                raise BadFrame("more reports than orders")
            channel.reports.append(report)
            channel.wake()
        elif kind == DATA and (channel := self._channels.get(number)):
            channel.arrive(payload)
        elif kind > END:
            if self.on_stream is None:
                raise BadFrame(f"a frame of type {kind}, and no network")
            self.on_stream(kind, number, payload)


def _parsed(payload: bytes) -> dict[str, Any]:
    try:
        report = untrusted_json(payload)
    except ValueError as error:
        raise BadFrame("a report that is not JSON") from error
    if not isinstance(report, dict):
        raise BadFrame("a report that is not an object")
    return report
