"""What a run's sandboxes asked of the world, as its gateway saw it.

`sandbox` in each is the one it came from: `0` or `0.1` for an agent's, `i-...` for an instance's of
the world's cloud, known by the pipe that brought it. Bodies are kept up to a limit; `bytes` counts
all of them.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class WorldOpened(Event):
    """The world stands; written before the first sandbox of the run is up."""

    kind: ClassVar[str] = "world.opened"
    seed: int
    start: str
    """What time it is in the world when it begins."""
    speed: float
    """Seconds of the world in one of the run's."""
    services: list[dict[str, Any]]
    """Of each: `name`, `hosts`, `ports`."""
    authority: str
    """SHA-256 of the certificate that the sandboxes trust."""


@dataclass(frozen=True)
class WorldClosed(Event):
    """The world is over."""

    kind: ClassVar[str] = "world.closed"
    passed_s: float
    """Seconds of the world in all."""
    counts: dict[str, int]
    """How many of each: `asked`, `exchanges`, `streams`, `refused`, `troubles`."""
    recorded_bytes: int
    """What the events of the gateway and the services came to."""


@dataclass(frozen=True)
class NameAsked(Event):
    """A program asked for the address of a name.

    A question that a sandbox asks again and again is on record the 1st, 2nd, 4th, 8th ... time.
    """

    kind: ClassVar[str] = "world.asked"
    sandbox: str
    name: str
    leads_to: str
    """`service`, `instance`, or `nothing`: the name does not exist."""
    address: str | None = None
    times: int = 1
    """How often this sandbox has asked so far."""


@dataclass(frozen=True)
class AnswerBegun(Event):
    """A service begins an answer that comes bit by bit; written before the first of it is sent."""

    kind: ClassVar[str] = "world.answering"
    exchange: int
    sandbox: str
    name: str
    method: str
    path: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Exchanged(Event):
    """A request and what a service answered; written before the end of the answer is sent."""

    kind: ClassVar[str] = "world.exchange"
    exchange: int
    """Its number in the run, from 1."""
    sandbox: str
    name: str
    """The name it was asked under."""
    service: str
    port: int
    method: str
    path: str
    """With the query, as sent."""
    status: int | None
    """Null where no answer was begun: the client went away first."""
    request: dict[str, Any]
    """Its body: `bytes`, and the content as `text`, `base64` or `blob`; `dropped_bytes` if any."""
    response: dict[str, Any]
    request_headers: dict[str, str] | None = None
    """What the program sent in headers that say who asks (`authorization`, `cookie`, `user-agent`)
    or that no protocol knows, each cut to 1,024 characters, at most 16 of them."""
    request_type: str | None = None
    """Its media type, as the program says."""
    response_type: str | None = None
    duration_s: float
    at: str
    """When it came, in the world's time."""
    cut: bool | None = None
    """True where the client did not wait for all of the answer."""


@dataclass(frozen=True, kw_only=True)
class StreamOpened(Event):
    """A connection to another sandbox of the run; written before anything goes through it."""

    kind: ClassVar[str] = "world.stream"
    stream: int
    """Its number in the run, from 1."""
    sandbox: str
    to: str
    """The sandbox it goes to."""
    name: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class StreamEnded(Event):
    """A connection that is over: how much went through it, how it began and how it ended."""

    kind: ClassVar[str] = "world.stream_ended"
    stream: int
    sandbox: str
    to: str
    port: int
    sent: dict[str, Any]
    """From `sandbox` to `to`: `bytes`, `head` and, where there was more, `tail`."""
    received: dict[str, Any]
    """The other way."""
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class WorldRefused(Event):
    """A connection that was refused, or broken off as it could not be served.

    One that a sandbox tries again and again is on record the 1st, 2nd, 4th, 8th ... time.
    """

    kind: ClassVar[str] = "world.refused"
    sandbox: str
    address: str
    """Where it was to go, as the sandbox's own network stack says."""
    port: int
    reason: str
    """`unknown`: nothing has this address; `port`: not this port; `full`: too many at one time
    (`detail` where it is too many for this process);
    `closed`: nothing listens at that instance's port; `tls`: the client would not go on with it;
    `not_http`: what came is no HTTP."""
    name: str | None = None
    times: int = 1
    """How often this sandbox has tried so far."""
    sent: dict[str, Any] | None = None
    """What it sent, where it is not HTTP: `bytes` and the content."""
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorldTrouble(Event):
    """A service failed: the program met a plain 5xx, and it is not the model's doing."""

    kind: ClassVar[str] = "world.trouble"
    blame: str
    """`infrastructure`, always."""
    service: str
    what: str
    """`crashed`, `hung`, `ended` (its background work or process), `closing`, or `stalled`: it had
    everything else wait."""
    message: str
    exchange: int | None = None
    detail: str | None = None
    """The traceback."""
