"""What is outside of a run fails in the middle of it: a clear end, the right blame, a whole record.

In each case the person is told what happened, whose fault it is and what to type next; nothing is
judged that did not come to its end; and what was written verifies.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_eval.verify import verify
from tests.docker.engines import PrivateEngine, private_engine
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_run import wait_for_event

pytestmark = pytest.mark.docker

CONTROLS = """
def waits(task):
    yield bash("sleep 600", timeout_s=120)
    yield submit("done")

def dawdles(task):
    yield bash("sleep 600", timeout_s=2)
    yield submit("done")

def hoards(task):
    one = "import time; kept = bytearray(200_000_000); time.sleep(60)"
    yield bash(f"for i in $(seq 12); do python3 -c '{one}' & done; wait", timeout_s=60)
    yield submit("done")
"""


class Going:
    """A run that has started its first action."""

    def __init__(self, process: subprocess.Popen[str], runs: Path) -> None:
        self.process = process
        self.run = only_run(runs)
        self.container = events(self.run, "sandbox.ready")[0]["container"]
        self.out = self.err = ""

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        out, err = self.process.communicate(timeout=100)
        self.out, self.err = out or "", err or ""
        assert "Traceback" not in self.err
        return self.process.returncode


@contextmanager
def going(
    parent: Path, control: str = "waits", options: tuple[str, ...] = (), **how: Any
) -> Iterator[Going]:
    """Start a run and wait for its first action."""
    folder = scenario(parent, CONTROLS)
    runs = how.pop("runs", parent / "runs")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    with subprocess.Popen(
        [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", f"control:{control}",
         "--runs", str(runs), *options],
        text=True, **pipes,
    ) as process:  # fmt: skip
        try:
            wait_for_event(runs, "action.started")
            yield Going(process, runs)
        finally:
            process.kill()


def docker(*arguments: str) -> str:
    """Call the client of the engine that all use, on a container of the test's own."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def assert_failed(run: Path, blame: str, *words: str) -> None:
    """The record is whole and sealed, says who is to blame and why, and judges nothing."""
    report = verify(run)
    assert report.good, report
    said = summary(run)
    assert (said["outcome"]["status"], said["outcome"]["blame"]) == ("error", blame), said
    for word in words:
        assert word in said["outcome"]["message"]
    assert said["success"]["verdict"] == "unscored"
    (ended,) = events(run, "action.ended")
    assert (ended["rung"], ended["cause"], ended["output"]["bytes"]) == ("sandbox", "died", 0)
    assert "reported_exit" not in ended, "no result is made up"
    assert events(run, "trouble")[0]["blame"] == blame


@pytest.mark.parametrize(
    ("runtime", "act", "words"),
    [
        ("runc", ("kill",), "something outside killed it"),
        ("runsc", ("kill",), "something outside killed it"),
        ("runsc", ("rm", "-f"), "something outside"),  # by then it is still there, or not
    ],
)
def test_a_sandbox_killed_or_removed_from_outside(
    runtime: str, act: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with going(tmp_path, options=("--runtime", runtime)) as there:
        docker(*act, there.container)
        assert there.ended() == 4, there.err
    assert_failed(there.run, "infrastructure", words, "run it again")
    assert "error (infrastructure): the sandbox died" in there.out
    assert not docker("ps", "-aq", "--filter", f"id={there.container}")


def test_a_sandbox_paused_from_outside_for_longer_than_the_deadline(tmp_path: Path) -> None:
    with going(tmp_path, "dawdles", options=("--runtime", "runc")) as there:
        docker("pause", there.container)
        assert there.ended() == 4, there.err
    assert_failed(there.run, "infrastructure", "something outside paused", "run it again")
    assert not docker("ps", "-aq", "--filter", f"id={there.container}")


def test_a_sandbox_that_dies_of_memory_reached_its_limit(tmp_path: Path) -> None:
    """Under gVisor; under runc the kernel ends the largest process and the sandbox lives."""
    with going(tmp_path, "hoards", options=("--runtime", "runsc")) as there:
        assert there.ended() == 4, there.err
    assert_failed(there.run, "limit", "more memory than `sandbox.memory_bytes` allows")


# --- the engine -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("an engine of one's own needs root and dockerd")
    with private_engine() as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("private-engine")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_that_ends_in_the_middle_of_a_run(
    how: signal.Signals, engine: PrivateEngine, tmp_path: Path
) -> None:
    with going(tmp_path, env=engine.environment) as there:
        engine.end(how)
        assert there.ended() == 4, there.err
    assert_failed(there.run, "infrastructure", "the sandbox died")
    removed = events(there.run, "sandbox.removed")[0]["state"]
    if removed.get("removed") is False:
        assert "the sandbox is still there: `agent-eval reap` removes it" in there.err
    engine.start()
    reaped = agent_eval("reap", env=engine.environment)
    assert reaped.returncode == 0, reaped.stderr
    assert not engine.docker("ps", "-aq").stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("private-engine")
def test_an_image_that_goes_between_two_runs_of_one_command(
    engine: PrivateEngine, tmp_path: Path
) -> None:
    image = "agent-eval-sandbox:latest"
    engine.docker("tag", image, "short-lived:1")
    controls = f"""
import subprocess

def removes(task):
    yield bash("true")
    command = ["docker", "image", "rm", "short-lived:1"]
    subprocess.run(command, check=False, env={engine.environment!r}, capture_output=True)
    yield submit("done")
"""
    folder = scenario(tmp_path, controls, sandbox={"image": "short-lived:1"})
    runs = tmp_path / "runs"
    arguments = ("run", folder, "-m", "control:removes", "--epochs", "2", "--runs", runs)
    done = agent_eval(*arguments, env=engine.environment)
    assert done.returncode == 4, done.stderr
    assert "image short-lived:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert summary(only_run(runs))["outcome"] == {"status": "submitted"}
