"""Starting the other scripts here, each in a process of its own, and reading what they print.

Before each it waits a while for other programs to leave the machine alone, and it keeps how busy
the machine was.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import docker

from agent_eval.sandbox.settings import GVISOR

HERE = Path(__file__).parent
QUIET = 0.15
"""The machine is quiet while its processors are busy for no more than this share of the time."""
LOOK_S, PATIENCE_S = 1.0, 60.0
Figures = dict[str, Any]


class Failed(Exception):
    """A script did not come to its end; the words say why."""


def runtimes() -> dict[str, str]:
    """Our names for the runtimes that the engine has, and its own names for them."""
    known = docker.from_env().info()["Runtimes"]
    return {"runc": "runc"} | ({"runsc": GVISOR} if GVISOR in known else {})


def measured(script: str, *arguments: object, python: str = sys.executable) -> Figures:
    """What a script prints with `--json`."""
    words = [python, str(HERE / script), *map(str, arguments), "--json"]
    busy = _quiet()
    print(f"measuring ({busy:.0%} busy):", script, *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Failed(f"{script} ended with status {done.returncode}: {said[-1][:300]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures | {"busy_before": round(busy, 2)}


def _quiet() -> float:
    """Wait until the machine is quiet or patience is over; returns how busy it is."""
    until = time.monotonic() + PATIENCE_S
    while True:
        idle, total = _processor_time()
        time.sleep(LOOK_S)
        idle_after, total_after = _processor_time()
        busy = 1 - (idle_after - idle) / max(total_after - total, 1)
        if busy <= QUIET or time.monotonic() > until:
            return max(busy, 0.0)


def _processor_time() -> tuple[int, int]:
    """Time all processors were idle since the machine started, and all time, in ticks."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def middle(rounds: Sequence[Figures]) -> Figures:
    """The median over several rounds of each number; the rest from the last round."""
    medians = {}
    for name, value in rounds[-1].items():
        if isinstance(value, int | float):
            number = statistics.median(figures[name] for figures in rounds)
            medians[name] = round(number) if isinstance(value, int) else round(number, 3)
    return rounds[-1] | medians


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    """Nothing as a dash, a number with three digits, or all before the point."""
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)


def save(file: Path | None, value: Any) -> None:
    """Write figures to a file, if one was asked for."""
    if file:
        file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
