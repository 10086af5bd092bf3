"""Working time: a clock that stands still while nothing can be done.

Deadlines of actions and limits of wall time are measured by it. It stands still while this process
is not there (stopped, or its machine suspended) and while somebody holds it: a person who pauses
the run, or an agent that waits for a person. One clock can stand on another, and then stands still
with it.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from agent_eval.basics.tasks import beside
from agent_eval.basics.waking import Waking

BEAT_S = 1.0
SILENCE_S = 3.0
"""Seconds without a beat that still count: a process that is only slow is there."""

SHORTEST_S = 0.05
"""The least that is slept before the next look at a clock that may stand still."""


def since_boot_s() -> float:
    """Seconds since the machine was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WorkingClock:
    """Seconds of the clock below it, but for those in which it stood still."""

    def __init__(self, below: Callable[[], float] = since_boot_s) -> None:
        self.on_gap: Callable[[float], None] = lambda _silent_s: None
        """Told when this process was not there for a while, and for how many seconds."""
        self._below = below
        self._beaten: float | None = None
        self._missed_s = 0.0
        self._holds = 0
        self._held_at = 0.0
        self._stood_s = 0.0
        self._changed = Waking()

    def now_s(self) -> float:
        """Seconds so far; only differences mean anything."""
        return (self._held_at if self._holds else self._there_s()) - self._stood_s

    def beat(self) -> None:
        """This process is there. A clock that nobody ever beats takes it to be there all the time.

        Whoever beats it first after a gap has that told.
        """
        silent_s = self._silent_s()
        self._beaten = self._below()
        if silent_s > SILENCE_S:
            self._missed_s += silent_s - SILENCE_S
            self.on_gap(silent_s)

    async def keep_beating(self) -> None:
        """Beat for as long as this goes on."""
        while True:
            self.beat()
            await anyio.sleep(BEAT_S)

    def _silent_s(self) -> float:
        return 0.0 if self._beaten is None else self._below() - self._beaten

    def _there_s(self) -> float:
        """Seconds of the clock below in which this process was there, as far as it can be told."""
        return self._below() - self._missed_s - max(self._silent_s() - SILENCE_S, 0.0)

    @property
    def held(self) -> bool:
        """Whether somebody holds it."""
        return self._holds > 0

    def hold(self) -> None:
        """Stand still from now on, until all who hold it have let go."""
        if not self._holds:
            self._held_at = self._there_s()
        self._holds += 1
        self._changed.wake()

    def let_go(self) -> None:
        """Hold it no longer."""
        self._holds -= 1
        if not self._holds:
            self._stood_s += self._there_s() - self._held_at
        self._changed.wake()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Stand still during the block."""
        self.hold()
        try:
            yield
        finally:
            self.let_go()

    async def changed(self) -> None:
        """Wait until somebody holds it or lets go."""
        await self._changed.wait()


@asynccontextmanager
async def at_most(limit_s: float | None, clock: WorkingClock) -> AsyncIterator[None]:
    """Cancel the block after so many seconds of the clock, and go on behind it."""
    async with beside() as tasks:

        async def end(limit_s: float) -> None:
            until = clock.now_s() + limit_s
            while (left_s := until - clock.now_s()) > 0:  # noqa: ASYNC110 - it may stand still
                await anyio.sleep(max(left_s, SHORTEST_S))
            tasks.cancel_scope.cancel()

        if limit_s is not None:
            tasks.start_soon(end, limit_s)
        yield
