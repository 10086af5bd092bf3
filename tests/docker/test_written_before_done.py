"""Promise 2: whatever is acknowledged is on record, whenever the harness dies."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_eval.verify import repair, verify
from tests.docker.folders import agent_eval, events, only_run, scenario
from tests.docker.test_run import wait_for_event

# One worker for all that reap, or one test would remove what another wants to see removed.
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("reap")]

KILLS = 5

CONTROLS = """
def counts(task):
    n = 0
    while True:
        n += 1
        yield bash(f"echo {n} | tee -a /tmp/log; head -c {n * 997 % 9000} /dev/urandom")
"""


@pytest.mark.parametrize("instant", range(KILLS))
def test_kill_at_a_random_instant_loses_nothing(instant: int, tmp_path: Path) -> None:
    folder = scenario(tmp_path, CONTROLS, budget={"steps": None, "tokens": None, "usd": None})
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:counts"]
    with subprocess.Popen(
        [*command, "--runs", str(runs)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        wait_for_event(runs, "action.started")
        time.sleep(random.uniform(0, 0.8))  # an instant nobody chose
        process.kill()
        said = process.stderr.read() if process.stderr else b""
    run = only_run(runs)
    assert repair(run).faults == [], instant
    recorded = events(run)
    assert verify(run).faults == []
    # Each line of progress was printed after its event was written.
    shown = [line for line in said.splitlines() if b"bash: echo" in line]
    started = [event for event in recorded if event["kind"] == "action.started"]
    assert len(started) >= len(shown) > 0
    ended = {event["action"] for event in recorded if event["kind"] == "action.ended"}
    assert all(event["action"] in ended for event in started[:-1])
    for place, event in enumerate(recorded):
        if event["kind"] == "action.started":
            assert any(each["kind"] == "model.replied" for each in recorded[:place])
    assert agent_eval("verify", run).returncode == 1, "intact, and not complete"
    assert agent_eval("reap").returncode == 0


def test_an_action_is_on_record_before_it_starts(tmp_path: Path) -> None:
    """Look at the record from outside while the action runs."""
    folder = scenario(tmp_path, "def one(task):\n    yield bash('sleep 6; echo over')\n")
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:one"]
    with subprocess.Popen([*command, "--runs", str(runs)], stderr=subprocess.DEVNULL) as process:
        wait_for_event(runs, "action.started")
        started = events(only_run(runs), "action.started")
        assert started[0]["input"]["code"] == "sleep 6; echo over"
        assert not events(only_run(runs), "action.ended")
        process.wait(timeout=60)
    assert events(only_run(runs), "action.ended")[0]["output"]["text"] == "over\n"
