"""What all runs of one process share of this machine: the engine, and how many sandboxes come up.

A run that is given none makes its own. Whoever makes one closes it.
"""

from types import TracebackType
from typing import Any, Self

import anyio

from agent_eval.sandbox.engine import Engine


class Machine:
    """One engine, asked once what it is, and places for sandboxes that are on their way up."""

    def __init__(self, starts_at_once: int = 4) -> None:
        self.engine = Engine()
        self.starting = anyio.CapacityLimiter(starts_at_once)
        """Held from the start of a sandbox until it is ready."""
        self._facts: dict[str, Any] | None = None

    async def facts(self) -> dict[str, Any]:
        """What the engine is."""
        if self._facts is None:
            self._facts = await self.engine.facts()
        return self._facts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.engine.close()
