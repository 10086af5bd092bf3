"""How long `agent-eval stats` takes over a folder of many runs, and what memory.

One real run of a control is graded and copied as often as is asked, under other scenarios, models
and verdicts. Of the events a copy has the first alone: `stats` reads no further in runs of models.
Measured are a folder without an index, and the same with one, as a run set has it; beside them, how
long only parsing the same JSON takes in this Python, of which the rest is a multiple.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import machine

from agent_eval.record.runset import RunSet

SCENARIOS, MODELS = 50, 3
CHILD = """
import contextlib, io, json, sys, time
from figures import peak_memory_mb
from agent_eval.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["stats", sys.argv[1], "--form", "json"])
print(json.dumps({"cpu_s": round(time.process_time(), 2), "memory_mb": peak_memory_mb()}))
"""


def template(folder: Path) -> Path:
    """A real run of a control, graded."""
    words = (sys.executable, "-m", "agent_eval", "run", "orientation", "-m", "control:innocent")
    subprocess.run([*words, "--runs", folder], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*/run.json")).parent


def copied(run: Path, folder: Path, copies: int) -> None:
    """Have so many runs like this one in a folder."""
    drawn = random.Random(1)
    opened = json.loads(run.joinpath("events.jsonl").open(encoding="utf-8").readline())
    summary = json.loads(run.joinpath("run.json").read_text())
    for number in range(copies):
        place = folder / f"r{number:06d}"
        place.mkdir(parents=True)
        opened["scenario"]["title"] = f"s{number % SCENARIOS}"
        opened["model"]["name"] = f"model-{number % MODELS}"
        opened["epoch"] = 1 + number // SCENARIOS
        summary["success"]["verdict"] = "success" if drawn.random() < 0.4 else "failure"
        place.joinpath("events.jsonl").write_text(json.dumps(opened) + "\n")
        place.joinpath("run.json").write_text(json.dumps(summary))
        for file in run.glob("findings*"):
            shutil.copy(file, place / file.name, follow_symlinks=False)


def measured(folder: Path) -> dict[str, Any]:
    """Of one call: how long it took, its processor time with that of starting, and memory."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return {"wall_s": round(time.perf_counter() - began, 2), **found}


def parsed_s(folder: Path) -> float:
    """Processor time that parsing the JSON of all runs takes, once each file."""
    began = time.process_time()
    for run in folder.iterdir():
        if run.is_dir():
            for name in ("events.jsonl", "run.json", "findings.jsonl"):
                for line in run.joinpath(name).read_bytes().splitlines():
                    json.loads(line)
    return round(time.process_time() - began, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="*", default=[2_000, 20_000])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        run = template(Path(scratch) / "one")
        for copies in asked.runs:
            folder = Path(scratch) / str(copies)
            copied(run, folder, copies)
            one: dict[str, Any] = {"runs": copies, "without_index": measured(folder)}
            one["parsing_cpu_s"] = parsed_s(folder)
            RunSet.read(folder).save()
            one["with_index"] = measured(folder)
            found.append(one)
            shutil.rmtree(folder)
    if asked.json:
        print(json.dumps(machine() | {"rounds": found}))
        return
    for one in found:
        for name in ("without_index", "with_index"):
            each = one[name]
            print(
                f"{one['runs']:,} runs {name.replace('_', ' ')}: {each['cpu_s']} s of processor, "
                f"{each['wall_s']} s in all, {each['memory_mb']} MB; "
                f"parsing alone {one['parsing_cpu_s']} s"
            )


if __name__ == "__main__":
    main()
