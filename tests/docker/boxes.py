"""Real sandboxes for tests: made, locked down, removed."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent_eval.basics.clock import WorkingClock
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Container, Engine, runtime_for
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.settings import asked_for
from agent_eval.sandbox.supervisor import Execution
from agent_eval.scenario.model import Sandbox as Wishes

RUNTIMES = ("runc", "runsc")
ROOM = 1024 * 1024
PATIENCE_S = 60.0
"""What an action that takes no time may take on a machine that has much else to do."""


@asynccontextmanager
async def created(
    wishes: Wishes, command: list[str] = COMMAND, *, networked: bool = False
) -> AsyncIterator[tuple[Engine, Container]]:
    """A container that is not running yet."""
    engine = Engine()
    try:
        runtime = runtime_for(wishes.runtime, await engine.facts())
        lease = int(time.time()) + 600
        asked = asked_for(wishes, "a-test", runtime, lease, networked=networked)
        container = await engine.create(asked, command)
        try:
            yield engine, container
        finally:
            await container.remove()
    finally:
        engine.close()


@asynccontextmanager
async def box(
    runtime: str,
    room_bytes: int = ROOM,
    clock: WorkingClock | None = None,
    network: Network | None = None,
    **wishes: object,
) -> AsyncIterator[Sandbox]:
    """A running sandbox on a runtime."""
    wished = Wishes.model_validate({"runtime": runtime, **wishes})
    networked = network is not None
    async with created(wished, networked=networked) as (engine, container):
        name = runtime_for(runtime, await engine.facts())
        lease = int(time.time()) + 600
        asked = asked_for(wished, "a-test", name, lease, networked=networked)
        async with opened(container, asked, room_bytes, clock, network=network) as sandbox:
            yield sandbox


async def bash(sandbox: Sandbox, command: str, timeout_s: float = PATIENCE_S) -> Execution:
    """Run a command in the shell session."""
    return await sandbox.execute("bash", command, timeout_s, ROOM)


async def python(sandbox: Sandbox, code: str, timeout_s: float = PATIENCE_S) -> Execution:
    """Run code in the Python session."""
    return await sandbox.execute("python", code, timeout_s, ROOM)
