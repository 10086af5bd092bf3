"""A run is stopped, paused and continued from another terminal, with all that it holds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_run import containers_of, wait_for_event
from tests.docker.test_watchdog import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CONTROLS = """
def counts(task):
    seen = yield bash("while :; do date +%s.%N >> ~/ticks; sleep 0.1; done &")
    while True:
        seen = yield bash("sleep 0.1; echo tick")

def waits(task):
    yield bash("sleep 1000", timeout_s=1000)
"""


@contextmanager
def running(tmp_path: Path, control: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A harness, once its first action runs."""
    budget = {"steps": None, "tokens": None, "tool_s": None, "output_bytes": None}
    folder = scenario(tmp_path, CONTROLS, budget=budget)
    words = ["run", folder, "-m", f"control:{control}", "--runs", tmp_path / "runs", *more]
    command = [sys.executable, "-m", "agent_eval", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as harness:
        try:
            wait_for_event(tmp_path / "runs", "action.started")
            yield harness
        finally:
            harness.kill()


def at_rest(run: Path) -> bytes:
    """The record of a run, once what was on its way is in it."""
    before = b""
    while (now := run.joinpath("events.jsonl").read_bytes()) != before:
        before = now
        time.sleep(3)
    return now


def told(*arguments: str | Path) -> str:
    """What a command says that does as it is told."""
    done = agent_eval(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_paused_run_stands_still_and_then_goes_on_and_ends(runtime: str, tmp_path: Path) -> None:
    with running(tmp_path, "counts", "--runtime", runtime) as harness:
        run = only_run(tmp_path / "runs")
        assert f"{run.name} is paused" in told("pause", run.name)
        before = at_rest(run)
        paused_at = time.monotonic()
        (line,) = [line for line in told("status").splitlines() if line.startswith(run.name)]
        assert "paused since" in line
        time.sleep(max(8 - (time.monotonic() - paused_at), 0))
        assert run.joinpath("events.jsonl").read_bytes() == before, "nothing started, nothing ended"
        stood_s = time.monotonic() - paused_at
        assert "goes on" in told("continue", run)
        assert "before the agent's next step" in told("snapshot", run)
        wait_for_event(tmp_path / "runs", "snapshot.taken")
        wait_until(lambda: run.joinpath("events.jsonl").stat().st_size > len(before) + 2000)
        assert "ends after its current step" in told("stop", run)
        assert harness.wait(60) == 130
    assert verify(run).good
    assert summary(run)["outcome"]["status"] == "stopped"
    steered = events(run, "operator.steered")
    assert [event["act"] for event in steered] == ["pause", "continue", "snapshot", "stop"]
    (taken,) = events(run, "snapshot.taken")
    assert taken["holds"] == ("memory" if runtime == "runsc" and os.geteuid() == 0 else "files")
    assert run.joinpath("snapshots", taken["snapshot"]).is_dir()
    (closed,) = events(run, "run.closed")
    assert closed["spent"]["wall_s"] < closed["elapsed_s"] - stood_s
    assert not [event for event in events(run, "action.ended") if event["rung"] != "none"]
    assert not events(run, "harness.gap")
    assert not containers_of(run.name)
    refused = agent_eval("pause", run)
    assert refused.returncode == 2
    assert "has ended" in refused.stderr
    assert "from another terminal: pause" in told("show", run)


def test_a_run_can_be_ended_at_once_even_while_it_is_paused(tmp_path: Path) -> None:
    with running(tmp_path, "waits") as harness:
        run = only_run(tmp_path / "runs")
        told("pause", run)
        assert "ends at once" in told("stop", "--now", run)
        assert harness.wait(60) == 130
    assert verify(run).good
    assert summary(run)["outcome"]["status"] == "cancelled"
    assert not containers_of(run.name)


def test_nobody_steers_a_run_whose_harness_is_gone(tmp_path: Path) -> None:
    with running(tmp_path, "waits", "--lease", "40") as harness:
        run = only_run(tmp_path / "runs")
        told("pause", run)
        harness.send_signal(signal.SIGKILL)
        harness.wait(60)
        wait_until(lambda: bool(events(run, "sandbox.paused")))
        for act in ("pause", "continue", "stop"):
            done = agent_eval(act, run)
            assert done.returncode == 2
            assert "its harness is gone" in done.stderr
            assert "resume" in done.stderr and "reap" in done.stderr
        assert run.name not in told("status")
        unknown = agent_eval("stop", run.name)
        assert unknown.returncode == 2
        assert "status" in unknown.stderr


def test_a_run_in_hand_is_ended_while_others_cannot_be(tmp_path: Path) -> None:
    with running(tmp_path, "waits") as harness:
        run = only_run(tmp_path / "runs")
        done = agent_eval("stop", "--now", tmp_path / "nothing", run)
        assert done.returncode == 2
        assert f"{run.name} ends at once" in done.stdout
        assert harness.wait(60) == 130
