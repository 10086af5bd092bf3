"""What the parts of a world are to each other, in one page.

A service is an ASGI application behind names of its own; the gateway tells it from which sandbox a
request came, by the pipe that brought it. What it does it puts on record before it answers.
"""

import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import ASGIApp

from agent_eval.events.event import Event
from agent_eval.world.clock import WorldClock
from agent_eval.world.ledger import Bank

HTTP_PORTS = (80, 443)
"""Where a service answers; on 443 through TLS."""

Dial = Callable[[int], Awaitable[socket.socket]]
"""Reaches a port of a sandbox; raises `ConnectionRefusedError` where nothing listens there."""


@dataclass(frozen=True)
class Origin:
    """The sandbox a stream came from: known by its pipe, never by what it says."""

    sandbox: str
    """`0`, `0.1`: an agent's, by its path in the tree; `i-0abc...`: an instance's."""
    agent: str
    """The agent on whose behalf, for the record; for instances the first one, `0`."""


class Service(Protocol):
    """Something in the world that answers to names."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names it answers to; `*.x` is all names one level below `x`."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it answers; 443 speaks TLS. `HTTP_PORTS` unless there is a reason."""

    @property
    def app(self) -> ASGIApp:
        """What answers; `scope["state"]["origin"]` is the `Origin` of a request."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Its background work goes on in this block; it raises when that is broken."""


class Instances(Protocol):
    """Where sandboxes that are reached by name and address are made known; the gateway's."""

    def appear(self, sandbox: str, names: tuple[str, ...], dial: Dial) -> str:
        """Have a sandbox reached by these names from now on; returns its address.

        Names that are IPv4 addresses lead there as well.
        """

    def vanish(self, sandbox: str) -> None:
        """Have it reached no longer; its address goes to nobody else. Streams to it are cut."""


@dataclass(frozen=True)
class Around:
    """What every service is given."""

    clock: WorldClock
    """The time of the world; never the machine's."""
    random: random.Random
    """Seeded from the world's seed and the service's name; nothing else is random."""
    record: Callable[[Event, Origin | None], None]
    """Puts a fact on record; it is there when this returns. Raises where the run must end."""
    content: Callable[[bytes], dict[str, Any]]
    """Bytes in the form events hold them: `bytes`, and `text`, `base64` or `blob`."""
    bank: Bank
    """The money of the world: whatever is paid is posted there."""
