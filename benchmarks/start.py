"""How long a sandbox takes to be ready for its first action, beside a raw `docker run`.

Ready means: created, started, its supervisor up, every row of the audit agreed by three parties,
the probe of the ways out back, and its shell having answered. Each round
measures every way once, in turn, with the same image and runtime.

    .venv/bin/python benchmarks/start.py --runtime runc --rounds 20 --json
"""

import argparse
import json
import secrets
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import anyio
import docker
from figures import as_lines, machine

from agent_eval.sandbox.engine import Engine, runtime_for
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.settings import asked_for
from agent_eval.scenario.model import Sandbox

LABEL = "agent-eval.benchmark"
LEASE_S = 600
OUTPUT_BYTES = 1024 * 1024


def main() -> None:
    asked = _arguments()
    about = machine()
    ways = Ways(asked.runtime)
    taken: dict[str, list[float]] = {name: [] for name in ways.all}
    for number in range(asked.rounds + 1):
        for name, way in ways.all.items():
            seconds = way()
            if number:  # the first round warms up
                taken[name].append(seconds)
    figures = {
        "runtime": asked.runtime,
        "rounds": asked.rounds,
        **{f"{name}_ms": round(statistics.median(times) * 1000) for name, times in taken.items()},
        **_ratios(taken),
        **about,
    }
    print(json.dumps(figures) if asked.json else as_lines(figures))


def _ratios(taken: dict[str, list[float]]) -> dict[str, float]:
    """Medians over the medians of each raw way."""
    ready = statistics.median(taken["ready"])
    raw = {name: times for name, times in taken.items() if name != "ready"}
    return {
        f"ready_over_{name}": round(ready / statistics.median(times), 2)
        for name, times in raw.items()
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the start of a sandbox.")
    parser.add_argument("--runtime", choices=("runc", "runsc"), default="runc")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


class Ways:
    """The ways to start a container, each returning the seconds it took."""

    def __init__(self, wish: str) -> None:
        self._wish = wish
        self._image = Sandbox().image
        self._client = docker.from_env()
        self._runtime = anyio.run(runtime_name, wish)
        self.all: dict[str, Callable[[], float]] = {
            "ready": self.ready,
            "docker_run": self.docker_run,
            "docker_run_no_network": lambda: self.docker_run("--network", "none"),
            "sdk_create_start": self.sdk_create_start,
        }

    def ready(self) -> float:
        """Ours: from the call that creates the container until its shell has answered."""
        return anyio.run(_ready, self._wish)

    def docker_run(self, *options: str) -> float:
        """`docker run --rm IMAGE true` from start to end."""
        head = ["docker", "run", "--rm", "--label", LABEL, "--runtime", self._runtime]
        started = time.monotonic()
        subprocess.run([*head, *options, self._image, "true"], check=True)
        return time.monotonic() - started

    def sdk_create_start(self) -> float:
        """The SDK's create and start, without waiting for what runs in it."""
        settings: dict[str, Any] = {"runtime": self._runtime, "labels": [LABEL]}
        started = time.monotonic()
        container = self._client.containers.create(self._image, ["true"], **settings)
        try:
            container.start()
            return time.monotonic() - started
        finally:
            container.remove(force=True)


async def runtime_name(wish: str) -> str:
    """The engine's name for one of our runtimes."""
    engine = Engine()
    try:
        return runtime_for(wish, await engine.facts())
    finally:
        engine.close()


async def _ready(wish: str) -> float:
    engine = Engine()
    try:
        run = f"benchmark-start-{secrets.token_hex(3)}"
        lease = int(time.time()) + LEASE_S
        asked = asked_for(Sandbox(), run, runtime_for(wish, await engine.facts()), lease)
        started = time.monotonic()
        container = await engine.create(asked, COMMAND)
        try:
            async with opened(container, asked, OUTPUT_BYTES):
                return time.monotonic() - started
        finally:
            await container.remove()
    finally:
        engine.close()


if __name__ == "__main__":
    main()
