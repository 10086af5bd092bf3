"""Whose turn it is to send, among streams that share a pipe: fair queueing by start time.

Each stream is as far on as the bytes that it has sent; whoever is least far on is next. One that
comes back after a pause begins a little before the others, so a small request waits for no more
than the frame that is under way, however much bulk waits beside it, nor do those that follow it:
were it to begin where the others are, the second would wait for all that are still behind the
first. What is small counts for a part of its bytes only: one that asks and is answered, again and
again, would otherwise use up what it is ahead, as among fifty a fair share is less than a question.
PID 1 does the same at its end (see sandbox/init/streams.py).
"""

import heapq
from typing import Generic, Protocol, TypeVar

from agent_eval.sandbox.way import SMALL_BYTES

AHEAD_BYTES = 16384
"""By how much one begins before the others: it may send so much at once, and then is one of them.
"""

OVERHEAD_BYTES = 256
"""What a frame counts beside its bytes."""

SMALL_PARTS = 8
"""A small frame counts so many times less; but something, or many such would leave bulk no turn."""


class Waiting(Protocol):
    """A stream that takes turns."""

    tag: int
    """How far it is on; begins at 0."""
    queued: bool
    """Whether it waits for its turn."""


W = TypeVar("W", bound=Waiting)


class Turns(Generic[W]):
    """Those who want to send."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bool, int, W]] = []
        self._now = self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, stream: W, *, again: bool) -> None:
        """One wants to send; `again` if it just did, and then at a tie others come first."""
        stream.tag = max(stream.tag, self._now - AHEAD_BYTES)
        stream.queued = True
        self._count += 1
        heapq.heappush(self._heap, (stream.tag, again, self._count, stream))

    def take(self) -> W:
        """Whose turn it is."""
        tag, _, _, stream = heapq.heappop(self._heap)
        self._now = max(self._now, tag)
        stream.queued = False
        return stream

    def sent(self, stream: W, size_bytes: int) -> None:
        """It had its turn, and sent a frame with so many bytes."""
        counted = size_bytes + OVERHEAD_BYTES
        stream.tag += counted // SMALL_PARTS if size_bytes <= SMALL_BYTES else counted
