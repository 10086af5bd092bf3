"""Worlds for tests: real ones, reached by real clients over the sockets a sandbox would get."""

import http.client
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.types import ASGIApp

from agent_eval.basics.clock import WorkingClock
from agent_eval.record.budget import Account
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import Transcript
from agent_eval.scenario.world import World as Asked
from agent_eval.world.base import HTTP_PORTS, Origin
from agent_eval.world.world import Builder, Means, World, opened

AGENT = Origin("0", "0")
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@dataclass
class Served:
    """A service made of an application."""

    app: ASGIApp
    hosts: tuple[str, ...]
    ports: tuple[int, ...] = HTTP_PORTS
    background: Callable[[], Any] = nullcontext

    def running(self) -> Any:
        return self.background()


@dataclass
class Stage:
    """An open world and what it is written to."""

    world: World
    folder: Path
    clock: WorkingClock

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        every = list(read_events(self.folder))
        return [each for each in every if not kinds or each["kind"] in kinds]

    async def stream(self, host: str, port: int, origin: Origin = AGENT) -> socket.socket:
        """What a program's connection to a name is joined to."""
        address = self.world.gateway.resolve(origin, host)
        assert address is not None, f"no such name: {host}"
        sock = await self.world.gateway.connect(origin, address, port)
        assert sock is not None, f"refused: {host}:{port}"
        return sock

    async def fetch(
        self,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        origin: Origin = AGENT,
        method: str | None = None,
    ) -> "Answer":
        """Ask for a page with the standard library's client."""
        parts = urlsplit(url)
        assert parts.hostname
        tls = parts.scheme == "https"
        sock = await self.stream(parts.hostname, parts.port or (443 if tls else 80), origin)
        pem = self.world.gateway.authority.pem.decode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        wanted = method or ("POST" if body is not None else "GET")

        def ask() -> Answer:
            connection = http.client.HTTPConnection(parts.hostname or "", timeout=60)
            sock.settimeout(60)
            connection.sock = trusted(sock, parts.hostname or "", pem) if tls else sock
            with connection.sock:
                connection.request(wanted, target, body, dict(headers or {}))
                response = connection.getresponse()
                return Answer(response.status, response.read(), dict(response.getheaders()))

        return await anyio.to_thread.run_sync(ask)


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, generously."""
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - it is in a file that others write
            await anyio.sleep(0.01)


def trusted(sock: socket.socket, name: str, pem: str) -> ssl.SSLSocket:
    """TLS over a stream, for a client that trusts the world's authority and nothing else."""
    sock.settimeout(60)
    try:
        return ssl.create_default_context(cadata=pem).wrap_socket(sock, server_hostname=name)
    finally:
        sock.close()  # what was wrapped has given up its descriptor


@asynccontextmanager
async def staged(
    folder: Path,
    services: Mapping[str, Served],
    asked: Asked | None = None,
    account: Account | None = None,
) -> AsyncIterator[Stage]:
    """A world of these services, with a record in a folder of its own."""
    clock = WorkingClock()

    def make(builder: Builder) -> None:
        for name, service in services.items():
            builder.add(name, service)

    run = folder / "run"
    with Transcript.create(run) as transcript:
        means = Means(transcript, account or Account("0", {}), clock, clock, START)
        async with opened(asked or Asked(), means, make) as world:
            yield Stage(world, run, clock)
