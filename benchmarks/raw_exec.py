"""How long one command takes through raw `docker exec`: the command-line client and the SDK.

No loop, no model, no record: what a harness pays for each action that starts a process through the
engine. Both ways take turns in one container without network.

    .venv/bin/python benchmarks/raw_exec.py --runtime runc --steps 100 --command echo --json
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import docker
from figures import as_lines, machine, step_figures
from scripted import NAMED, words
from start import LABEL, runtime_name

from agent_eval.scenario.model import Sandbox


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure raw `docker exec`.")
    parser.add_argument("--runtime", choices=("runc", "runsc"), default="runc")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--command", choices=NAMED, default="true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    about = machine()
    with _container(anyio.run(runtime_name, asked.runtime)) as container:
        taken = measure(container, asked.command, asked.steps)
    figures: dict[str, Any] = {
        "runtime": asked.runtime,
        "command": asked.command,
        "steps": asked.steps,
    }
    for way, times in taken.items():
        figures |= {f"{way}_{name}": value for name, value in step_figures(times).items()}
    figures |= about
    print(json.dumps(figures) if asked.json else as_lines(figures))


@contextmanager
def _container(runtime: str) -> Iterator[Any]:
    """A container that sleeps."""
    settings: dict[str, Any] = {
        "runtime": runtime,
        "labels": [LABEL],
        "network_mode": "none",
        "init": True,
    }
    client = docker.from_env()
    container = client.containers.run(
        Sandbox().image, ["sleep", "infinity"], detach=True, **settings
    )
    try:
        yield container
    finally:
        container.remove(force=True)
        client.close()


def measure(container: Any, command: str, steps: int) -> dict[str, list[float]]:
    """Seconds of each step, both ways in turn."""

    def through_cli(program: list[str]) -> int:
        arguments = ["docker", "exec", container.id, *program]
        return subprocess.run(arguments, stdout=subprocess.DEVNULL, check=False).returncode

    def through_sdk(program: list[str]) -> int:
        return int(container.exec_run(program).exit_code)

    ways: dict[str, Callable[[list[str]], int]] = {"cli": through_cli, "sdk": through_sdk}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(steps):
        for way, execute in ways.items():
            program = words(command)
            started = time.monotonic()
            if execute(program) != 0:
                sys.exit(f"{program} failed through the {way}")
            taken[way].append(time.monotonic() - started)
    return taken


if __name__ == "__main__":
    main()
