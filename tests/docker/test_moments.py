"""Snapshots that a run takes by itself: when, of what, and within how much of the disk."""

from pathlib import Path

import pytest

from agent_eval.record.verify import verify
from agent_eval.sandbox.snapshot import Snapshots
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario

pytestmark = pytest.mark.docker

COUNTS = """
def counts(task):
    for number in range(5):
        yield bash(f"echo {number} >> ~/numbers; cat ~/numbers")
    yield submit("done")
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_sandbox_is_kept_every_so_many_steps(runtime: str, tmp_path: Path) -> None:
    folder = scenario(tmp_path, COUNTS, snapshots={"every_steps": 2})
    runs = tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:counts", "--runs", runs, "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    run = only_run(runs)
    taken = events(run, "snapshot.taken")
    before = [sum(event["kind"] == "model.replied" for event in events(run)[: each["seq"]])
              for each in taken]  # fmt: skip
    assert before == [2, 4], "after the second step and the fourth"
    assert {each["holds"] for each in taken} == {"files" if runtime == "runc" else "memory"}
    for each in taken:
        snapshot = Snapshots(run).find(each["snapshot"])
        assert snapshot.size_bytes == each["size_bytes"]
        assert snapshot.path.stat().st_mode & 0o077 == 0, "nobody else's to read"
    assert verify(run).good


def test_one_that_does_not_fit_is_on_record_and_ends_nothing(tmp_path: Path) -> None:
    folder = scenario(tmp_path, COUNTS, snapshots={"every_steps": 1, "limit_bytes": 1000})
    runs = tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:counts", "--runs", runs)
    assert done.returncode == 0, done.stderr
    refused = events(only_run(runs), "snapshot.refused")
    assert len(refused) == 5
    assert "does not fit" in refused[0]["why"]
