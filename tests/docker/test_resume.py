"""Runs whose harness is killed, and that are gone on with from their transcripts alone."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.transcript import EVENTS
from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_run import containers_of

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="saving memory takes root")

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


def killed_in_action(harness: "subprocess.Popen[bytes]", runs: Path, action: int) -> Path:
    """Kill a harness a moment after it began an action; returns the run."""
    until = time.monotonic() + 90
    while time.monotonic() < until and not (
        list(runs.glob("*")) and len(events(only_run(runs), "action.started")) == action
    ):
        time.sleep(0.1)
    time.sleep(0.5)
    harness.kill()
    harness.wait(60)
    return only_run(runs)


@contextmanager
def written_for(run: Path, wait_s: float) -> Iterator[None]:
    """Have a record in use for a while, as by a watchdog that is slow to write what it knows."""
    with (run / EVENTS).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        later = threading.Timer(wait_s, fcntl.flock, (file, fcntl.LOCK_UN))
        later.start()
        yield
        later.join()


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
    for number, count in enumerate((len(recorded) // 2, len(recorded) - 25)):
        runs = tmp_path / f"killed-{number}"
        with started(folder, runs, *options) as harness:
            run = killed_after(harness, runs, count)
        before = events(run)
        with written_for(run, 2 * number):
            done = agent_eval("resume", run, *(["--redo"] if number else []))
        assert done.returncode == 0, done.stdout + done.stderr
        assert verify(run).good
        graded = agent_eval("grade", run)
        assert graded.returncode == 0 and "no kernel record" in agent_eval("show", run).stdout
        after = events(run)
        assert after[: len(before)] == before
        (resumed,) = events(run, "run.resumed")
        assert resumed["times"] == summary(run)["resumed"] == 1
        live = runtime == "runsc" and not number
        assert resumed["agents"] == {"0": "live" if live else "redone"}
        assert (sum(one["actions"] for one in events(run, "actions.redone")) == 0) is live
        flying = [event for event in after if event.get("cause") == "harness"]
        flying += events(run, "model.failed")
        assert summary(run)["answer"] == summary(whole)["answer"]
        if not flying:
            assert spent(run) == spent(whole)
        assert not containers_of(run.name)


STANDS = """
def counts(task):
    yield python("import random; random.seed(1); total = 41; drawn = random.random()")
    yield bash("cd /tmp; hope=7; (while sleep 0.2; do /usr/bin/uname >> beats; done) & echo began")
    yield python("n = 0\\nwhile True: n += 1")
    yield python("total += 1")
    seen = yield bash("pwd; echo $hope; jobs | grep -c Running; hostname; wc -l < beats")
    before = int(seen.split()[4])
    more = yield bash(f"until [ $(wc -l < beats) -gt {before} ]; do sleep 0.1; done; echo on")
    held = yield python("print(n > 0, total, drawn != random.random())")
    yield submit("|".join([*seen.split()[:4], more.split()[0], *held.split()[:3]]))
"""


@pytest.mark.gvisor
@ROOT
def test_a_sandbox_that_still_stands_goes_on_with_all_that_it_was(tmp_path: Path) -> None:
    """With its kernel record, whose gap is on record, and what was under way told as cut off."""
    folder = scenario(tmp_path, STANDS, success={"exact": "/tmp|7|1|server|on|True|42|True"})
    runs = tmp_path / "runs"
    with started(folder, runs, "--runtime", "runsc") as harness:
        run = killed_in_action(harness, runs, 3)
    before = events(run)
    done = agent_eval("resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify(run).good and summary(run)["success"]["verdict"] == "success"
    assert events(run)[: len(before)] == before
    (resumed,) = events(run, "run.resumed")
    assert resumed["agents"] == {"0": "live"}
    (cut_off,) = [one for one in events(run, "action.ended") if one.get("cause") == "harness"]
    assert cut_off["action"] == 3
    assert [one["action"] for one in events(run, "action.started")] == [1, 2, 3, 4, 5, 6, 7]
    (gap,) = events(run, "kernel.gap")
    assert gap["unseen_s"] > 0
    (restored,) = events(run, "sandbox.restored")
    assert restored["shared"] == [], "it is no copy"
    later = [one for one in events(run, "process.started") if one["seq"] > restored["seq"]]
    beats = [one for one in later if one["program"] == "/usr/bin/uname"]
    assert {one.get("action") for one in beats} == {2}, "it is known what began it"
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
        yield from surely(bash(f"mkdir -p ~/c{task}; cd ~/c{task}"))
        for step in range(3):
            yield from surely(bash(f"grep -qx {step} log 2>/dev/null || echo {step} >> log"))
        if task == "1":
            yield delegate("3", {"tokens": 190000})
        seen = yield from surely(bash("cat log ~/root | tr '\\\\n' ' '; echo $own"))
        yield from surely(bash("sleep 2"))
        total = yield from surely(python("n * 10"))
        yield submit(seen.splitlines()[0] + total.splitlines()[0], files=[f"c{task}/log"])
        return
    yield from surely(bash("echo of-root > ~/root; own=variable"))
    seen = yield delegate("1", {"tokens": 400000}) + delegate("2", {"tokens": 200000})
    logs = "cat ~/{c?,from-*/*}/log 2>/dev/null"
    files = yield from surely(bash(f"{logs} | sort | uniq -c | tr '\\\\n' ' '"))
    yield submit(seen + files)
"""


@pytest.mark.parametrize(
    ("runtime", "start", "how"),
    [
        ("runc", "home", "redone"),
        pytest.param("runsc", "live", "live", marks=[pytest.mark.gvisor, ROOT]),
        pytest.param("runsc", "shared", "redone", marks=pytest.mark.gvisor),
    ],
)
def test_copies_that_were_alive_go_on_too(
    runtime: str, start: str, how: str, tmp_path: Path
) -> None:
    folder = scenario(
        tmp_path, SPREADS, delegation={"max_depth": 2, "start": start}, success={"exact": "x"},
        budget=dict.fromkeys(("tool_s", "output_bytes", "usd", "steps")),
    )  # fmt: skip
    options = ("--runtime", runtime, "--record", "off")
    with started(folder, tmp_path / "whole", *options) as harness:
        harness.wait(100)
    whole = only_run(tmp_path / "whole")
    with started(folder, tmp_path / "killed", *options) as harness:
        run = killed_after(harness, tmp_path / "killed", len(events(whole)) // 2)
    ended = {event["agent"] for event in events(run, "agent.ended")}
    alive = {"0", *(event["agent"] for event in events(run, "agent.started"))} - ended
    acted = {event["agent"] for event in events(run, "action.started")}
    done = agent_eval("resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(alive) > 1 and verify(run).good
    assert summary(run)["answer"] == summary(whole)["answer"]
    (resumed,) = events(run, "run.resumed")
    assert set(resumed["agents"]) == alive
    assert {resumed["agents"][name] for name in alive & acted} == {how}, "no box, nothing to keep"
    assert not containers_of(run.name)


def test_a_sandbox_that_comes_out_otherwise_ends_the_resume_and_not_the_run(
    tmp_path: Path,
) -> None:
    chance = "def counts(task):\n    yield bash('cat /proc/sys/kernel/random/uuid')\n"
    chance += "    yield bash('sleep 100')\n    yield submit('done')\n"
    folder = scenario(tmp_path, chance)
    runs = tmp_path / "runs"
    with started(folder, runs, "--runtime", "runc", "--record", "off") as harness:
        run = killed_in_action(harness, runs, 2)
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
