"""Streams and names through the pipe: whatever PID 1 says of them, no more is kept than granted."""

import asyncio

from agent_eval.errors import Blame
from agent_eval.sandbox.frames import Decoder, encode
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.streams import FIRST_WINDOW_BYTES, MOST_STREAMS, Streams
from tests.fuzz.targets.pieces import cut

ADDRESS = bytes([127, 128, 0, 7, 0, 80])
BEGUN = encode(7, 0, b"")
SEEDS = (
    BEGUN + encode(3, 1, ADDRESS) + encode(5, 1, b"GET /") + encode(6, 1, b"") + encode(7, 1, b""),
    BEGUN + encode(9, 5, b"a.b") + encode(8, 0, b"\0\0\0\1"),
    BEGUN + encode(3, 1, ADDRESS) + encode(8, 1, b"\0\1\0\0") + encode(4, 1, b""),
)

LOOP = asyncio.new_event_loop()


class Says:
    """PID 1 that says this, reads nothing and hangs up."""

    def __init__(self, data: bytes) -> None:
        self.pieces = cut(data)

    async def receive(self) -> bytes:
        return next(self.pieces, b"")

    async def send(self, data: bytes) -> None:
        raise NotImplementedError


class Never:
    """A place for tasks, none of which gets anywhere."""

    def __init__(self) -> None:
        self.begun = 0

    def start_soon(self, *_task: object) -> None:
        self.begun += 1


def check(data: bytes) -> None:
    """The pipe ends with blame, streams are no more than there may be, names are plain."""
    LOOP.run_until_complete(heard(data))


async def heard(data: bytes) -> None:
    """Serve until the end, and look at what was kept."""
    asked: list[str] = []
    pipe = Pipe(Says(data))
    streams = Streams(pipe, Network(nowhere, asked.append))
    streams.admits, tasks = True, Never()
    streams._tasks = tasks  # type: ignore[assignment]
    pipe.on_stream = streams.hear
    await pipe.serve()
    assert pipe.died is not None
    assert pipe.died.blame in (Blame.MODEL, Blame.INFRASTRUCTURE)
    assert len(streams) <= MOST_STREAMS
    assert len(streams) <= tasks.begun
    for stream in streams._all.values():
        assert stream.number % 2 == 1
        assert len(stream.waiting) <= FIRST_WINDOW_BYTES
    assert all(name.isascii() and name.isprintable() and name for name in asked)
    assert list(Decoder().feed(bytes(streams._urgent))) is not None


async def nowhere(_address: str, _port: int) -> None:
    """Nobody is there."""
