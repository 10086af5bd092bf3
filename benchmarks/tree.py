"""A tree of agents: three generations of copies, each agent in a sandbox of its own, all at once.

    .venv/bin/python benchmarks/tree.py --runtime runsc                  # 40 agents

Every agent has `--wide` copies until the last generation, which runs one command and answers.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from figures import as_lines, machine, peak_memory_mb
from generated import planned

from agent_eval.models.control import Control, Turn, bash, delegate, submit
from agent_eval.record.reading import read_events
from agent_eval.record.verify import verify
from agent_eval.run.run import run_scenario

USAGES = (
    "/sys/fs/cgroup/memory/docker/{}/memory.usage_in_bytes",
    "/sys/fs/cgroup/docker/{}/memory.current",
    "/sys/fs/cgroup/system.slice/docker-{}.scope/memory.current",
)
"""Where a kernel says how much memory a container has."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Have a tree of agents live to its end.")
    parser.add_argument("--runtime", choices=("runc", "runsc"), default="runsc")
    parser.add_argument("--start", choices=("fresh", "home", "live"), default="fresh")
    parser.add_argument("--deep", type=int, default=3)
    parser.add_argument("--wide", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agent-eval-benchmark-") as folder:
        figures = measure(asked, Path(folder))
    figures = {"runtime": asked.runtime, "start": asked.start, **figures, **machine()}
    print(json.dumps(figures) if asked.json else as_lines(figures))


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Have the tree live, and look at what it takes."""

    def script(task: str) -> Generator[Turn, str, None]:
        level = int(task) if task.isdecimal() else 0
        if level == asked.deep:
            yield bash("sleep 1; echo done")
        else:
            each = (delegate(str(level + 1)) for _ in range(asked.wide))
            yield sum(each, Turn())
        yield submit("done")

    agents = sum(asked.wide**level for level in range(asked.deep + 1))
    caps = {"max_depth": asked.deep, "max_at_once": agents, "max_total": agents}
    plan = planned(
        folder,
        (),
        delegation={**caps, "start": asked.start},
        sandbox={"runtime": asked.runtime, "memory_bytes": "256MiB", "cpus": 0.5},
        budget={"steps": 100 * agents, "tokens": None, "wall_s": 3600},
    )
    memory = Memory()
    plan = replace(plan, model=Control("tree", script), listener=memory.see)
    began = time.monotonic()
    with memory:
        result = anyio.run(run_scenario, plan)
    took_s = time.monotonic() - began
    if result.outcome.status != "submitted" or not verify(result.folder, result.head).good:
        sys.exit(f"the run failed: {result.outcome}")
    events = list(read_events(result.folder))
    ended = [event for event in events if event["kind"] == "agent.ended"]
    if len(ended) + 1 != agents or any(e["outcome"]["status"] != "submitted" for e in ended):
        sys.exit(f"{len(ended) + 1} agents of {agents}, or not all of them had an answer")
    ready = [event["ready_s"] for event in events if event["kind"] == "sandbox.ready"]
    return {
        "agents": agents,
        "seconds": round(took_s, 1),
        "sandboxes_at_once": memory.most,
        "sandboxes_peak_mb": round(memory.peak_bytes / 2**20),
        "harness_peak_mb": peak_memory_mb(),
        "slowest_start_s": max(ready),
    }


class Memory:
    """Looks at the memory of all sandboxes, again and again."""

    def __init__(self) -> None:
        self._there: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_bytes = self.most = 0

    def see(self, event: dict[str, Any]) -> None:
        """Take note of which there are."""
        if event["kind"] == "sandbox.ready":
            self._there.add(event["container"])
        elif event["kind"] == "sandbox.removed":
            self._there.discard(event["container"])

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            sizes = [size for one in tuple(self._there) if (size := _used(one))]
            self.peak_bytes, self.most = (
                max(self.peak_bytes, sum(sizes)),
                max(self.most, len(sizes)),
            )


def _used(container: str) -> int:
    for usage in USAGES:
        try:
            return int(Path(usage.format(container)).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return 0


if __name__ == "__main__":
    main()
