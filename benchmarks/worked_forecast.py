"""A forecast from beginning to end: probe small ones, register, probe the large one, check, draw.

The "models" are scripted policies of rising skill (family/controls.py), really asked and their
programs really run, each in a process of its own in a sandbox. Called with a folder:

    python benchmarks/worked_forecast.py --samples 12 --folder /tmp/forecast --plot forecast.svg
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FAMILY = Path(__file__).parent / "family"
SMALL = ("size-1", "size-5", "size-3", "size-2", "size-4")
LARGE = "size-8"


def agent_eval(
    *words: str | Path, may_be: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Type a command, show it with what it prints, and stop where it fails."""
    line = [str(word) for word in words]
    print("$ agent-eval", *line, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "agent_eval", *line], capture_output=True, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    if done.returncode not in may_be:
        sys.exit(f"{line[0]} came back with {done.returncode}:\n{done.stderr}")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=12, help="answers to each task")
    parser.add_argument("--tasks", type=int, default=100, help="only the last so many")
    parser.add_argument("--small", type=int, default=len(SMALL), help="only so many small ones")
    parser.add_argument("--folder", type=Path, default=Path("runs/worked-forecast"))
    parser.add_argument("--plot", type=Path, help="where the picture goes")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    asked = parser.parse_args()
    began = time.monotonic()
    folder: Path = asked.folder
    folder.mkdir(parents=True)
    for name in ("controls.py", "family.csv"):
        shutil.copy(FAMILY / name, folder)
    tasks = folder / "tasks.jsonl"
    lines = FAMILY.joinpath("tasks.jsonl").read_text().splitlines(keepends=True)
    tasks.write_text("".join(lines[-asked.tasks :]))
    told = _worked(folder, tasks, asked)
    told["took_s"] = round(time.monotonic() - began, 1)
    if asked.json:
        print(json.dumps(told))


def _worked(folder: Path, tasks: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """All steps; returns what was foretold and what came."""
    probe = ("probe", tasks, "--samples", str(asked.samples), "--runs", folder)
    small = [f"--model=control:{name}" for name in SMALL[: asked.small]]
    large = f"control:{LARGE}"
    form = ("capability", folder / "family", folder / "family.csv", "--target", large)
    register = folder / "forecasts.jsonl"
    agent_eval(*probe, *small, "--set", "family")
    agent_eval("forecast", "register", register, *form)
    agent_eval(*probe, "--model", large, "--set", "large")
    done = agent_eval("forecast", "check", register, folder / "large", may_be=(0, 1))
    plot = ("--plot", asked.plot) if asked.plot else ()
    end = (folder / "large", *form[1:], *plot, "--json")
    fit = json.loads(agent_eval("forecast", "fit", "capability", *end).stdout)
    return {
        "hit": done.returncode == 0,
        "foretold": fit["foretold"],
        "came": fit["came"],
        "excluded": fit["excluded"],
    }


if __name__ == "__main__":
    main()
