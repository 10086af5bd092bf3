"""Waking all who wait for a change; each of them then looks for itself whether it was theirs."""

import anyio


class Waking:
    """A place to wait at; may be made where no loop runs yet."""

    def __init__(self) -> None:
        self._next: anyio.Event | None = None

    async def wait(self) -> None:
        """Wait until the next change."""
        if self._next is None:
            self._next = anyio.Event()
        await self._next.wait()

    def wake(self) -> None:
        """Something has changed: all who wait by now look again."""
        if self._next is not None:
            self._next.set()
            self._next = None
