"""The measurement of many runs measures what it says, and sees a leak."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fleet.py"


@pytest.mark.docker
@pytest.mark.slow
def test_a_short_measurement() -> None:
    words = ["--runs", "2", "--parallel", "2", "--rounds", "1", "--queued", "3", "--at-once", "2"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["runs_per_s"] > 0
    ratio = figures["runs_per_s"] / figures["engine_alone_per_s"]
    assert figures["ratio"] == pytest.approx(ratio, rel=0.1, abs=0.02)
    for name in ("sockets", "pipes", "files", "threads", "containers", "private_folders"):
        before, after = figures[f"{name}_before_after"]
        assert after <= before, name
