"""The engine's multiplexed form of what PID 1 writes."""

import asyncio
from collections.abc import Iterator

from agent_eval.sandbox.engine import Attached
from tests.fuzz.targets.pieces import cut

SEEDS = (
    b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x02no",
    b"\x01\0\0\0\xff\xff\xff\xff" + b"x" * 30,
    b"\x00\0\0\0\0\0\0\0" * 4,
)

LOOP = asyncio.new_event_loop()


class Written:
    """A connection to the engine on which these pieces come."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    async def receive(self, _most: int) -> bytes:
        return next((piece for piece in self.pieces if piece), b"")


def check(data: bytes) -> None:
    """Whole or in pieces it comes to the same, and of errors only the end is kept."""
    whole = LOOP.run_until_complete(received([data]))
    assert whole == LOOP.run_until_complete(received(list(cut(data))))
    out, errors = whole
    assert len(out) <= len(data)
    assert len(errors) <= 4096


async def received(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """All of standard output, and what is kept of standard error."""
    attached = Attached(Written(iter(pieces)), None)
    whole = b""
    while out := await attached.receive():
        whole += out
    return whole, attached.stderr
