"""The goals for speed, and whether they are met here and now.

Runs the other scripts, all of them in each round, and holds the medians over the rounds against the
goals. What other programs do at the same time counts against us, so the best round and the load
before and after are printed beside.

    .venv/bin/python benchmarks/goals.py --rounds 3
"""

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figures import machine
from running import Figures, measured, runtimes, save, table

STEP_MS = {"runc": 3.0, "runsc": 10.0}
START_RATIO = {"runc": 1.3, "runsc": 1.6}
GROWTH = 1.2
RESIDENT_MB = 120
LOG_BYTES = 3072
HELP_MS = 400

STEPS = [(command, client) for command in ("true", "echo") for client in ("control", "openai")]


@dataclass(frozen=True)
class Row:
    """One goal, and what each round measured."""

    what: str
    limit: float
    unit: str
    values: list[float]

    def cells(self) -> list[str]:
        """The row as it is printed; it is met or not by the median of the rounds."""
        middle, best = statistics.median(self.values), min(self.values)
        met = "yes" if middle <= self.limit else "**no**"
        numbers = [f"{number:.4g} {self.unit}" for number in (self.limit, middle, best)]
        return [self.what, *numbers, met]


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold the speed against its goals.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    asked = parser.parse_args()
    about = machine()
    rounds = [one_round(asked.steps) for _ in range(asked.rounds)]
    after = {"load_1min_after": machine()["load_1min"]}
    rows = list(held(rounds))
    head = ["what", "goal", "median round", "best round", "met"]
    print(table(head, (row.cells() for row in rows)))
    print("\n" + ", ".join(f"{name} {value}" for name, value in (about | after).items()))
    save(asked.json, {"machine": about | after, "rounds": rounds})


def one_round(steps: int) -> dict[str, Figures]:
    """Everything once."""
    found = {"help": measured("help_time.py", "--rounds", 5)}
    for runtime in runtimes():
        for command, client in STEPS:
            words = ["--runtime", runtime, "--steps", steps]
            words += ["--command", command, "--client", client]
            found[f"{runtime}, {command}, {client}"] = measured("steps.py", *words)
        found[f"start {runtime}"] = measured("start.py", "--runtime", runtime, "--rounds", 5)
    return found


def held(rounds: list[dict[str, Figures]]) -> Iterator[Row]:
    """What was measured against the goals, in the order in which they were set."""

    def row(what: str, limit: float, unit: str, place: str, name: str) -> Row:
        return Row(what, limit, unit, [found[place][name] for found in rounds])

    known = [runtime for runtime in STEP_MS if f"start {runtime}" in rounds[0]]
    for runtime in known:
        place = f"{runtime}, true, control"
        yield row(f"a step, {runtime}", STEP_MS[runtime], "ms", place, "median_ms")
    every = [f"{runtime}, {command}, {client}" for runtime in known for command, client in STEPS]
    for place in every:
        yield row(f"last fifth over first: {place}", GROWTH, "x", place, "last_over_first")
    for runtime in known:
        words = f"ready for the first action over `docker run`, {runtime}"
        limit = START_RATIO[runtime]
        yield row(words, limit, "x", f"start {runtime}", "ready_over_docker_run")
    for place in every:
        yield row(f"resident: {place}", RESIDENT_MB, "MB", place, "rss_mb")
    for place in every:
        if "echo" in place:
            name = "log_bytes_per_step"
            yield row(f"log of a step: {place}", LOG_BYTES, "bytes", place, name)
    yield row("`agent-eval --help`", HELP_MS, "ms", "help", "help_ms")


if __name__ == "__main__":
    main()
