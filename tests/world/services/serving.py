"""A service behind a real server on this machine's loopback, and what it is given around it."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_eval.basics.clock import WorkingClock
from agent_eval.events.event import Event
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import Transcript
from agent_eval.world.base import Around, Origin
from agent_eval.world.clock import WorldClock
from agent_eval.world.money import open_bank_ledger

SANDBOX = Origin("i-0abc", "0")


@dataclass
class Surroundings:
    """A world with a clock, a ledger and a record, and nothing else."""

    around: Around
    transcript: Transcript
    run: Path

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """What is on record of one kind."""
        return [event for event in read_events(self.run) if event["kind"] == kind]


@contextmanager
def surroundings(parent: Path, speed: float = 1.0, seed: int = 7) -> Iterator[Surroundings]:
    """A world in a folder of its own."""
    run = parent / "run"
    with Transcript.create(run) as transcript:

        def record(event: Event, origin: Origin | None) -> None:
            transcript.write(event, origin.agent if origin else "0")

        clock = WorldClock(datetime(2030, 1, 1, tzinfo=UTC), speed, WorkingClock())
        bank = open_bank_ledger(clock, record)
        yield Surroundings(
            Around(clock, random.Random(seed), record, transcript.content, bank), transcript, run
        )


@contextmanager
def on_loopback(app: ASGIApp, origin: Origin = SANDBOX) -> Iterator[str]:
    """Serve an application from another thread; gives its address."""

    async def from_origin(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"origin": origin}
        await app(scope, receive, send)

    config = uvicorn.Config(
        from_origin, host="127.0.0.1", port=0, lifespan="off", log_level="critical", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
