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

from agent_eval.record.verify import verify
from tests.docker.engines import PrivateEngine, private_engine
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_run import wait_for_event

pytestmark = pytest.mark.docker

CONTROLS = """
def waits(task):
    yield bash("sleep 600", timeout_s=400)
    yield submit("done")

def dawdles(task):
    yield bash("sleep 600", timeout_s=2)
    yield submit("done")

def naps(task):
    yield bash("sleep 2")
    yield submit("done")

def writes(task):
    yield bash("sleep 1")
    yield bash("head -c 9000 /dev/urandom")
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
        out, err = self.process.communicate(timeout=250)
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
        assert there.ended() == 3, there.err
    assert_failed(there.run, "limit", "more memory than `sandbox.memory_bytes` allows")


def test_an_engine_that_refuses_to_make_the_sandbox(tmp_path: Path) -> None:
    too_many = int(docker("info", "--format", "{{.NCPU}}")) + 1
    if too_many > 64:
        pytest.skip("no scenario can ask for more than this machine has")
    folder = scenario(tmp_path, CONTROLS, sandbox={"cpus": too_many})
    done = agent_eval("run", folder, "-m", "control:naps", "--runs", tmp_path / "runs")
    assert done.returncode == 4, done.stderr
    assert "the engine refuses to make the sandbox: Range of CPUs is" in done.stderr
    assert "Change what the scenario asks for under `sandbox`" in done.stderr
    assert not (tmp_path / "runs").exists()


# --- the person's end -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_closes_and_a_machine_that_goes_down(
    how: signal.Signals, tmp_path: Path
) -> None:
    """They end the run at once: nobody is there to press Ctrl-C again."""
    with going(tmp_path) as there:
        there.process.send_signal(how)
        assert there.ended() == 130, there.err
    assert "ending at once" in there.err
    assert verify(there.run).good
    assert summary(there.run)["outcome"]["status"] == "cancelled"
    assert not docker("ps", "-aq", "--filter", f"id={there.container}")


def test_nohup_is_respected(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent_eval", "run", str(scenario(tmp_path, CONTROLS))]
    runs = tmp_path / "runs"
    options = ["-m", "control:naps", "--runs", str(runs)]
    with subprocess.Popen(
        ["nohup", *command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_event(runs, "action.started")
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=250) == 0
    assert summary(only_run(runs))["outcome"] == {"status": "submitted"}


def test_nothing_can_be_printed_any_more(tmp_path: Path) -> None:
    """A log on a full disk, a reader that has gone: the run goes on and is sealed."""
    for number, (out, error) in enumerate([("/dev/full", "pipe"), ("closed", "/dev/full")]):
        place = tmp_path / str(number)
        place.mkdir()
        with (
            stream(out) as one,
            stream(error) as other,
            going(place, "naps", stdout=one, stderr=other) as there,
        ):
            assert there.ended() == 0, there.err
        assert verify(there.run).good
        assert summary(there.run)["outcome"] == {"status": "submitted"}
        if error == "pipe":
            assert "could not be printed (No space left on device)" in there.err


@contextmanager
def stream(kind: str) -> Iterator[Any]:
    """What a program is given to write to."""
    if kind == "pipe":
        yield subprocess.PIPE
        return
    if kind == "closed":
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as file:
            yield file
        return
    with Path(kind).open("w") as file:
        yield file


# --- the disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("removed", "is gone: something removed it while the run went on"),
        ("a file", "cannot write"),
    ],
)
def test_a_run_folder_that_is_taken_away(act: str, words: str, tmp_path: Path) -> None:
    with going(tmp_path, "writes") as there:
        blobs = there.run / "blobs"
        shutil.rmtree(there.run if act == "removed" else blobs)
        if act == "a file":
            blobs.write_text("no folder")
        assert there.ended() == 4, there.err
    assert words in there.err
    assert "run it again" in there.err
    if act == "a file":
        assert "Not a directory" in there.err
        assert "--repair" in there.err
    assert not docker("ps", "-aq", "--filter", f"id={there.container}")
    assert not there.run.joinpath("run.json").exists(), "no end is made up"


@contextmanager
def small_disk(parent: Path, size: str) -> Iterator[Path]:
    """A file system of its own."""
    where = parent / "small-disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(where)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


FILLS = """
from pathlib import Path

BALLAST = Path({ballast!r})

def leave(free):
    room = __import__("shutil").disk_usage(BALLAST.parent).free
    with BALLAST.open("ab") as file:
        file.write(bytes(max(room - free, 0)))

def event(task):
    yield bash("true")
    leave(0)
    yield bash("echo one more")

def blob(task):
    yield bash("true")
    leave(200_000)
    yield bash("head -c 400000 /dev/urandom")

def end(task):
    yield bash("true")
    leave(16_384)
    yield submit("x" * 12_000)
"""


@pytest.mark.parametrize("place", ["event", "blob", "end"])
def test_a_disk_that_fills_up(place: str, tmp_path: Path) -> None:
    """An event, a blob, and what stands at the end: nothing is done or judged off the record."""
    with small_disk(tmp_path, "20m") as disk:
        folder = scenario(tmp_path, FILLS.format(ballast=str(disk / "ballast")))
        done = agent_eval("run", folder, "-m", f"control:{place}", "--runs", disk / "runs")
        assert done.returncode == 4, done.stderr
        run = only_run(disk / "runs")
        assert "No space left on device" in done.stderr
        assert f"agent-eval verify --repair {run}" in done.stderr
        assert "free some space or choose another --runs" in done.stderr
        assert "Traceback" not in done.stderr
        report = verify(run)
        assert report.faults == []
        assert not report.complete
        (disk / "ballast").unlink()
        assert agent_eval("verify", "--repair", run).returncode == 1, "mended, and not complete"
        assert verify(run).torn_bytes == 0
        assert not docker("ps", "-aq", "--filter", f"label=agent-eval.run={run.name}")


def test_no_run_is_begun_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        folder = scenario(tmp_path, CONTROLS)
        done = agent_eval("run", folder, "-m", "control:waits", "--runs", disk / "runs")
        assert done.returncode == 2, done.stderr
        assert "has 1.0 MiB left" in done.stderr
        assert "choose another --runs" in done.stderr
        assert not (disk / "runs").exists()


# --- the engine -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("an engine of one's own needs root and dockerd")
    with private_engine() as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(600)
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
@pytest.mark.timeout(600)
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
    how = ("--epochs", "2", "--parallel", "1", "--runs", runs)
    done = agent_eval("run", folder, "-m", "control:removes", *how, env=engine.environment)
    assert done.returncode == 4, done.stderr
    assert "image short-lived:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert summary(only_run(runs))["outcome"] == {"status": "submitted"}
