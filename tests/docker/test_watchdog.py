"""What becomes of a sandbox whose harness is killed: paused, kept for its lease, removed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent_eval.record.reading import read_summary
from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario
from tests.docker.test_run import containers_of, wait_for_event

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SLOW = "def slow(task):\n    yield bash('while :; do sleep 1; done')\n"


@contextmanager
def running(tmp_path: Path, lease_s: float, runtime: str) -> Iterator[subprocess.Popen[bytes]]:
    """A harness whose action runs."""
    folder = scenario(tmp_path, SLOW)
    words = ["run", folder, "-m", "control:slow", "--runs", tmp_path / "runs"]
    words += ["--lease", lease_s, "--runtime", runtime]
    command = [sys.executable, "-m", "agent_eval", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as harness:
        try:
            wait_for_event(tmp_path / "runs", "action.started")
            yield harness
        finally:
            harness.kill()


def wait_until(what: Callable[[], bool], limit_s: float = 200) -> None:
    until = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def reaped(run: Path, *arguments: str) -> str:
    """The line of `agent-eval reap --dry-run` about a run."""
    said = agent_eval("reap", "--dry-run", *arguments).stdout
    (line,) = [line for line in said.splitlines() if run.name in line]
    return line


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_lost_sandbox_is_paused_kept_and_then_removed(runtime: str, tmp_path: Path) -> None:
    with running(tmp_path, 40, runtime) as harness:
        run = only_run(tmp_path / "runs")
        assert reaped(run).endswith("its run goes on")
        harness.kill()
    (container,) = containers_of(run.name)
    wait_until(lambda: bool(events(run, "sandbox.paused")))
    words = ["docker", "inspect", "-f", "{{.State.Status}}", container]
    assert subprocess.run(words, capture_output=True, check=True).stdout == b"paused\n"
    assert "its harness is lost; it is kept until" in reaped(run)
    assert "would go" in reaped(run, "--all")
    told = agent_eval("verify", run)
    assert told.returncode == 1 and "LOST: its harness is gone" in told.stdout
    assert "the harness ended without a word" in agent_eval("show", run).stdout
    wait_until((run / "run.json").exists)
    assert not containers_of(run.name)
    assert verify(run).good
    outcome = read_summary(run)["outcome"]
    assert (outcome["error"], outcome["blame"]) == ("HarnessLost", "infrastructure")
    kinds = [event["kind"] for event in events(run)]
    first = kinds.index("harness.lost")
    assert kinds[first : first + 3] == ["harness.lost", "sandbox.paused", "sandbox.removed"]
    assert kinds[-1] == "run.closed"


def test_a_stopped_harness_is_not_lost(tmp_path: Path) -> None:
    with running(tmp_path, 3600, "runc") as harness:
        run = only_run(tmp_path / "runs")
        harness.send_signal(signal.SIGSTOP)
        time.sleep(3)
        assert len(containers_of(run.name)) == 1
        assert not events(run, "harness.lost")
        harness.send_signal(signal.SIGCONT)
        harness.send_signal(signal.SIGTERM)
        harness.wait(60)
    assert verify(run).good
    assert not events(run, "harness.lost")
    assert not containers_of(run.name)


def test_a_record_in_use_is_refused_and_goes_on_unharmed(tmp_path: Path) -> None:
    with running(tmp_path, 0, "runc") as harness:
        run = only_run(tmp_path / "runs")
        harness.send_signal(signal.SIGSTOP)
        time.sleep(1)
        with run.joinpath("events.jsonl").open("ab") as file:
            torn = file.write(b'{"seq"')  # nobody mends what is being written
        done = agent_eval("verify", "--repair", run)
        assert done.returncode == 2
        assert "is being written by another process" in done.stderr
        assert run.joinpath("events.jsonl").read_bytes().endswith(b'{"seq"')
        harness.kill()
    wait_until((run / "run.json").exists)
    assert verify(run).good, "the watchdog mended it by rule"
    assert [event["torn_bytes"] for event in events(run, "transcript.repaired")] == [torn]
