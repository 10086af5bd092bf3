"""Where every stream of a run's sandboxes arrives: led to a service, an instance, or refused.

It is asked by the host's end of a sandbox's pipe, which knows whose it is; what comes through the
stream is never asked.
"""

import asyncio
import socket
import ssl
import time
from collections import Counter
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from agent_eval.basics.open_files import socket_pair
from agent_eval.events.world import NameAsked, StreamEnded, StreamOpened, WorldRefused
from agent_eval.world.base import Dial, Origin, Service
from agent_eval.world.names import Directory, Place
from agent_eval.world.recording import Edges, Kept, Record
from agent_eval.world.serving import TLS_PORT, Authority, Call, Door

CHUNK_BYTES = 64 * 1024

SETTLE_S = 2.0
"""How long streams between sandboxes may take to end by themselves when their run is over."""


class Gateway:
    """Connects the sandboxes of one run to its world, and to nothing else."""

    def __init__(self, record: Record, max_streams: int, tasks: TaskGroup) -> None:
        """Streams are served in `tasks`."""
        self.directory = Directory()
        self.authority = Authority()
        self._ports: dict[str, tuple[int, ...]] = {}
        self._doors: dict[str, Door] = {}
        self._record = record
        self._max_streams, self._tasks = max_streams, tasks
        self._open: Counter[str] = Counter()
        self._to: dict[str, set[_Relay]] = {}
        """The streams to each instance."""

    def offer(self, name: str, service: Service, door: Door) -> None:
        """Have a service reached from now on; raises `ValueError` where its host is taken."""
        self.directory.offer(name, service.hosts)
        self._ports[name], self._doors[name] = service.ports, door

    def resolve(self, origin: Origin, name: str) -> str | None:
        """The address of a name; None where there is no such name."""
        place = self.directory.find(name)
        self._record.count("asked")
        if times := self._record.again("asked", origin.sandbox, name):
            address = place.address if place else None
            kind = place.is_a if place else "nothing"
            self._record.write(NameAsked(origin.sandbox, name, kind, address, times), origin)
        return place.address if place else None

    async def connect(self, origin: Origin, address: str, port: int) -> socket.socket | None:
        """A stream to where an address and port lead; None where it is refused."""
        place = self.directory.at(address)
        if reason := self._against(origin, place, port):
            self._refuse(origin, _Target(address, port, place), reason)
            return None
        assert place is not None
        try:
            ours, theirs = socket_pair()
        except OSError as error:
            self._refuse(origin, _Target(address, port, place), "full", str(error))
            return None
        if place.dial is None:
            self._tasks.start_soon(self._served, origin, place, port, ours)
        elif not await self._joined(origin, place, place.dial, port, ours):
            ours.close()
            theirs.close()
            return None
        return theirs

    def _against(self, origin: Origin, place: Place | None, port: int) -> str | None:
        """What speaks against a stream, if anything."""
        if place is None:
            return "unknown"
        if self._open[origin.sandbox] >= self._max_streams:
            return "full"
        if place.service is not None and port not in self._ports[place.service]:
            return "port"
        return None

    def appear(self, sandbox: str, names: tuple[str, ...], dial: Dial) -> str:
        """Have an instance reached by these names from now on; returns its address."""
        return self.directory.appear(sandbox, names, dial)

    def vanish(self, sandbox: str) -> None:
        """Have it reached no longer, and cut the streams to it."""
        self.directory.vanish(sandbox)
        for relay in self._to.pop(sandbox, set()):
            relay.scope.cancel()

    async def settled(self) -> None:
        """Have streams between sandboxes that are open now end, so that what they carried counts.

        Those that do not end by themselves are cut: this is for when the run is over.
        """
        relays = [relay for some in self._to.values() for relay in some]
        with anyio.move_on_after(SETTLE_S):
            for relay in relays:
                await relay.over.wait()
        for relay in relays:
            if not relay.over.is_set():
                relay.scope.cancel()
                await relay.over.wait()

    async def _served(self, origin: Origin, place: Place, port: int, sock: socket.socket) -> None:
        assert place.service is not None
        call = Call(origin, place.name, port, self._not_http, place.covers)
        context = self.authority.context(place.name) if port == TLS_PORT else None
        self._open[origin.sandbox] += 1
        try:
            await self._doors[place.service].serve(call, sock, context)
        except (OSError, ssl.SSLError) as error:
            self._refuse(origin, _Target(place.address, port, place), "tls", str(error)[:200])
        finally:
            self._open[origin.sandbox] -= 1
            sock.close()

    def _not_http(self, call: Call, came: Kept) -> None:
        place = self.directory.find(call.name)
        refused = WorldRefused(
            sandbox=call.origin.sandbox,
            address=place.address if place else "",
            port=call.port,
            reason="not_http",
            name=call.name,
            sent=came.of(self._record),
        )
        self._record.count("refused")
        self._record.write(refused, call.origin)

    def _refuse(
        self, origin: Origin, to: "_Target", reason: str, detail: str | None = None
    ) -> None:
        """Put a refusal on record."""
        self._record.count("refused")
        if times := self._record.again("refused", origin.sandbox, to.address, to.port, reason):
            refused = WorldRefused(
                sandbox=origin.sandbox,
                address=to.address,
                port=to.port,
                reason=reason,
                name=to.place.name if to.place else None,
                times=times,
                detail=detail,
            )
            self._record.write(refused, origin)

    async def _joined(
        self, origin: Origin, place: Place, dial: Dial, port: int, near: socket.socket
    ) -> bool:
        """Join a stream to a port of an instance; whether something listens there."""
        try:
            far = await dial(port)
        except OSError as error:
            self._refuse(origin, _Target(place.address, port, place), "closed", str(error)[:200])
            return False
        number = self._record.count("streams")
        assert place.sandbox is not None
        opened = StreamOpened(
            stream=number,
            sandbox=origin.sandbox,
            to=place.sandbox,
            name=place.name,
            address=place.address,
            port=port,
        )
        self._record.write(opened, origin)
        self._tasks.start_soon(self._relayed, origin, opened, near, far)
        return True

    async def _relayed(
        self, origin: Origin, opened: StreamOpened, near: socket.socket, far: socket.socket
    ) -> None:
        """Carry both directions of a stream to their ends."""
        sent, received = Edges(), Edges()
        began_s = time.monotonic()
        relay = _Relay(anyio.CancelScope(), anyio.Event())
        self._open[origin.sandbox] += 1
        self._to.setdefault(opened.to, set()).add(relay)
        try:
            with relay.scope:
                async with anyio.create_task_group() as both:
                    both.start_soon(_carry, near, far, sent)
                    both.start_soon(_carry, far, near, received)
        finally:
            near.close()
            far.close()
            self._open[origin.sandbox] -= 1
            self._to.get(opened.to, set()).discard(relay)
            relay.over.set()  # who waits for it goes on when this task does, so after the record
            ended = StreamEnded(
                stream=opened.stream,
                sandbox=opened.sandbox,
                to=opened.to,
                port=opened.port,
                sent=sent.of(self._record),
                received=received.of(self._record),
                duration_s=round(time.monotonic() - began_s, 6),
            )
            self._record.write(ended, origin)


@dataclass(frozen=True, eq=False)
class _Relay:
    """A stream to an instance, while it is carried."""

    scope: anyio.CancelScope
    over: anyio.Event
    """That it has ended."""


@dataclass(frozen=True)
class _Target:
    """Where a stream was to go."""

    address: str
    port: int
    place: Place | None


async def _carry(source: socket.socket, to: socket.socket, edges: Edges) -> None:
    """Carry one direction of a stream to its end; a broken one ends like one that was closed."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, CHUNK_BYTES):
            edges.add(data)
            await loop.sock_sendall(to, data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, to):
            _shut(each)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
