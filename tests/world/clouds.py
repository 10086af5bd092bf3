"""A cloud on the host, with machines of paper, for clients that know nothing of that."""

import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import boto3  # type: ignore[import-untyped]
import uvicorn
from botocore.config import Config  # type: ignore[import-untyped]
from starlette.types import Receive, Scope, Send

from agent_eval.basics.clock import WorkingClock
from agent_eval.events.event import Event
from agent_eval.scenario.cloud import Cloud
from agent_eval.world.base import Around, Dial, Origin
from agent_eval.world.clock import WorldClock
from agent_eval.world.ledger import Bank
from agent_eval.world.services.cloud import CloudService, open_cloud
from agent_eval.world.services.cloud_emulator import Emulators
from agent_eval.world.services.cloud_landlord import NotHoused, Tenant

KEY, SECRET = "AKIAQ2XY7BGT5RLM4NPE", "x7Jq+vB0mN3kLr9TzWcYpE5sHdGa1uFo8iQ/2nXe"
MONEY = "00000001"


def settings(**changed: Any) -> Cloud:
    given = {"access_key": KEY, "secret_key": SECRET, "bank_account": MONEY}
    return Cloud.model_validate(given | changed)


@dataclass
class Paper:
    """A landlord and a directory that only remember."""

    room: int = 100
    fails: bool = False
    """Whether machines do not come up."""
    told: list[tuple[str, str]] = field(default_factory=list)
    up: dict[str, Tenant] = field(default_factory=dict)
    died: dict[str, Callable[[str], None]] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    def reserve(self, count: int) -> bool:
        if count > self.room:
            return False
        self.room -= count
        return True

    def release(self, count: int) -> None:
        self.room += count

    async def boot(self, tenant: Tenant, died: Callable[[str], None]) -> Dial:
        self.told.append(("boot", tenant.id))
        if self.fails:
            raise NotHoused("there is no engine")
        self.up[tenant.id], self.died[tenant.id] = tenant, died

        async def dial(_: int) -> socket.socket:
            raise ConnectionRefusedError

        return dial

    async def stop(self, machine: str) -> None:
        self.told.append(("stop", machine))
        del self.up[machine]

    async def end(self, machine: str) -> None:
        self.told.append(("end", machine))
        self.up.pop(machine, None)

    def appear(self, sandbox: str, names: tuple[str, ...], _: Dial) -> str:
        self.names[sandbox] = names
        return "127.200.0.1"

    def vanish(self, sandbox: str) -> None:
        del self.names[sandbox]


@dataclass
class Up:
    """A cloud that answers."""

    service: CloudService
    bank: Bank
    paper: Paper
    facts: list[Event]
    port: int
    clients: list[Any] = field(default_factory=list)

    def client(self, service: str, **changed: Any) -> Any:
        """A client of boto3's, with nothing changed but that it goes through a proxy."""
        given = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET} | changed
        given.setdefault("region_name", "us-east-1")
        proxy = {"http": f"http://127.0.0.1:{self.port}"}
        config = Config(proxies=proxy, retries={"total_max_attempts": 1}, read_timeout=60)
        made = boto3.client(service, use_ssl=False, config=config, **given)
        self.clients.append(made)
        return made

    def of(self, kind: str) -> list[Any]:
        return [fact for fact in self.facts if fact.kind == kind]

    def states(self, machine: str) -> list[str]:
        return [fact.state for fact in self.of("cloud.instance") if fact.instance == machine]


async def until(true: Callable[[], object]) -> None:
    """Wait for a condition; the test's time limit is the only one."""
    while not true():  # noqa: ASYNC110 - there is no event of a fact
        await anyio.sleep(0.01)


async def blocking(call: Callable[..., Any], **arguments: Any) -> Any:
    """Do what boto3 does, without keeping the cloud from answering."""
    return await anyio.to_thread.run_sync(lambda: call(**arguments))


@asynccontextmanager
async def cloud_up(
    emulators: Emulators, cents: int = 1000, speed: float = 1, **changed: Any
) -> AsyncIterator[Up]:
    clock = WorldClock(datetime(2026, 1, 5, tzinfo=UTC), speed, WorkingClock())
    bank, facts, paper = Bank(clock.now), list[Event](), Paper()
    bank.open("the agent", MONEY, cents=cents)
    around = Around(clock, random.Random(1), lambda fact, _: facts.append(fact), _content, bank)
    service = open_cloud(settings(**changed), around, emulators, paper, paper)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await service.app({**scope, "state": {"origin": Origin("0", "0")}}, receive, send)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", log_level="error", ws="none")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        async with service.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            up = Up(service, bank, paper, facts, listener.getsockname()[1])
            yield up
            for client in up.clients:
                client.close()
            server.should_exit = True


def _content(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data)}
