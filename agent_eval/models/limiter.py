"""How much one endpoint is asked at a time, by all runs of this process together.

Every agent waits for its turn before anything is set aside or recorded. A server is first asked by
two, then by four and so on. One that says that it is too much is left alone by everyone, for as
long as it says or ever longer, and then asked by one, two, four and so on up to somewhat less than
what was too much, and from there by few more each round: many runs neither fall upon it at the same
instant nor creep for ever.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from agent_eval.basics.waking import Waking
from agent_eval.models.endpoint import Endpoint

LONGEST_PAUSE_S = 60.0
FIRST_AT_ONCE = 2
"""Requests that an endpoint gets at one time before it has answered any."""
SAFE_PART = 0.75
"""Of what was too much, the part that is tried again quickly."""


class Limiter:
    """At most so many requests at once; fewer for a while after the server had too much."""

    def __init__(self, most: int, first: int | None = None) -> None:
        self._most = most
        self._room = float(min(first or most, most))
        self._safe = float(most)
        self._busy = 0
        self._again_at = 0.0
        self._refusals = 0
        self._changed = Waking()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place; waits until there is one and the server is not being left alone."""
        while (pause_s := self._again_at - time.monotonic()) > 0 or self._busy >= int(self._room):
            if pause_s > 0:
                await anyio.sleep(pause_s)
            else:
                await self._changed.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._changed.wake()

    def refused(self, wait_s: float | None) -> None:
        """The server said that it is too much, and perhaps for how long."""
        now = time.monotonic()
        if now >= self._again_at:  # else it is of the same flood as the one before
            self._refusals += 1
            self._safe = max(self._busy * SAFE_PART, 1.0)
        if wait_s is None:
            wait_s = min(2.0 ** (self._refusals - 1), LONGEST_PAUSE_S)
        self._again_at = max(self._again_at, now + wait_s)
        self._room = 1.0

    def answered(self) -> None:
        """The server did its work."""
        if time.monotonic() < self._again_at:
            return  # it had begun before the server had too much
        self._refusals = 0
        more = 1.0 if self._room < self._safe else 1.0 / self._room
        self._room = min(self._room + more, float(self._most))
        self._changed.wake()


class Limiters:
    """One limiter an endpoint, for all runs that share this value."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, str | None], Limiter] = {}

    def of(self, endpoint: Endpoint) -> Limiter:
        """The limiter of an endpoint; servers limit an account, so its models share one."""
        place = (endpoint.address, endpoint.key_variable)
        limiter = Limiter(endpoint.max_connections, FIRST_AT_ONCE)
        return self._by_place.setdefault(place, limiter)
