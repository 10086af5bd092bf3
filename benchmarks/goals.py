"""The goals for speed, and whether they are met here and now.

Runs the other scripts, several rounds of each, and holds the medians against the goals. What other
programs do at the same time counts against us: the load before and after is printed beside.

    .venv/bin/python benchmarks/goals.py --rounds 3
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from figures import machine
from running import Figures, measured, middle, runtimes, save, table

STEP_MS = {"runc": 3.0, "runsc": 10.0}
START_RATIO = {"runc": 1.3, "runsc": 1.6}
GROWTH = 1.2
RESIDENT_MB = 120
LOG_BYTES = 3072
HELP_MS = 400

Row = tuple[str, float, float, str]
"""What, the limit, the measured value, the unit."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold the speed against its goals.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    asked = parser.parse_args()
    about = machine()
    rows: list[Row] = []
    for runtime in runtimes():
        rows += step_rows(runtime, asked.steps, asked.rounds)
        start = measured("start.py", "--runtime", runtime, "--rounds", 5 * asked.rounds)
        words = f"ready for the first action over `docker run`, {runtime}"
        rows.append((words, START_RATIO[runtime], start["ready_over_docker_run"], "x"))
    helped = measured("help_time.py", "--rounds", 5 * asked.rounds)
    rows.append(("`agent-eval --help`", HELP_MS, helped["help_ms"], "ms"))
    after = {"load_1min_after": machine()["load_1min"]}
    print(table(["what", "goal", "measured", "met"], map(_cells, rows)))
    print("\n" + ", ".join(f"{name} {value}" for name, value in (about | after).items()))
    save(asked.json, {"machine": about | after, "rows": rows})


def step_rows(runtime: str, steps: int, rounds: int) -> Iterator[Row]:
    """What the goals say of steps, on one runtime."""

    def middle_of(command: str, client: str) -> Figures:
        words = ["--runtime", runtime, "--steps", steps, "--command", command, "--client", client]
        return middle([measured("steps.py", *words) for _ in range(rounds)])

    plain = middle_of("true", "control")
    yield f"a step, {runtime}", STEP_MS[runtime], plain["median_ms"], "ms"
    for command in ("true", "echo"):
        for client in ("control", "openai"):
            first = (command, client) == ("true", "control")
            found = plain if first else middle_of(command, client)
            what = f"{runtime}, {command}, {client}"
            yield f"last fifth over first, {what}", GROWTH, found["last_over_first"], "x"
            yield f"resident, {what}", RESIDENT_MB, found["rss_mb"], "MB"
            yield f"log of a step, {what}", LOG_BYTES, found["log_bytes_per_step"], "bytes"


def _cells(row: Row) -> list[str]:
    what, limit, value, unit = row
    return [what, f"{limit:g} {unit}", f"{value:g} {unit}", "yes" if value <= limit else "**no**"]


if __name__ == "__main__":
    main()
