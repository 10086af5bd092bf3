"""What the cloud needs of whoever has the sandboxes that are its machines."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from agent_eval.scenario.cloud import Machine
from agent_eval.world.base import Dial


class NotHoused(Exception):
    """A machine did not come up, or its disk could not be kept; the world goes on without it."""


@dataclass(frozen=True)
class Tenant:
    """A machine to be."""

    id: str
    hostname: str
    kind: Machine
    """Its size."""
    public_key: str | None
    """What opens it by ssh."""
    user_data: bytes
    """What is run when it starts for the first time."""
    names: tuple[str, ...]
    """Its names and addresses in the world."""


class Landlord(Protocol):
    """Has machines live in sandboxes. Calls about one machine come one after the other."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Machines live in this block; whatever is to end the run is raised in it."""

    def reserve(self, count: int) -> bool:
        """Keep room for so many more on this host, or say that there is none."""

    def release(self, count: int) -> None:
        """Give room back."""

    async def boot(self, tenant: Tenant, died: Callable[[str], None]) -> Dial:
        """Have one up, with the disk it left if it was up before; `died` is told if it ends.

        Raises `NotHoused`; whatever else it raises ends the run.
        """

    async def stop(self, machine: str) -> None:
        """End one, and keep its disk; raises `NotHoused` if that is lost."""

    async def end(self, machine: str) -> None:
        """End one and its disk; nothing happens if there is none."""
