r"""Steps of ours beside raw `docker exec` and beside Inspect AI, in one go.

Every round runs each contestant once, one after the other, on the same machine, image and commands;
what is printed are medians over the rounds. What cannot be measured is left out and said so.

    benchmarks/peer-setup /tmp/agent-eval-peer
    .venv/bin/python benchmarks/compare.py --inspect-python /tmp/agent-eval-peer/env/bin/python \
        --compose-plugin /tmp/agent-eval-peer/docker-compose --json figures.json
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from figures import machine
from running import Failed, Figures, measured, middle, runtimes, save, table
from scripted import NAMED

COLUMNS = {
    "steps": "steps",
    "median_ms": "median ms",
    "p95_ms": "p95 ms",
    "first_fifth_ms": "first fifth ms",
    "last_fifth_ms": "last fifth ms",
    "times_ours": "x ours",
    "cpu_first_fifth_ms": "own CPU ms, first fifth",
    "cpu_last_fifth_ms": "last fifth",
    "children_cpu_ms_per_step": "CPU ms of its commands",
    "rss_mb": "MB resident",
    "live_bytes_per_step": "log bytes a step, live",
    "log_bytes_per_step": "at the end",
}
RAW = {"docker exec (command line)": "cli_", "docker exec (SDK)": "sdk_"}
OURS = "agent-eval"


@dataclass
class Contest:
    """What was measured so far, by contestant, runtime and command."""

    rounds: dict[tuple[str, str, str], list[Figures]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Contestants that could not be measured, and why."""

    def add(self, name: str, figures: Figures) -> None:
        """One round of one contestant."""
        key = (name, figures["runtime"], figures["command"])
        self.rounds.setdefault(key, []).append(figures)

    def attempt(self, name: str, measure: Callable[[], Figures]) -> None:
        """Measure a peer, unless it failed before."""
        if name in self.left_out:
            return
        try:
            self.add(name, measure())
        except Failed as error:
            self.left_out[name] = str(error)

    def rows(self) -> list[Figures]:
        """Medians, with what each takes as a multiple of ours on the same runtime and command."""
        rows = []
        for (name, runtime, command), rounds in self.rounds.items():
            row = {"name": name, **middle(rounds), "runtime": runtime}
            ours = self.rounds.get((OURS, runtime, command))
            if ours:
                row["times_ours"] = round(row["median_ms"] / middle(ours)["median_ms"], 1)
            row["live_bytes_per_step"] = row.get(
                "live_bytes_per_step", row.get("log_bytes_per_step")
            )
            rows.append(row)
        return sorted(rows, key=lambda row: (NAMED.index(row["command"]), row["runtime"]))


def main() -> None:
    asked = _arguments()
    about = machine()
    contest = Contest()
    if not asked.inspect_python:
        contest.left_out["Inspect AI"] = "no --inspect-python was given (see peer-setup)"
    known = runtimes()
    if len(known) == 1:
        contest.left_out["gVisor"] = "the engine has no such runtime (see sandbox/setup)"
    for _ in range(asked.rounds):
        for command in NAMED:
            for runtime, engine_name in known.items():
                one_round(contest, asked, command, runtime, engine_name)
    report(contest, asked, about)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure steps beside those of peers.")
    parser.add_argument("--steps", type=int, default=1600, help="ours")
    parser.add_argument("--peer-steps", type=int, default=100, help="theirs, many times slower")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--inspect-python", help="a Python that has inspect-ai")
    parser.add_argument("--compose-plugin", help="where the docker command has none")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def one_round(
    contest: Contest, asked: argparse.Namespace, command: str, runtime: str, engine_name: str
) -> None:
    """Each contestant once, with one command on one runtime."""
    same = ["--runtime", runtime, "--command", command]
    for name, client in ((OURS, "control"), (f"{OURS}, openai client", "openai")):
        steps = ["--steps", asked.steps, "--client", client]
        contest.add(name, measured("steps.py", *same, *steps))
    raw = measured("raw_exec.py", *same, "--steps", asked.peer_steps)
    for name, prefix in RAW.items():
        own = {key.removeprefix(prefix): raw[key] for key in raw if key.startswith(prefix)}
        about = {key: raw[key] for key in ("runtime", "command", "steps")}
        contest.add(name, about | own)
    if asked.inspect_python:
        inspect_round(contest, asked, command, runtime, engine_name)


def inspect_round(
    contest: Contest, asked: argparse.Namespace, command: str, runtime: str, engine_name: str
) -> None:
    """Inspect once with its docker sandbox or, where that cannot be had, with its local one."""

    def through(sandbox: str) -> Figures:
        with tempfile.TemporaryDirectory(prefix="agent-eval-peer-") as folder:
            own = ["--runtime", engine_name, "--command", command, "--steps", asked.peer_steps]
            own += ["--folder", folder, "--sandbox", sandbox]
            if asked.compose_plugin:
                own += ["--compose-plugin", asked.compose_plugin]
            figures = measured("inspect_side.py", *own, python=asked.inspect_python)
        return figures | {"runtime": runtime if sandbox == "docker" else "none"}

    docker, local = "Inspect AI, docker sandbox", "Inspect AI, local sandbox"
    contest.attempt(docker, lambda: through("docker"))
    if docker in contest.left_out and runtime == "runc":
        contest.attempt(local, lambda: through("local"))


def report(contest: Contest, asked: argparse.Namespace, about: Figures) -> None:
    """Print the table and what is missing from it, and keep everything in the file."""
    rows = contest.rows()
    used = {name: title for name, title in COLUMNS.items() if any(name in row for row in rows)}
    head = ["what", "runtime", "command", *used.values()]
    cells = [
        [row["name"], row["runtime"], row["command"], *(row.get(name) for name in used)]
        for row in rows
    ]
    print(table(head, cells))
    for name, reason in contest.left_out.items():
        print(f"\nLeft out: {name}: {reason}")
    after = {"load_1min_after": machine()["load_1min"]}
    print("\n" + ", ".join(f"{name} {value}" for name, value in (about | after).items()))
    everything = [
        {"name": name, **figures}
        for (name, _, _), rounds in contest.rounds.items()
        for figures in rounds
    ]
    kept = {"machine": about | after, "rows": rows, "left_out": contest.left_out}
    save(asked.json, kept | {"rounds": everything})


if __name__ == "__main__":
    main()
