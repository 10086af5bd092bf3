"""The record of a world: what its gateway and its services write down, within its limit.

A run whose record cannot be written, or outgrows `record_bytes`, ends: nothing goes unseen.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from agent_eval.errors import LimitReached, TranscriptBroken
from agent_eval.events.event import Event
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.transcript import Transcript
from agent_eval.world.base import Origin

LIMIT = "record_bytes"
ROOT = "0"
EDGE_BYTES = 1024
"""How much of the beginning and of the end of a stream is kept."""


class Record:
    """Where all that happens in a world is written down."""

    def __init__(
        self, transcript: Transcript, account: Account, fail: Callable[[Exception], None]
    ) -> None:
        """What ends the run is told to `fail`, and raised as well."""
        self._transcript, self._account, self._fail = transcript, account, fail
        self._repeats: Counter[tuple[Any, ...]] = Counter()
        self.counts: Counter[str] = Counter()
        self.bytes = 0

    def write(self, event: Event, origin: Origin | None = None) -> None:
        """Put a fact on record, under the agent on whose behalf it came to be."""
        self._refuse_if_full()
        agent = origin.agent if origin else ROOT
        try:
            self._spend(self._transcript.write_many([(event, agent)]))
        except TranscriptBroken as error:
            self._fail(error)
            raise

    def write_last(self, event: Event) -> None:
        """Put the last fact on record, for which there is always room."""
        self._spend(self._transcript.write_many([(event, ROOT)]))

    def content(self, data: bytes) -> dict[str, Any]:
        """Bytes as events hold them; those that go to a file of their own count as well."""
        try:
            content = self._transcript.content(data)
        except TranscriptBroken as error:
            self._fail(error)
            raise
        if "blob" in content:
            self._spend(len(data))
        return content

    def count(self, what: str) -> int:
        """Count one more of these; returns how many there are now."""
        self.counts[what] += 1
        return self.counts[what]

    def again(self, *what: object) -> int | None:
        """How often this has happened, if that is worth an event: the 1st, 2nd, 4th, 8th time."""
        self._repeats[what] += 1
        times = self._repeats[what]
        return times if times & (times - 1) == 0 else None

    def _spend(self, size: int) -> None:
        self.bytes += size
        self._account.spend(Amounts(record_bytes=size))

    def _refuse_if_full(self) -> None:
        if self._account.free(LIMIT) == 0:
            most = self._account.limits[LIMIT]
            error = LimitReached(
                LIMIT,
                f"{LIMIT}: the record of kernel and world has more than {most:,} bytes. Raise "
                "budget.record_bytes, or lower world.gateway.kept_body_bytes",
            )
            self._fail(error)
            raise error


class Kept:
    """The beginning of something that may be long, and how long it was."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self.size = 0

    def add(self, data: bytes) -> None:
        """More of it came."""
        self.size += len(data)
        if len(self._head) < self._limit:
            self._head += data[: self._limit - len(self._head)]

    def of(self, record: Record) -> dict[str, Any]:
        """As events hold it."""
        content = record.content(bytes(self._head)) if self.size else {}
        content["bytes"] = self.size
        if dropped := self.size - len(self._head):
            content["dropped_bytes"] = dropped
        return content


class Edges:
    """The beginning and the end of one direction of a stream, and how long it was."""

    def __init__(self) -> None:
        self._head = Kept(EDGE_BYTES)
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """More of it went through."""
        room = EDGE_BYTES - min(self._head.size, EDGE_BYTES)
        self._head.add(data)
        self._tail += data[room:][-EDGE_BYTES:]
        del self._tail[:-EDGE_BYTES]

    def of(self, record: Record) -> dict[str, Any]:
        """As events hold it."""
        edges: dict[str, Any] = {"bytes": self._head.size}
        if self._head.size:
            head = self._head.of(record)
            edges["head"] = {key: head[key] for key in ("text", "base64") if key in head}
        if self._tail:
            tail = record.content(bytes(self._tail))
            edges["tail"] = {key: tail[key] for key in ("text", "base64") if key in tail}
        return edges
