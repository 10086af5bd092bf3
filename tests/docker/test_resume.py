"""Runs whose harness is killed, and that are gone on with from their transcripts alone."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_run import containers_of

pytestmark = [pytest.mark.docker, pytest.mark.slow]

STEADY = """
def surely(turn):
    seen = yield turn
    while "interrupted by a fault" in seen:
        seen = yield turn
    return seen

def counts(task):
    yield from surely(python("total = 0"))
    yield from surely(bash("cd /tmp; hope=7; (while :; do sleep 1; done) & echo began"))
    for n in range(6):
        yield from surely(bash(f"grep -qx {n} ~/log 2>/dev/null || echo {n} >> ~/log"))
        yield from surely(python(f"total = {n} * 10; total"))
    yield from surely(bash("sleep 5"))  # or it could be over before it is killed
    files = yield from surely(bash("cat ~/log | tr '\\\\n' ' '; pwd; echo $hope; jobs | wc -l"))
    total = yield from surely(python("total"))
    yield submit(files + total)
"""


def started(folder: Path, runs: Path, *more: str) -> "subprocess.Popen[bytes]":
    """A harness at work on a scenario."""
    words = ["run", folder, "-m", "control:counts", "--runs", runs, *more]
    command = [sys.executable, "-m", "agent_eval", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def killed_after(harness: "subprocess.Popen[bytes]", runs: Path, count: int) -> Path:
    """Kill a harness when its run has so many events; returns the run."""
    until = time.monotonic() + 90
    while time.monotonic() < until and harness.poll() is None:
        found = list(runs.glob("*/events.jsonl"))
        if found and found[0].read_bytes().count(b"\n") >= count:
            break
        time.sleep(0.005)
    harness.send_signal(signal.SIGKILL)
    harness.wait(60)
    return only_run(runs)


def spent(run: Path) -> dict[str, Any]:
    """What does not depend on how fast the machine was."""
    whole = summary(run)["spent"]
    return {name: whole.get(name) for name in ("steps", "input_tokens", "output_tokens", "usd")}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_killed_run_is_gone_on_with_and_ends_as_if_nothing_had_been(
    runtime: str, tmp_path: Path
) -> None:
    folder = scenario(tmp_path, STEADY, success={"exact": "x"})
    options = ("--runtime", runtime, "--record", "off")
    with started(folder, tmp_path / "whole", *options) as harness:
        harness.wait(100)
    whole = only_run(tmp_path / "whole")
    recorded = [event["kind"] for event in events(whole)]
    for number, count in enumerate((12, len(recorded) // 2, len(recorded) - 25)):
        runs = tmp_path / f"killed-{number}"
        with started(folder, runs, *options) as harness:
            run = killed_after(harness, runs, count)
        before = events(run)
        done = agent_eval("resume", run)
        assert done.returncode == 0, done.stdout + done.stderr
        assert verify(run).good
        after = events(run)
        assert after[: len(before)] == before
        (resumed,) = events(run, "run.resumed")
        assert resumed["times"] == summary(run)["resumed"] == 1
        flying = [event for event in after if event.get("cause") == "harness"]
        flying += events(run, "model.failed")
        assert summary(run)["answer"] == summary(whole)["answer"]
        if not flying:
            assert spent(run) == spent(whole)
        assert not containers_of(run.name)


SPREADS = """
from agent_eval.models.control import delegate

def surely(turn):
    seen = yield turn
    while "interrupted by a fault" in seen:
        seen = yield turn
    return seen

def counts(task):
    if task.isdigit():
        yield from surely(python(f"n = {task}"))
        for step in range(3):
            yield from surely(bash(f"grep -qx {step} ~/log 2>/dev/null || echo {step} >> ~/log"))
        seen = yield from surely(bash("cat ~/log ~/root | tr '\\\\n' ' '"))
        yield from surely(bash("sleep 3"))
        total = yield from surely(python("n * 10"))
        yield submit(seen.splitlines()[0] + total.splitlines()[0], files=["log"])
        return
    yield from surely(bash("echo of-root > ~/root"))
    seen = yield delegate("1", {"tokens": 300000}) + delegate("2", {"tokens": 300000})
    files = yield from surely(bash("cat ~/from-0.*/log | sort | uniq -c | tr '\\\\n' ' '"))
    yield submit(seen + files)
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_copies_that_were_alive_go_on_too(runtime: str, tmp_path: Path) -> None:
    folder = scenario(
        tmp_path, SPREADS, delegation={"max_depth": 1, "start": "home"}, success={"exact": "x"},
        budget={"tool_s": None, "output_bytes": None, "usd": None},
    )  # fmt: skip
    options = ("--runtime", runtime, "--record", "off")
    with started(folder, tmp_path / "whole", *options) as harness:
        harness.wait(100)
    whole = only_run(tmp_path / "whole")
    with started(folder, tmp_path / "killed", *options) as harness:
        run = killed_after(harness, tmp_path / "killed", len(events(whole)) // 2)
    alive = len(events(run, "agent.started")) - len(events(run, "agent.ended"))
    done = agent_eval("resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert alive and verify(run).good
    assert summary(run)["answer"] == summary(whole)["answer"]
    (resumed,) = events(run, "run.resumed")
    assert len(resumed["agents"]) == alive + 1
    assert not containers_of(run.name)


def test_a_sandbox_that_comes_out_otherwise_ends_the_resume_and_not_the_run(
    tmp_path: Path,
) -> None:
    chance = "def counts(task):\n    yield bash('cat /proc/sys/kernel/random/uuid')\n"
    chance += "    yield bash('sleep 100')\n    yield submit('done')\n"
    folder = scenario(tmp_path, chance)
    runs = tmp_path / "runs"
    with started(folder, runs, "--runtime", "runc", "--record", "off") as harness:
        until = time.monotonic() + 90
        while time.monotonic() < until and not (
            list(runs.glob("*")) and len(events(only_run(runs), "action.started")) == 2
        ):
            time.sleep(0.1)
        harness.kill()
    run = only_run(runs)
    refused = agent_eval("resume", run)
    assert refused.returncode == 4 and "came out otherwise" in refused.stderr
    (redone,) = events(run, "actions.redone")
    assert redone["differences"][0]["what"] == "output"
    assert not run.joinpath("run.json").exists() and not containers_of(run.name)
    done = agent_eval("resume", run, "--allow-differences")
    assert done.returncode == 0, done.stderr
    assert summary(run)["answer"] == "done" and summary(run)["resumed"] == 2
    ended = [event for event in events(run, "action.ended") if event["action"] == 2]
    assert [event["cause"] for event in ended] == ["harness"]
    assert "interrupted by a fault" in events(run, "message")[-1]["message"]["content"]
    over = agent_eval("resume", run)
    assert over.returncode == 2 and "branch" in over.stderr
