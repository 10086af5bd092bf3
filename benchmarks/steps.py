"""How long a step takes, what it costs and what it leaves on record, in a real run.

A step is one turn of the loop: the model's reply on record, its command recorded, run in the
persistent shell of the sandbox and recorded again, shown to the model, and the next reply on
record. Nothing is left out and nothing taken off.

    .venv/bin/python benchmarks/steps.py --runtime runc --steps 1600 --json
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
from figures import (
    as_lines,
    between,
    cpu_figures,
    folder_bytes,
    machine,
    median_ms,
    peak_memory_mb,
    step_figures,
)
from scripted import NAMED, command

from agent_eval.agent.instructions import read_instructions
from agent_eval.models.base import Model
from agent_eval.models.choose import choose
from agent_eval.models.control import Control, Turn, bash, submit
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import BLOBS, EVENTS, SYNC_EVERY_S
from agent_eval.record.verify import verify
from agent_eval.run.plan import Plan
from agent_eval.run.run import Result, run_scenario
from agent_eval.scenario.file import load
from agent_eval.scenario.model import Loaded

FLUSH = (
    "each event is handed to the kernel in one write(2) before the call returns, so it survives "
    f"kill -9; forced to disk by the first event after {SYNC_EVERY_S:g} s and at the end"
)
NAME = "benchmark-steps"
RUNTIMES = ("runc", "runsc")


def main() -> None:
    asked = _arguments()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="agent-eval-benchmark-") as folder:
        figures = measure(asked, Path(folder))
    figures = {"runtime": asked.runtime, **figures, "flush": FLUSH, **about}
    print(json.dumps(figures) if asked.json else as_lines(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the steps of a run.")
    parser.add_argument("--runtime", choices=RUNTIMES, default="runc")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--record", choices=("auto", "required", "off"), default="auto")
    parser.add_argument("--command", default="true", help="true, echo, or a file with shell code")
    parser.add_argument("--client", choices=("control", "openai"), default="control")
    parser.add_argument("--runs", type=Path, help="keep the run here (otherwise it is removed)")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.steps < 5:
        parser.error("--steps: at least 5, for there are fifths to compare")
    if asked.command not in NAMED and not Path(asked.command).is_file():
        parser.error(f"--command: {asked.command} is neither {' nor '.join(NAMED)} nor a file")
    return asked


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the scenario once and count."""
    loaded = scenario(folder / NAME, asked)
    cpu: list[float] = []

    def see(event: dict[str, Any]) -> None:
        if event["kind"] == "model.replied":
            cpu.append(time.process_time())

    with contextlib.ExitStack() as stack:
        if asked.client == "openai":
            stack.enter_context(server(asked))
        plan = Plan(
            loaded=loaded,
            model=model(asked, loaded),
            instructions=read_instructions(loaded),
            runs=asked.runs or folder / "runs",
            command_line=sys.argv,
            changed={},
            listener=see,
        )
        started = time.monotonic()
        result = anyio.run(_run, plan)
    total_s, rss_mb = time.monotonic() - started, peak_memory_mb()
    if result.outcome.status != "submitted" or not verify(result.folder, result.head).good:
        sys.exit(f"the run failed: {result.outcome}")
    return {
        "client": asked.client,
        "command": asked.command,
        "steps": asked.steps,
        **recorded(result.folder, asked.steps),
        **cpu_figures(between(cpu)),
        "rss_mb": rss_mb,
        "total_s": round(total_s, 2),
    }


async def _run(plan: Plan) -> Result:
    try:
        return await run_scenario(plan)
    finally:
        await plan.model.close()


def recorded(run: Path, steps: int) -> dict[str, Any]:
    """What the transcript itself says of its steps."""
    events = list(read_events(run))
    replied = [event for event in events if event["kind"] == "model.replied"]
    ended = [event for event in events if event["kind"] == "action.ended"]
    if len(ended) != steps or any(event["reported_exit"] != 0 for event in ended):
        sys.exit(f"{run}: not every one of {steps} commands succeeded")
    log_bytes = run.joinpath(EVENTS).stat().st_size + folder_bytes(run / BLOBS)
    return {
        **step_figures(between([event["elapsed_s"] for event in replied])),
        "model_median_ms": median_ms([event["duration_s"] for event in replied]),
        "action_median_ms": median_ms([event["duration_s"] for event in ended]),
        "output_bytes_per_step": round(
            statistics.fmean(event["output"]["bytes"] for event in ended)
        ),
        "log_bytes_per_step": round(log_bytes / steps),
    }


def scenario(folder: Path, asked: argparse.Namespace) -> Loaded:
    """A scenario with nothing in it but room: its limits are set, so that the ledger has work."""
    fields: dict[str, Any] = {
        "name": folder.name,
        "summary": "Does the same thing again and again.",
        "risk": "None: it measures the harness.",
        "sanction": "instructed",
        "canary": "agent-eval:canary:00000000-0000-4000-8000-000000000000",
        "task": "Do as you are told.",
        "success": {"exact": "done"},
        "budget": {
            "usd": 1 if asked.client == "control" else None,  # a local server has no price
            "tokens": 10**13,
            "steps": asked.steps + 1,
            "wall_s": 86400,
            "tool_s": 86400,
            "output_bytes": 10**12,
        },
        "sandbox": {"record": asked.record},
        "variants": {name: {"sandbox": {"runtime": name}} for name in RUNTIMES},
    }
    folder.mkdir()
    folder.joinpath("scenario.yaml").write_text(json.dumps(fields), encoding="utf-8")
    return load(f"{folder}@{asked.runtime}")


def model(asked: argparse.Namespace, loaded: Loaded) -> Model:
    """The scripted model, or the client of the local server."""

    def script(_task: str) -> Generator[Turn, str, None]:
        for _ in range(asked.steps):
            yield bash(command(asked.command))
        yield submit("done")

    if asked.client == "openai":
        return choose("openai/scripted", loaded, None)
    return Control("steps", script)


@contextlib.contextmanager
def server(asked: argparse.Namespace) -> Iterator[None]:
    """The local server, and the environment that leads the client to it."""
    program = Path(__file__).parent / "openai_server.py"
    words = [sys.executable, str(program), "--steps", str(asked.steps), "--command", asked.command]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        port = int(child.stdout.readline())
        os.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{port}/v1"
        os.environ["OPENAI_API_KEY"] = "none"
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
        try:
            yield
        finally:
            child.stdin.close()


if __name__ == "__main__":
    main()
