"""Notices a service that holds up everything else, and says which and where.

Services run in the harness's own loop: one that computes without end keeps the others, all agents
and the beat of every sandbox waiting. It cannot be stopped from here, but what stood still, for
how long and at which line is put on record as soon as it goes on; sandboxes have frozen meanwhile.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

BEAT_S = 0.25
STALL_S = 5.0
"""Seconds without a turn of the loop that are a stall."""
FRAMES = 12
"""How much is told of where it stood."""

_SERVICE = "world service "


@dataclass(frozen=True)
class Stall:
    """One of them."""

    service: str
    """Whose request was being answered."""
    seconds: float
    where: str
    """The innermost calls, as in a traceback."""


def answering(service: str) -> None:
    """What the current task does from now on is a service's doing."""
    task = asyncio.current_task()
    if task is not None:
        task.set_name(_SERVICE + service)


@asynccontextmanager
async def noticed(tell: Callable[[Stall], None], stall_s: float = STALL_S) -> AsyncIterator[None]:
    """Have stalls of services told of, in the loop, while the block goes on."""
    watch = _Watch(asyncio.get_running_loop(), stall_s)
    beating = asyncio.create_task(watch.beat(tell))
    watch.start()
    try:
        yield
    finally:
        watch.over.set()
        beating.cancel()


class _Watch(threading.Thread):
    """Looks at the loop from outside."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stall_s: float) -> None:
        super().__init__(name="stalls", daemon=True)
        self.over = threading.Event()
        self._loop, self._stall_s = loop, stall_s
        self._of = threading.get_ident()
        self._beaten_s = time.monotonic()
        self._seen: tuple[str, str] | None = None

    async def beat(self, tell: Callable[[Stall], None]) -> None:
        """Show that the loop turns; tell of what was seen while it did not."""
        while True:
            silent_s = time.monotonic() - self._beaten_s
            self._beaten_s = time.monotonic()
            if self._seen is not None:
                (service, where), self._seen = self._seen, None
                tell(Stall(service, round(silent_s, 3), where))
            await asyncio.sleep(BEAT_S)

    def run(self) -> None:
        """Note who is at it, once the loop has stood for too long."""
        while not self.over.wait(BEAT_S):
            if self._seen is None and time.monotonic() - self._beaten_s > self._stall_s:
                self._seen = self._look()

    def _look(self) -> tuple[str, str] | None:
        task = asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._of)  # noqa: SLF001 - documented, for this
        if task is None or frame is None or not task.get_name().startswith(_SERVICE):
            return None  # the machine was asleep or busy, or it is not a service's doing
        where = "".join(traceback.format_stack(frame)[-FRAMES:])
        return task.get_name().removeprefix(_SERVICE), where
