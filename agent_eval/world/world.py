"""A world from beginning to end: its services, opened in order, and the gateway before them.

A service that fails takes neither the others nor the run with it: its names answer 503 from then
on, and it is on record whose fault that is. What ends the run (a record that is full or cannot be
written, money spent beyond the budget) is raised in the block that the world stands for.
"""

import random
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from anyio.abc import TaskStatus

from agent_eval.basics.clock import WorkingClock
from agent_eval.basics.tasks import beside
from agent_eval.errors import ScenarioError
from agent_eval.events.world import WorldClosed, WorldOpened, WorldTrouble
from agent_eval.record.budget import Account
from agent_eval.record.transcript import Transcript
from agent_eval.scenario import world as settings
from agent_eval.world.base import Around, Service
from agent_eval.world.clock import WorldClock
from agent_eval.world.exchange import ENDS_THE_RUN, Exchanges, Manner
from agent_eval.world.gateway import Gateway
from agent_eval.world.ledger import Bank
from agent_eval.world.money import open_bank_ledger
from agent_eval.world.recording import Record
from agent_eval.world.serving import Door
from agent_eval.world.stalls import Stall, noticed

CLOSING_S = 30
"""What a service has to end its background work; an instance takes some seconds to go."""


@dataclass(frozen=True)
class Means:
    """What a world stands on that is its run's."""

    transcript: Transcript
    account: Account
    """Pays for the record, by `record_bytes`."""
    wall: WorkingClock
    """What the world's time goes by: stands still with the run, and while a person is awaited."""
    working: WorkingClock
    """What patience with a service goes by: stands still with the run."""
    began: datetime
    """The moment at which the run began, where its scenario names none for the world."""


class Builder:
    """Has the services of one world made, each with what all of them are given."""

    def __init__(
        self, asked: settings.World, means: Means, record: Record, gateway: Gateway
    ) -> None:
        self.asked, self.means, self.gateway = asked, means, gateway
        self.clock = WorldClock(asked.start or means.began, asked.speed, means.wall)
        self.bank = open_bank_ledger(self.clock, record.write)
        self.services: dict[str, Service] = {}
        self._record = record

    def around(self, name: str) -> Around:
        """What a service of this name is given."""
        seeded = random.Random(f"{self.asked.seed}/{name}")  # noqa: S311 - a world is repeatable
        return Around(self.clock, seeded, self._record.write, self._record.content, self.bank)

    def add(self, name: str, service: Service) -> None:
        """Have a service in the world; those that come later are closed before it."""
        self.services[name] = service


@dataclass
class World:
    """A world that stands."""

    gateway: Gateway
    clock: WorldClock
    bank: Bank
    services: Mapping[str, Service]
    keepers: "list[Keeper]" = field(default_factory=list)
    """What keeps the services' background work going, in the order in which they were opened."""


@asynccontextmanager
async def opened(
    asked: settings.World, means: Means, make: Callable[[Builder], None]
) -> AsyncIterator[World]:
    """A world with the services that `make` adds, for as long as the block goes on."""
    failure = _Failure()
    record = Record(means.transcript, means.account, failure.fail)
    async with beside() as tasks:
        gateway = Gateway(record, asked.gateway.max_streams, tasks)
        builder = Builder(asked, means, record, gateway)
        make(builder)
        manner = Manner(
            record,
            builder.clock,
            means.working,
            failure.fail,
            asked.gateway,
        )
        world = World(gateway, builder.clock, builder.bank, builder.services)
        for name, service in builder.services.items():
            world.keepers.append(Keeper(name, service, Exchanges(name, service.app, manner)))
        _offer(world)
        tasks.start_soon(failure.raised)
        await tasks.start(_notice_stalls, record)
        record.write(_opening(asked, world))
        try:
            for keeper in world.keepers:
                await tasks.start(keeper.keep)
            yield world
        finally:
            await _close(world, record)


async def _notice_stalls(record: Record, *, task_status: TaskStatus[None]) -> None:
    """Put on record which service held up everything else, as long as the world stands."""

    def tell(stall: Stall) -> None:
        record.count("troubles")
        held = WorldTrouble(
            blame="infrastructure",
            service=stall.service,
            what="stalled",
            message=f"it held up everything else for {stall.seconds:g} s",
            detail=stall.where,
        )
        record.write(held)

    async with noticed(record, tell):
        task_status.started()
        await anyio.sleep_forever()


def _offer(world: World) -> None:
    """Have every service reached by its names."""
    try:
        for keeper in world.keepers:
            world.gateway.offer(keeper.name, keeper.service, keeper.door)
    except ValueError as error:
        raise ScenarioError(f"world: {error}") from error


async def _close(world: World, record: Record) -> None:
    """End the background work of the services, the last first, and what is being answered."""
    with anyio.CancelScope(shield=True):
        for keeper in reversed(world.keepers):
            await keeper.end()
        for keeper in world.keepers:
            await keeper.door.close()
        closed = WorldClosed(
            passed_s=round(world.clock.now_s(), 3),
            counts=dict(sorted(record.counts.items())),
            recorded_bytes=record.bytes,
        )
        record.write_last(closed)


def _opening(asked: settings.World, world: World) -> WorldOpened:
    services = [
        {"name": name, "hosts": list(each.hosts), "ports": list(each.ports)}
        for name, each in world.services.items()
    ]
    return WorldOpened(
        seed=asked.seed,
        start=world.clock.start.isoformat(timespec="milliseconds"),
        speed=asked.speed,
        services=services,
        authority=world.gateway.authority.fingerprint,
    )


class _Failure:
    """What ends the run, from wherever in the world it comes."""

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._there = anyio.Event()

    def fail(self, error: Exception) -> None:
        """The run is to end of this; the first one counts."""
        if self._error is None:
            self._error = error
            self._there.set()

    async def raised(self) -> None:
        """Wait for it, and raise it."""
        await self._there.wait()
        assert self._error is not None
        raise self._error


class Keeper:
    """Keeps the background work of one service going."""

    def __init__(self, name: str, service: Service, exchanges: Exchanges) -> None:
        self.name, self.service = name, service
        self.door = Door(exchanges)
        self._exchanges = exchanges
        self._over, self._begun, self._ended = anyio.Event(), False, anyio.Event()

    async def keep(self, *, task_status: TaskStatus[None]) -> None:
        """Have it go on until `end`; one that breaks is on record, and closes the service."""
        stood = False
        try:
            self._begun = True
            async with self.service.running():
                stood = True
                task_status.started()
                await self._over.wait()
        except ENDS_THE_RUN as error:
            self._exchanges.manner.fail(error)
            raise
        except Exception as error:
            if not stood:
                raise
            self._exchanges.closed = True
            what = "closing" if self._over.is_set() else "ended"
            self._exchanges.trouble(what, repr(error), detail=traceback.format_exc())
        finally:
            self._ended.set()

    async def end(self) -> None:
        """End it, in time."""
        if not self._begun:
            return
        self._over.set()
        with anyio.move_on_after(CLOSING_S) as scope:
            await self._ended.wait()
        if scope.cancelled_caught:
            self._exchanges.trouble("closing", f"not over within {CLOSING_S} s")
