"""Sandboxes that begin as what another was, for tests."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Engine, runtime_for
from agent_eval.sandbox.kernel import Source
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.opening import COMMAND, listening, opened
from agent_eval.sandbox.settings import Asked, asked_for
from agent_eval.sandbox.snapshot import Snapshot, Snapshots
from agent_eval.scenario.model import Sandbox as Wishes
from tests.docker.boxes import ROOM, bash


class Family:
    """One engine, settings that its sandboxes share, and a place for their snapshots."""

    def __init__(self, engine: Engine, asked: Asked, store: Snapshots) -> None:
        self.engine = engine
        self.asked = asked
        self.store = store

    @asynccontextmanager
    async def one(
        self,
        snapshot: Snapshot | None = None,
        source: Source | None = None,
        network: Network | None = None,
        **changes: object,
    ) -> AsyncIterator[Sandbox]:
        """A running sandbox, which may begin as a snapshot."""
        asked = replace(self.asked, **changes)  # type: ignore[arg-type]
        container = await self.engine.create(asked, COMMAND)
        try:
            with listening(source, container, snapshot):
                up = opened(container, asked, ROOM, None, source, snapshot, network)
                async with up as sandbox:
                    yield sandbox
        finally:
            await container.remove()


@asynccontextmanager
async def family(
    runtime: str, run: Path, *, networked: bool = False, **wishes: object
) -> AsyncIterator[Family]:
    """Sandboxes of one scenario on a runtime."""
    engine = Engine()
    try:
        wished = Wishes.model_validate({"runtime": runtime, **wishes})
        name = runtime_for(runtime, await engine.facts())
        lease = int(time.time()) + 900
        asked = asked_for(wished, "a-test", name, lease, networked=networked)
        yield Family(engine, asked, Snapshots(run))
    finally:
        engine.close()


async def said(sandbox: Sandbox, command: str) -> str:
    """What a command in the shell prints."""
    ended = await bash(sandbox, command, 60)
    return ended.output.decode(errors="replace").strip()
