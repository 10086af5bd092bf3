"""The worked example, small: probes really run, a forecast registered before and checked after."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent_eval.stats.register import registered

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "worked_forecast.py"

pytestmark = pytest.mark.docker


def test_the_worked_example_works(tmp_path: Path) -> None:
    folder, plot = tmp_path / "worked", tmp_path / "plot.svg"
    few = ("--samples", "5", "--tasks", "5", "--small", "3", "--folder", str(folder))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *few, "--plot", str(plot), "--json"],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    (one,) = registered(folder / "forecasts.jsonl")
    assert one.forecast.predicted == told["foretold"]["value"]
    assert told["hit"] == (one.forecast.low <= told["came"] <= one.forecast.high)
    assert "tasks/collatz" in told["excluded"], "nobody solves it, and the P-rule says so"
    assert "<svg" in plot.read_text()
