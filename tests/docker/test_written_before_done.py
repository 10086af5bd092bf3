"""Promise 2: whatever is acknowledged is on record, whenever the harness dies."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.folders import events, only_run, scenario
from tests.docker.test_run import wait_for_event

pytestmark = pytest.mark.docker

KILLS = 50

CAMPAIGN = Path(__file__).parents[2] / "benchmarks" / "kill_campaign.py"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_at_a_random_instant_loses_nothing(tmp_path: Path) -> None:
    """The small form of the campaign; it also holds that nothing runs on and nothing is left."""
    file = tmp_path / "kills.json"
    words = [sys.executable, str(CAMPAIGN), "--kills", str(KILLS), "--at-once", "5"]
    done = subprocess.run(
        [*words, "--json", str(file)], capture_output=True, text=True, check=False, timeout=1190
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    kills = json.loads(file.read_text())
    assert len(kills) == KILLS
    assert [kill["faults"] for kill in kills] == [[]] * KILLS
    assert sum(kill["acknowledged"] for kill in kills) > KILLS
    assert any(kill["frozen_s"] for kill in kills), "that the job ran on for a while was seen"
    assert any(kill["alone"] for kill in kills)


def test_an_action_is_on_record_before_it_starts(tmp_path: Path) -> None:
    """Look at the record from outside while the action runs."""
    folder = scenario(tmp_path, "def one(task):\n    yield bash('sleep 15; echo over')\n")
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:one"]
    with subprocess.Popen([*command, "--runs", str(runs)], stderr=subprocess.DEVNULL) as process:
        wait_for_event(runs, "action.started")
        started = events(only_run(runs), "action.started")
        assert started[0]["input"]["code"] == "sleep 15; echo over"
        assert not events(only_run(runs), "action.ended")
        process.wait(timeout=250)
    assert events(only_run(runs), "action.ended")[0]["output"]["text"] == "over\n"
