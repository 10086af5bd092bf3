"""Many runs at once, against what the engine alone can do; and what they leave behind.

Each round has the engine make, start and remove as many containers through its SDK as there are
runs, with the settings of our sandboxes and nothing in them, as many at a time; and the runs
themselves, of a few steps each, all records written and every sandbox audited. The ratio of the two
rates is what counts, for both share the machine with whatever else is on it.

Then many runs are queued, and what this process and the engine hold is counted before and after.

    .venv/bin/python benchmarks/fleet.py --runs 50 --parallel 10 --rounds 3 --json
"""

import argparse
import gc
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import docker
from figures import as_lines, machine, peak_memory_mb
from generated import planned, typing
from start import LABEL, runtime_name

from agent_eval.fleet.fleet import Cell, Ended, Fleet, Planned
from agent_eval.fleet.machine import starts_at_once
from agent_eval.record.reading import read_events
from agent_eval.run.plan import Plan
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.settings import RUN_LABEL, asked_for
from agent_eval.scenario.model import Sandbox

COMMANDS = ["cd /tmp", "echo one > a", "cat a; ls -la", "wc -c a", "echo the end"]
SILENT = ["sleep", "infinity"]


def main() -> None:
    asked = _arguments()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="agent-eval-fleet-") as folder:
        place = {"runtime": asked.runtime, "record": asked.record}
        plan = planned(Path(folder), COMMANDS, sandbox=place)
        carried_out(plan, 1, 1)  # what is made once for a process
        rounds = [one_round(plan, asked) for _ in range(asked.rounds)]
        figures: dict[str, Any] = {
            "runtime": asked.runtime,
            "record": asked.record,
            "runs": asked.runs,
            "parallel": asked.parallel,
            "starts_at_once": asked.starts or starts_at_once(),
            "rounds": asked.rounds,
            **{
                name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]
            },
            "ratios": [round(one["ratio"], 2) for one in rounds],
        }
        if asked.queued:
            figures |= left_behind(plan, asked.queued, asked.at_once)
    figures |= about
    print(json.dumps(figures) if asked.json else as_lines(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure many runs at once.")
    parser.add_argument("--runtime", choices=("runc", "runsc"), default="runc")
    parser.add_argument("--record", choices=("auto", "off"), default="auto")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, help="sandboxes that come up at one time")
    parser.add_argument("--queued", type=int, default=100, help="runs to look for leaks with, or 0")
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def one_round(plan: Plan, asked: argparse.Namespace) -> dict[str, float]:
    """Rates of both, and our own processor time a run.

    The engine has half of its containers before the runs and half after, for the machine may have
    more to do at one time than at another.
    """
    half = max(asked.runs // 2, 1)
    alone_s = engine_alone(asked.runtime, half, asked.parallel)
    before_s, started = time.process_time(), time.monotonic()
    carried_out(plan, asked.runs, asked.parallel, asked.starts)
    ours = asked.runs / (time.monotonic() - started)
    own_ms = (time.process_time() - before_s) * 1000 / asked.runs
    alone_s += engine_alone(asked.runtime, half, asked.parallel)
    alone = 2 * half / alone_s
    return {
        "runs_per_s": ours,
        "engine_alone_per_s": alone,
        "ratio": ours / alone,
        "own_cpu_ms_per_run": own_ms,
    }


def engine_alone(wish: str, count: int, parallel: int) -> float:
    """Seconds to make, start and remove containers with our settings and nothing in them."""
    runtime = anyio.run(runtime_name, wish)
    asked = asked_for(Sandbox(), "benchmark-fleet", runtime, int(time.time()) + 600)
    settings = asked.create_arguments(SILENT) | {"labels": [LABEL]}
    client = docker.from_env(max_pool_size=parallel)

    def one(_: int) -> None:
        container = client.containers.create(**settings)
        container.start()
        container.remove(force=True, v=True)

    started = time.monotonic()
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(one, range(count)))
    took_s = time.monotonic() - started
    client.close()
    return took_s


class Silence:
    """Hears nothing."""

    def began(self, planned: Planned) -> None:
        """Nothing."""

    def see(self, planned: Planned, event: dict[str, Any]) -> None:
        """Nothing."""

    def ended(self, ended: Ended) -> None:
        """Nothing."""


def carried_out(plan: Plan, count: int, parallel: int, starts: int | None = None) -> None:
    """So many runs of the plan; ends the program if one fails."""
    cell = Cell(plan, lambda: replace(plan, model=typing(COMMANDS)))
    runs = [Planned(cell, epoch) for epoch in range(1, count + 1)]
    ended = anyio.run(Fleet(runs, parallel, Silence(), starts).run)
    failed = [one for one in ended if one.error or one.blame]
    if failed or len(ended) != count:
        raise SystemExit(f"{len(failed)} of {len(ended)} runs failed: {failed[:1]}")


def left_behind(plan: Plan, count: int, parallel: int) -> dict[str, Any]:
    """What many runs leave open, each kind as before and after; equal where nothing leaks."""
    before = held(plan)
    started = time.monotonic()
    carried_out(plan, count, parallel)
    took_s = time.monotonic() - started
    after = held(plan)
    return {
        "queued": count,
        "at_once": parallel,
        "queued_runs_per_s": round(count / took_s, 2),
        **{f"{name}_before_after": [before[name], after[name]] for name in before},
        "rss_mb": peak_memory_mb(),
    }


def held(plan: Plan) -> dict[str, int]:
    """Files, sockets, pipes and threads of this process; containers and folders of its runs."""
    gc.collect()
    kinds: Counter[str] = Counter()
    for each in Path("/proc/self/fd").iterdir():
        try:
            kinds[str(each.readlink()).partition(":")[0].lstrip("/")[:6]] += 1
        except FileNotFoundError:
            continue
    client = docker.from_env()
    there = client.api.containers(all=True, filters={"label": RUN_LABEL})
    client.close()
    names = {run.name for run in plan.runs.iterdir()}
    ours = [one["Id"] for one in there if one["Labels"][RUN_LABEL] in names]
    lived_in = [sandbox_of(run) for run in plan.runs.iterdir()]
    return {
        "sockets": kinds["socket"],
        "pipes": kinds["pipe"],
        "files": sum(kinds.values()) - kinds["socket"] - kinds["pipe"],
        "threads": threading.active_count(),
        "containers": len(ours),
        "private_folders": sum((MEETING_PLACE / each).exists() for each in lived_in),
    }


def sandbox_of(run: Path) -> str:
    """The container that a run had."""
    ready = (event for event in read_events(run) if event["kind"] == "sandbox.ready")
    return str(next(ready)["container"])


if __name__ == "__main__":
    main()
