"""The pipe: frames of PID 1 are sorted by channel, whatever they hold."""

import asyncio
from collections.abc import Iterator

from agent_eval.errors import Blame
from agent_eval.sandbox.pipe import MAX_REPORTS, Pipe
from tests.fuzz.targets.pieces import said

ROOM = 64
SEEDS = (
    b'c0{"op":"ready","python":"3.11"}\nc0{"op":"done","channel":1,"action":1,"exit":0}\nd1out',
    b"d1" + b"x" * 100 + b"\nd2y\ne1\nc0[]",
    b"c0" + b"[" * 300,
    b'c0{"channel":1e400}\nc0{"channel":{}}\nc0{"channel":-1}\nc0{"channel":true}\nc0\xff',
)

LOOP = asyncio.new_event_loop()


class Says:
    """PID 1 that says this and hangs up."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    async def receive(self) -> bytes:
        return next(self.pieces, b"")

    async def send(self, data: bytes) -> None:
        raise NotImplementedError


def check(data: bytes) -> None:
    """The pipe ends with blame and has kept no more than there was room for."""
    LOOP.run_until_complete(sorted_out(said(data)))


async def sorted_out(pieces: list[bytes]) -> None:
    """Serve until the end, and look at what was kept."""
    pipe = Pipe(Says(iter(pieces)))
    channels = [pipe.channel(ROOM) for _ in range(3)]
    await pipe.serve()
    assert pipe.died is not None
    assert pipe.died.blame in (Blame.MODEL, Blame.INFRASTRUCTURE)
    for channel in channels:
        taken, dropped = channel.take()
        assert len(taken) <= ROOM
        assert dropped == 0 or len(taken) == ROOM
        assert len(channel.reports) <= MAX_REPORTS
        assert all(isinstance(report, dict) for report in channel.reports)
