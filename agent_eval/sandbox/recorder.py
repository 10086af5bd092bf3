"""Puts what a sandbox's kernel tells on record, each fact under the action that caused it.

Facts are taken when an action begins and ends, so that an action's own stand before its end, and
several times a second meanwhile. A record that breaks, or outgrows its budget, ends the sandbox.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio

from agent_eval.errors import LimitReached, RecordBroken
from agent_eval.events.kernel import (
    FileOpened,
    FileRemoved,
    FileRenamed,
    KernelClosed,
    KernelLost,
    KernelOpened,
    NetBound,
    NetConnected,
    OfKernel,
    ProcessExited,
    ProcessForked,
    ProcessSignalled,
    ProcessStarted,
    UserChanged,
)
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox.kernel import PID_1, Fact, Source
from agent_eval.sandbox.lineage import Cause, Lineage

EVERY_S = 0.1
"""How often facts are taken while nothing begins or ends."""

GONE_CHECKS = 10
"""How many times, `EVERY_S` apart, a sandbox whose record ended is looked at before it is ended."""

LIMIT = "record_bytes"

OWN_FILES = "/run/sessions/"
"""Where PID 1 leaves the code of an action for its shell; nobody else can write there."""

_EVENTS: dict[str, type[OfKernel]] = {
    "fork": ProcessForked,
    "start": ProcessStarted,
    "exit": ProcessExited,
    "open": FileOpened,
    "remove": FileRemoved,
    "rename": FileRenamed,
    "connect": NetConnected,
    "bind": NetBound,
    "user": UserChanged,
    "signal": ProcessSignalled,
}


class Recorder:
    """The kernel record of one sandbox."""

    def __init__(
        self, source: Source, sandbox: str, transcript: Transcript, account: Account, owner: str
    ) -> None:
        self._source = source
        self._sandbox = sandbox[:12]
        self._transcript = transcript
        self._account = account
        self._owner = owner
        self.lineage = Lineage()
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._lost = 0
        self._broken: str | None = None
        """Why the record ended before the sandbox did."""

    def open(self) -> None:
        """Put on record that there is one, and what it promises."""
        source = self._source
        opened = KernelOpened(self._sandbox, source.name, dict(source.promises))
        self._transcript.write(opened, self._owner)

    def session(self, program: str, pid: int) -> None:
        """PID 1 says which process a session is."""
        self.take()
        self.lineage.session(program, pid)

    def begin(self, program: str, cause: Cause) -> None:
        """An action is about to run in a session."""
        self.take()
        self.lineage.begin(program, cause)

    def take(self) -> None:
        """Put on record what has come."""
        facts = [fact for fact in self._source.drain() if not _is_dull(fact)]
        if facts:
            events = []
            for fact in facts:
                cause = self.lineage.cause_of(fact)
                events.append((self._event(fact, cause), cause.agent if cause else self._owner))
                self._counts[_EVENTS[fact.what].kind] += 1
            written = self._transcript.write_many(events)
            self._bytes += written
            self._account.spend(Amounts(record_bytes=written))
        if self._source.lost > self._lost:
            self._lost = self._source.lost
            self._transcript.write(KernelLost(self._sandbox, self._lost), self._owner)

    def _event(self, fact: Fact, cause: Cause | None) -> OfKernel:
        fields: dict[str, Any] = dict(fact.fields)
        action = cause.action if cause else None
        at = datetime.fromtimestamp(fact.time_ns / 1e9, UTC).isoformat(timespec="microseconds")
        event = _EVENTS[fact.what]
        return event(sandbox=self._sandbox, pid=fact.pid, at=at, action=action, **fields)

    async def serve(self, alive: Callable[[], Awaitable[bool]]) -> None:
        """Take facts until cancelled or until the sandbox is gone.

        Raises `RecordBroken` when the record ended and the sandbox is `alive`, and `LimitReached`.
        """
        while not self._source.broken:
            await anyio.sleep(EVERY_S)
            self.take()
            self._check_size()
        for _ in range(GONE_CHECKS):
            if not await alive():
                return
            await anyio.sleep(EVERY_S)
        self._broken = self._source.broken
        raise RecordBroken(
            "the kernel record broke while the sandbox lived, so the sandbox was ended: "
            f"{self._broken}"
        )

    def _check_size(self) -> None:
        if self._account.free(LIMIT) == 0:
            limit = self._account.limits[LIMIT]
            raise LimitReached(
                LIMIT,
                f"{LIMIT}: the kernel record has more than {limit:,} bytes, so the sandbox was "
                "ended. Raise budget.record_bytes, or turn the record off with sandbox.record",
            )

    def close(self) -> None:
        """Put the rest on record, and how it ended."""
        self._source.close()
        self.take()
        closed = KernelClosed(
            sandbox=self._sandbox,
            facts=dict(sorted(self._counts.items())),
            lost=self._source.lost,
            received_bytes=self._source.received_bytes,
            recorded_bytes=self._bytes,
            broken=self._broken,
        )
        self._transcript.write(closed, self._owner)


def _is_dull(fact: Fact) -> bool:
    """Whether it only says that PID 1 hands over an action that is on record already."""
    opened = fact.what == "open" and fact.pid == PID_1
    return opened and str(fact.fields.get("path")).startswith(OWN_FILES)
