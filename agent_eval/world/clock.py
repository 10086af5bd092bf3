"""The time of a world: begins when it is told to, runs faster where a scenario says so.

It stands still whenever the clock of its run does: paused, or waiting for a person.
"""

from datetime import datetime, timedelta

import anyio

from agent_eval.basics.clock import SHORTEST_S, WorkingClock


class WorldClock:
    """What time it is in a world; everything in it that has a date or a deadline goes by it."""

    def __init__(self, start: datetime, speed: float, below: WorkingClock) -> None:
        """`speed` is how many seconds of the world pass in one of the run's, by `below`."""
        if start.tzinfo is None:
            raise ValueError("the time of a world has a zone")
        self.start, self.speed = start, speed
        self._below = below
        self._began_s = below.now_s()

    def now_s(self) -> float:
        """Seconds of the world since it began."""
        return (self._below.now_s() - self._began_s) * self.speed

    def now(self) -> datetime:
        """The moment in the world."""
        return self.start + timedelta(seconds=self.now_s())

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of the world."""
        until_s = self.now_s() + seconds
        while (left_s := until_s - self.now_s()) > 0:  # noqa: ASYNC110 - it may stand still
            await anyio.sleep(max(left_s / self.speed, SHORTEST_S))

    async def until(self, moment: datetime) -> None:
        """Wait until it is that moment in the world."""
        await self.sleep((moment - self.now()).total_seconds())
