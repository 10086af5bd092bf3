"""Whether the kernel record loses any of many process starts, made several at a time.

Every start has a number of its own among its arguments, so that a start that is lost, told twice or
told of another process is found out.

    .venv/bin/python benchmarks/starts.py --runtime runsc --starts 100000 --parallel 8
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from figures import as_lines, machine
from generated import carried_out

from agent_eval.record.reading import read_events

RUNTIMES = ("runc", "runsc")
AT_ONCE = 2_000
"""Starts of one action."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Count process starts that the record loses.")
    parser.add_argument("--runtime", choices=RUNTIMES, default="runsc")
    parser.add_argument("--starts", type=int, default=100_000)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agent-eval-benchmark-") as folder:
        figures = measure(asked, Path(folder))
    figures = {"runtime": asked.runtime, **figures, **machine()}
    print(json.dumps(figures) if asked.json else as_lines(figures))
    if figures["missing"] or figures["twice"] or figures["lost"] or figures["wrong_action"]:
        sys.exit(1)


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make the starts, and compare what was asked for with what is on record."""
    commands = [
        f"seq {first} {min(first + AT_ONCE, asked.starts + 1) - 1}"
        f" | xargs -P {asked.parallel} -n 1 /usr/bin/true"
        for first in range(1, asked.starts + 1, AT_ONCE)
    ]
    began = time.monotonic()
    run = _run(asked.runtime, commands, folder)
    took_s = time.monotonic() - began
    told: Counter[str] = Counter()
    wrong, closed = 0, {}
    for event in read_events(run):
        if event["kind"] == "process.started" and event.get("program") == "/usr/bin/true":
            number = event["argv"][1]
            told[number] += 1
            wrong += event.get("action") != (int(number) - 1) // AT_ONCE + 1
        if event["kind"] == "kernel.closed":
            closed = event
    return {
        "starts": asked.starts,
        "parallel": asked.parallel,
        "missing": sum(not told[str(number)] for number in range(1, asked.starts + 1)),
        "twice": sum(count > 1 for count in told.values()),
        "wrong_action": wrong,
        "lost": closed["lost"],
        "facts": sum(closed["facts"].values()),
        "record_mb": round(closed["recorded_bytes"] / 1e6, 1),
        "took_s": round(took_s),
    }


def _run(runtime: str, commands: list[str], folder: Path) -> Path:
    return carried_out(
        folder,
        commands,
        budget=dict.fromkeys(("steps", "tokens", "wall_s", "tool_s", "record_bytes")),
        actions={"timeout_s": 7200, "max_timeout_s": 7200},
        sandbox={"runtime": runtime, "record": "required", "cpus": 2, "processes": 256},
    )


if __name__ == "__main__":
    main()
