"""What copies of a sandbox take, beside a plain start of one.

    start     create, start, audit, its shell answering
    live      save the original with its memory, and from the call that makes a copy until it is
              audited and handed over; idle, and with a heap of random bytes
    forks     eight copies of one moment, all at once, until the last is there
    home      the files of the original, saved and laid out in a new sandbox
    memory    what the engine counts for each sandbox that idles

Each round measures every way once, in turn. A pool of sandboxes that are started beforehand would
save what `start` takes and cost what `memory` says: `first_action` is what is left of the wait.

    .venv/bin/python benchmarks/copies.py --runtime runsc --rounds 5
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import docker
from figures import as_lines, machine

from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Engine, runtime_for
from agent_eval.sandbox.opening import COMMAND, listening, opened
from agent_eval.sandbox.settings import Asked, asked_for
from agent_eval.sandbox.snapshot import Kind, Snapshot, Snapshots
from agent_eval.scenario.model import Sandbox as Wishes

LEASE_S = 3600
OUTPUT_BYTES = 1024 * 1024
FORKS = 8
IDLE = 8
"""Sandboxes that idle while memory is looked at."""
HOME_MB = 100
SETTLES_S = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure copies of a sandbox.")
    parser.add_argument("--runtime", choices=("runc", "runsc"), default="runsc")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--heap-mb", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="agent-eval-benchmark-") as folder:
        figures = anyio.run(_measured, asked, Path(folder))
    figures = {"runtime": asked.runtime, "rounds": asked.rounds, **figures, **about}
    print(json.dumps(figures) if asked.json else as_lines(figures))


async def _measured(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    engine = Engine()
    try:
        runtime = runtime_for(asked.runtime, await engine.facts())
        bench = Bench(engine, runtime, Snapshots(folder, 64 * 1024**3))
        figures = await bench.started(asked.rounds) | await bench.memory()
        figures |= await bench.home(asked.rounds)
        if asked.runtime == "runsc":
            figures |= await bench.live(asked.rounds, 0)
            figures |= await bench.live(max(1, asked.rounds // 2), asked.heap_mb)
            figures |= await bench.forks()
            start = figures["start_ms"]
            figures["live_over_start"] = round(figures["live_ms"] / start, 2)
            figures["fork_over_start"] = round(figures["forks_each_ms"] / start, 2)
        return figures
    finally:
        engine.close()


@dataclass(frozen=True)
class Bench:
    """The ways, each returning its figures."""

    engine: Engine
    runtime: str
    store: Snapshots

    def asked(self, **wishes: object) -> Asked:
        """Settings of a sandbox, the same for an original and its copies."""
        wished = Wishes.model_validate({"cpus": 2, **wishes})
        return asked_for(wished, "benchmark-copies", self.runtime, int(time.time()) + LEASE_S)

    @asynccontextmanager
    async def one(self, asked: Asked, snapshot: Snapshot | None = None) -> AsyncIterator[Sandbox]:
        """A sandbox, gone at the end."""
        container = await self.engine.create(asked, COMMAND)
        try:
            with listening(None, container, snapshot):
                async with opened(container, asked, OUTPUT_BYTES, snapshot=snapshot) as sandbox:
                    yield sandbox
        finally:
            await container.remove()

    async def up(self, asked: Asked, snapshot: Snapshot | None = None) -> tuple[float, float]:
        """Seconds until one is there, and until it has carried out something after that."""
        began = time.monotonic()
        async with self.one(asked, snapshot) as sandbox:
            there = time.monotonic()
            await _typed(sandbox, "true")
            return there - began, time.monotonic() - there

    async def saved(self, sandbox: Sandbox, kind: Kind) -> tuple[float, Snapshot]:
        """Seconds that a snapshot takes, and the snapshot."""
        began = time.monotonic()
        snapshot = await sandbox.snapshot(self.store, kind)
        return time.monotonic() - began, snapshot

    async def started(self, rounds: int) -> dict[str, Any]:
        """A plain start, and the first action after it."""
        both = [await self.up(self.asked()) for _ in range(rounds + 1)][1:]
        return {
            "start_ms": _median_ms([start for start, _ in both]),
            "first_action_ms": _median_ms([action for _, action in both]),
        }

    async def live(self, rounds: int, heap_mb: int) -> dict[str, Any]:
        """A copy with memory."""
        name = f"live_{heap_mb}_mb" if heap_mb else "live"
        asked = self.asked(memory_bytes=(heap_mb * 2 + 512) * 1024**2)
        async with self.one(asked) as original:
            await _python(original, f"import os; heap = os.urandom({heap_mb} * 10**6)")
            saving, coming, size = [], [], 0
            for number in range(rounds):
                await _python(original, f"round = {number}")
                seconds, snapshot = await self.saved(original, "memory")
                saving.append(seconds)
                coming.append((await self.up(asked, snapshot))[0])
                size = snapshot.size_bytes
        both = [save + come for save, come in zip(saving, coming, strict=True)]
        return {
            f"{name}_save_ms": _median_ms(saving),
            f"{name}_copy_ms": _median_ms(coming),
            f"{name}_ms": _median_ms(both),
            f"{name}_snapshot_mb": round(size / 1e6, 1),
        }

    async def forks(self) -> dict[str, Any]:
        """Copies of one moment, all at once."""
        asked = self.asked()
        async with self.one(asked) as original:
            began = time.monotonic()
            _, snapshot = await self.saved(original, "memory")
            all_s, used_mb = await self.together(FORKS, asked, snapshot)
            save_s = all_s - began
        return {
            "forks": FORKS,
            "forks_all_ms": _ms(save_s),
            "forks_each_ms": _ms(save_s / FORKS),
            "idle_copy_mb": round(used_mb / FORKS, 1),
        }

    async def home(self, rounds: int) -> dict[str, Any]:
        """A copy of the files alone."""
        room = {"home_bytes": "128MiB", "memory_bytes": "1GiB"}
        asked = self.asked(**room)
        async with self.one(asked) as original:
            await _typed(original, f"head -c {HOME_MB}000000 /dev/urandom > ~/data")
            saving, coming = [], []
            for number in range(rounds):
                await _typed(original, f"echo {number} > ~/round")
                seconds, snapshot = await self.saved(original, "files")
                saving.append(seconds)
                coming.append((await self.up(asked, snapshot))[0])
        both = [save + come for save, come in zip(saving, coming, strict=True)]
        return {
            "home_mb": HOME_MB,
            "home_save_mb_per_s": round(HOME_MB / statistics.median(saving), 1),
            "home_copy_mb_per_s": round(HOME_MB / statistics.median(coming), 1),
            "home_ms": _median_ms(both),
            "home_mb_per_s": round(HOME_MB / statistics.median(both), 1),
        }

    async def memory(self) -> dict[str, Any]:
        """Sandboxes that idle."""
        _, used_mb = await self.together(IDLE, self.asked())
        return {"idle_mb": round(used_mb / IDLE, 1)}

    async def together(
        self, count: int, asked: Asked, snapshot: Snapshot | None = None
    ) -> tuple[float, float]:
        """Have so many at one time; returns when the last was there, and what they use in MB."""
        there, all_there, over = set[str](), anyio.Event(), anyio.Event()

        async def one() -> None:
            async with self.one(asked, snapshot) as sandbox:
                there.add(sandbox.id)
                if len(there) == count:
                    all_there.set()
                await over.wait()

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
            await all_there.wait()
            moment = time.monotonic()
            await anyio.sleep(SETTLES_S)
            used_mb = await anyio.to_thread.run_sync(_used_mb, there)
            over.set()
        return moment, used_mb


async def _typed(sandbox: Sandbox, command: str) -> None:
    ended = await sandbox.execute("bash", command, 120, OUTPUT_BYTES)
    if ended.reported_exit:
        raise SystemExit(f"{command}: {ended.output.decode(errors='replace')}")


async def _python(sandbox: Sandbox, code: str) -> None:
    ended = await sandbox.execute("python", code, 120, OUTPUT_BYTES)
    if ended.reported_exit:
        raise SystemExit(f"{code}: {ended.output.decode(errors='replace')}")


def _used_mb(containers: set[str]) -> float:
    """What the engine counts as used by some containers, gVisor's kernel included."""
    client = docker.from_env()
    try:
        stats = [client.api.stats(one, stream=False, one_shot=True) for one in containers]
    finally:
        client.close()
    return sum(int(one["memory_stats"]["usage"]) for one in stats) / 1e6


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _median_ms(seconds: list[float]) -> int:
    return _ms(statistics.median(seconds))


if __name__ == "__main__":
    main()
