"""A world around one service: a clock that tests set, facts in a list, clients of it."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import anyio
import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_eval.events.event import Event
from agent_eval.world.base import Around, Origin, Service
from agent_eval.world.clock import WorldClock
from agent_eval.world.ledger import Bank

AGENT = Origin("0", "0")


class HandClock:
    """The time of a world that passes only when a test says so."""

    def __init__(self) -> None:
        self.start, self.speed, self._s = datetime(2026, 11, 2, 9, tzinfo=UTC), 1.0, 0.0
        self._moved = anyio.Event()

    def now_s(self) -> float:
        return self._s

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self._s)

    async def sleep(self, seconds: float) -> None:
        until_s = self._s + seconds
        while self._s < until_s:
            await self._moved.wait()

    async def until(self, moment: datetime) -> None:
        await self.sleep((moment - self.now()).total_seconds())

    async def move(self, seconds: float) -> None:
        """Let time pass, in steps so that what follows from what happens in it happens too."""
        await anyio.wait_all_tasks_blocked()
        for _ in range(20):
            self._s += seconds / 20
            self._moved.set()
            self._moved = anyio.Event()
            await anyio.wait_all_tasks_blocked()


class Surroundings:
    """What a service under test is given, and what it told."""

    def __init__(self, seed: int = 1) -> None:
        self.facts: list[Event] = []
        self.origins: list[Origin | None] = []
        self.clock = HandClock()
        self.bank = Bank(now=self.clock.now)
        clock = cast("WorldClock", self.clock)
        self.around = Around(clock, random.Random(seed), self._record, _content, self.bank)

    def _record(self, fact: Event, origin: Origin | None) -> None:
        self.facts.append(fact)
        self.origins.append(origin)

    def of(self, kind: str) -> list[Any]:
        """The facts of one kind."""
        return [fact for fact in self.facts if fact.kind == kind]


def client(
    service: Service, host: str = "", token: str | None = None, origin: Origin = AGENT
) -> httpx2.AsyncClient:
    """A client of a service as a sandbox would be, with a key where there is one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(from_(service.app, origin)),
        base_url=f"http://{host or service.hosts[0]}",
        headers=headers,
    )


def from_(app: ASGIApp, origin: Origin) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application as the gateway calls it for a sandbox."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["origin"] = origin
        await app(scope, receive, send)

    return called


def _content(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "text": data.decode("utf-8", "replace")}
