"""Steps of a run done again in their order, side by side where they were.

A step begins when all that had been over before it is over again and, where a world moves by
itself, when as much of its time has passed since the beginning as then. Where something takes
longer now, what follows is later by that much and never less far apart.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
from anyio.abc import TaskGroup

from agent_eval.past.course import Step
from agent_eval.world.clock import WorldClock


class Following:
    """Has steps done again."""

    def __init__(
        self,
        ready: Callable[[Step], Awaitable[None]],
        do: Callable[[Step], Awaitable[bool]],
        clock: WorldClock | None = None,
    ) -> None:
        """`ready` is awaited before each, one after the other; `do` says whether to go on.

        `clock` is that of a world that moves by itself.
        """
        self._ready, self._do, self._clock = ready, do, clock
        self._late_s = 0.0
        self._stopped = False
        self._waiting: anyio.CancelScope | None = None
        self._under_way: list[tuple[Step, anyio.Event, anyio.CancelScope]] = []

    async def through(self, steps: Sequence[Step], tasks: TaskGroup) -> None:
        """Do them, as tasks of this group, and wait until all are over."""
        for step in steps:
            await self._unless_stopped(partial(self._due, step))
            if self._stopped:
                break
            await self._ready(step)
            over, scope = anyio.Event(), anyio.CancelScope()
            self._under_way.append((step, over, scope))
            tasks.start_soon(self._one, step, over, scope)
        for _, over, _ in self._under_way:
            await over.wait()

    async def _due(self, step: Step) -> None:
        for other, over, _ in self._under_way:
            if other.over is not None and other.over < step.place:
                await over.wait()
        self._under_way = [each for each in self._under_way if not each[1].is_set()]
        if self._clock is not None:
            await self._clock.sleep(step.moment_s + self._late_s - self._clock.now_s())
            self._late_s = max(self._late_s, self._clock.now_s() - step.moment_s)

    async def _unless_stopped(self, wait: Callable[[], Awaitable[None]]) -> None:
        with anyio.CancelScope() as self._waiting:
            if not self._stopped:
                await wait()

    async def _one(self, step: Step, over: anyio.Event, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                if not await self._do(step):
                    self._stop(scope)
        finally:
            over.set()

    def _stop(self, own: anyio.CancelScope) -> None:
        """End what is under way, and begin nothing more."""
        self._stopped = True
        for _, _, scope in self._under_way:
            if scope is not own:
                scope.cancel()
        if self._waiting is not None:
            self._waiting.cancel()
