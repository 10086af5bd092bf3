"""What all runs of one process share of this machine: the engine, and how many sandboxes come up.

A run that is given none makes its own. Whoever makes one closes it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

from agent_eval.errors import EngineUnavailable
from agent_eval.fleet.places import Places
from agent_eval.models.limiter import Limiter
from agent_eval.sandbox.engine import Engine
from agent_eval.watchdog.reaping import sweep
from agent_eval.world.services.cloud_emulator import Emulators

STARTS_A_CORE = 2
"""Sandboxes that come up at one time for each processor: half of a start is waiting."""

MOST_INSTANCES = 8
"""Machines of worlds' clouds that all runs of a user have at one time on a host."""


def starts_at_once() -> int:
    """How many sandboxes this machine brings up best at one time."""
    return STARTS_A_CORE * (os.cpu_count() or 1)


class Machine:
    """One engine, asked once what it is, and places for sandboxes that are on their way up.

    Half of the places are there at first, then one more for each sandbox that came up. When the
    engine fails to start one, it is left alone for a moment, and then begins with one at a time.
    """

    def __init__(self, starts: int | None = None) -> None:
        self.engine = Engine()
        most = starts or starts_at_once()
        self._starts = Limiter(most, first=max(most // 2, 1))
        self._facts: dict[str, Any] | None = None
        self._places = Places(MOST_INSTANCES)
        self.emulators = Emulators()
        """What makes the emulators of worlds' clouds; it begins when the first is wanted."""

    def reserve(self, count: int) -> bool:
        """Keep room for so many more machines of worlds' clouds, or say that there is none."""
        return self._places.take(count)

    def release(self, count: int) -> None:
        """Give room for machines back."""
        self._places.give_back(count)

    async def facts(self) -> dict[str, Any]:
        """What the engine is. Whoever asks first removes what lost runs left past their lease."""
        if self._facts is None:
            self._facts = await self.engine.facts()
            await sweep(self.engine)
        return self._facts

    @property
    def starting(self) -> AbstractAsyncContextManager[None]:
        """A place, to be held from the start of a sandbox until it is ready."""
        return self._start()

    @asynccontextmanager
    async def _start(self) -> AsyncIterator[None]:
        async with self._starts.turn():
            try:
                yield
            except EngineUnavailable:
                self._starts.refused(None)
                raise
            self._starts.answered()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._places.close()
        self.emulators.__exit__(kind, error, trace)
        self.engine.close()
