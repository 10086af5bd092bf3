"""Starting the other scripts here, each in a process of its own, and reading what they print."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import docker

from agent_eval.sandbox.settings import GVISOR

HERE = Path(__file__).parent
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
    print("measuring:", script, *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Failed(f"{script} ended with status {done.returncode}: {said[-1][:300]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def middle(rounds: Sequence[Figures]) -> Figures:
    """The median over several rounds of each number; the rest from the last round."""
    numbers = {
        name: round(statistics.median(figures[name] for figures in rounds), 3)
        for name, value in rounds[-1].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return rounds[-1] | numbers


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; nothing is shown as a dash."""
    lines = [head, ["---"] * len(head)]
    lines += [["-" if cell is None else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(file: Path | None, value: Any) -> None:
    """Write figures to a file, if one was asked for."""
    if file:
        file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
