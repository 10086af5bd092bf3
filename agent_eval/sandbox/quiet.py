"""Moments in which nothing is asked of a sandbox: what is under way ends, what is new waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from agent_eval.basics.waking import Waking


class Quiet:
    """The door through which everything asked of one sandbox goes."""

    def __init__(self) -> None:
        self._door = anyio.Lock()
        self._inside = 0
        self._left = Waking()

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Something is asked while the block runs."""
        async with self._door:
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._left.wake()

    @asynccontextmanager
    async def kept(self, wait_s: float) -> AsyncIterator[None]:
        """Nothing is asked while the block runs; raises `TimeoutError` if that takes too long."""
        async with self._door:
            with anyio.fail_after(wait_s):
                while self._inside:
                    await self._left.wait()
            yield
