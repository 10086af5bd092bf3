"""Notices a service that holds up everything else, says which and where, and ends its request.

Services run in the harness's own loop: one that computes or waits without letting others keeps
them, all agents and the beat of every sandbox waiting. A thread looks at the loop from outside and
notes who it is and where it stands. If it is still there some seconds later, the request is ended:
a signal has the loop's thread raise `Stalled` in it, which the exchange turns into a plain 504. The
record and the ledger are never left half done; one long call of a C library ends at its own time.
Worlds of a fleet share the loop: each has a watch of its own, which tells of its own services.
"""

import asyncio
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType

BEAT_S = 0.25
STALL_S = 5.0
"""Seconds without a turn of the loop that are a stall."""
BOUND_S = 15.0
"""Seconds after which the request that it is for is ended."""
FRAMES = 12
"""How much is told of where it stood."""

_SIGNAL = signal.SIGUSR2
_WHOLE = ("agent_eval.record.", "agent_eval.world.ledger", "agent_eval.world.recording")
"""Modules that are not left in the middle of something."""


@dataclass(frozen=True)
class Stall:
    """One of them."""

    service: str
    """Whose request was being answered."""
    seconds: float
    where: str
    """The innermost calls, as in a traceback."""


class Stalled(BaseException):
    """Raised where a service holds up everything else; nothing that a service catches."""


_at_work: "weakref.WeakKeyDictionary[asyncio.Task[object], tuple[str, object]]"
_at_work = weakref.WeakKeyDictionary()
"""Which service a task answers for, and in which world."""


def answering(service: str, world: object) -> None:
    """What the current task does from now on is a service's doing, in the world of this object."""
    task = asyncio.current_task()
    if task is not None:
        _at_work[task] = service, world


_condemned: "weakref.WeakSet[asyncio.Task[object]]" = weakref.WeakSet()
"""What is to be ended if it is still at it when the signal comes; once each."""


def _ended(_number: int, frame: FrameType | None) -> None:
    """End what the loop's thread is at, if that was to be ended and nothing is half done."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return
    if task is None or task not in _condemned or _within(frame, _WHOLE):
        return
    _condemned.discard(task)
    _at_work.pop(task, None)
    raise Stalled


def _within(frame: FrameType | None, modules: tuple[str, ...]) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(modules):
            return True
        frame = frame.f_back
    return False


@asynccontextmanager
async def noticed(
    world: object,
    tell: Callable[[Stall], None],
    stall_s: float = STALL_S,
    bound_s: float = BOUND_S,
) -> AsyncIterator[None]:
    """Have stalls of a world's services told of, in the loop, and ended, while the block goes on.

    They are ended where the loop runs in the main thread, as only that one takes signals.
    """
    watch = _Watch(world, asyncio.get_running_loop(), stall_s, bound_s)
    if watch.can_end:
        signal.signal(_SIGNAL, _ended)
    beating = asyncio.create_task(watch.beat(tell))
    watch.start()
    try:
        yield
    finally:
        watch.over.set()
        beating.cancel()


class _Watch(threading.Thread):
    """Looks at the loop from outside."""

    def __init__(
        self, world: object, loop: asyncio.AbstractEventLoop, stall_s: float, bound_s: float
    ) -> None:
        super().__init__(name="stalls", daemon=True)
        self._world = world
        self.over = threading.Event()
        self._loop, self._stall_s, self._bound_s = loop, stall_s, bound_s
        self._of = threading.get_ident()
        self.can_end = self._of == threading.main_thread().ident
        self._beaten_s = time.monotonic()
        self._seen: tuple[str, str] | None = None
        self._at: asyncio.Task[object] | None = None
        """The task of a service that was seen to hold everything up."""

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
        """Note who is at it, once the loop has stood for too long, and end it if it goes on so.

        The time is counted in looks: where the whole machine stood, nobody is to blame.
        """
        looks, beaten_s = 0, self._beaten_s
        while not self.over.wait(BEAT_S):
            looks, beaten_s = looks + 1 if beaten_s == self._beaten_s else 0, self._beaten_s
            if looks * BEAT_S <= self._stall_s:
                continue
            if self._seen is None:
                self._seen = self._look()
            if self.can_end and looks * BEAT_S > self._bound_s:
                self._end()

    def _end(self) -> None:
        """Have it ended if it is still the one that was seen."""
        task = asyncio.current_task(self._loop)
        if task is not None and task is self._at:
            _condemned.add(task)
            signal.pthread_kill(self._of, _SIGNAL)

    def _look(self) -> tuple[str, str] | None:
        self._at, task = None, asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._of)  # noqa: SLF001 - documented, for this
        service, world = _at_work.get(task, (None, None)) if task is not None else (None, None)
        if frame is None or service is None or world is not self._world:
            return None  # the machine was asleep or busy, or it is nobody's doing in this world
        self._at = task
        where = "".join(traceback.format_stack(frame)[-FRAMES:])
        return service, where
