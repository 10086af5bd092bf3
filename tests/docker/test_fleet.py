"""Many runs at once: none takes others with it, a person ends all of them, and nothing is left."""

import gc
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import docker
import pytest

from agent_eval.agent.instructions import read_instructions
from agent_eval.fleet.fleet import Cell, Ended, Fleet, Planned
from agent_eval.models.control import load_control
from agent_eval.record.verify import verify
from agent_eval.run.plan import Plan
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.settings import RUN_LABEL
from agent_eval.scenario.file import load
from tests.docker.folders import agent_eval, events, scenario, summary

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

WORKS = """
def works(task):
    for number in range(3):
        yield bash(f"echo {number}")
    yield submit("done")

def steps(task):
    while True:
        yield bash("sleep 0.2")

def waits(task):
    yield bash("sleep 50")
"""


class Ears:
    """Hears what happens, and how many runs go on at most."""

    def __init__(self) -> None:
        self.going = self.most = 0
        self.events: Counter[str] = Counter()

    def began(self, planned: Planned) -> None:
        self.going += 1
        self.most = max(self.most, self.going)

    def see(self, planned: Planned, event: dict[str, Any]) -> None:
        self.events[event["kind"]] += 1

    def ended(self, ended: Ended) -> None:
        self.going -= 1


def open_files() -> Counter[str]:
    """What this process has open, by its kind."""
    found: Counter[str] = Counter()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found[str(each.readlink()).partition(":")[0]] += 1
        except FileNotFoundError:
            continue
    return found


def left_of(runs: Path) -> list[str]:
    """Containers and private folders that any of these runs left behind."""
    client = docker.from_env()
    try:
        names = {run.name for run in runs.iterdir()}
        there = client.api.containers(all=True, filters={"label": RUN_LABEL})
        left = [one["Id"] for one in there if one["Labels"][RUN_LABEL] in names]
    finally:
        client.close()
    made = {events(run, "sandbox.ready")[0]["container"] for run in runs.iterdir()}
    return left + [name for name in made if (MEETING_PLACE / name).exists()]


def test_a_dozen_runs_leave_nothing_behind(tmp_path: Path) -> None:
    folder = scenario(tmp_path, WORKS)
    loaded = load(str(folder))
    runs = tmp_path / "runs"
    model = load_control(folder, "works")
    plan = Plan(loaded, model, read_instructions(loaded), runs, [], {})
    cell = Cell(plan, lambda: replace(plan, model=load_control(folder, "works")))

    def carried_out(count: int, parallel: int) -> Ears:
        ears = Ears()
        fleet = Fleet([Planned(cell, epoch) for epoch in range(1, count + 1)], parallel, ears)
        ended = anyio.run(fleet.run)
        assert [one.blame for one in ended] == [None] * count
        gc.collect()
        return ears

    carried_out(1, 1)  # what is made once for a process: the watchdog, modules, threads
    files, threads = open_files(), threading.active_count()
    ears = carried_out(12, 6)
    assert (ears.most, ears.events["run.closed"]) == (6, 12)
    assert open_files() - files == Counter()
    until(lambda: threading.active_count() <= threads)  # workers that idle end by themselves
    assert left_of(runs) == []
    for run in runs.iterdir():
        assert verify(run, summary(run)["head"]).good
    assert Counter(events(run)[0]["epoch"] for run in runs.iterdir())[1] == 2


def test_runs_that_cannot_begin_take_no_others_with_them_and_are_made_up_for(
    tmp_path: Path,
) -> None:
    good = scenario(tmp_path, WORKS)
    absent = {"image": "agent-eval-not-there:1"}
    bad = scenario(tmp_path, WORKS, name="bad", sandbox=absent)
    runs = tmp_path / "runs" / "s"
    words: list[str | Path] = [
        "run",
        good,
        bad,
        "-m",
        "control:works",
        "--runs",
        tmp_path / "runs",
        "--set",
        "s",
    ]
    done = agent_eval(*words, "--epochs", "2", "--parallel", "4")
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("not begun: bad with control:works #") == 2
    assert "2 by infrastructure" in done.stderr
    assert "Traceback" not in done.stderr
    first = {run.name for run in runs.iterdir() if run.is_dir()}
    assert len(first) == 2

    again = agent_eval(*words, "--epochs", "3", "--dry-run")
    assert "runs        4, 4 at once; 2 are there already" in again.stdout
    done = agent_eval(*words, "--epochs", "3")
    assert done.returncode == 4, "the other three still cannot begin"
    second = {run.name for run in runs.iterdir() if run.is_dir()}
    assert first < second and len(second) == 3

    listed = agent_eval("runs", runs, "--json").stdout
    runs.joinpath("index.jsonl").unlink()
    assert sorted(agent_eval("runs", runs, "--json", "--rebuild").stdout) == sorted(listed)
    shown = agent_eval("runs", runs).stdout
    assert "3/3 = 100%" in shown and "3 runs, $0.0000" in shown


@pytest.mark.parametrize(
    ("control", "said", "status"),
    [
        ("steps", ["ending after this step"], "stopped"),
        ("waits", ["ending after this step", "ending at once"], "cancelled"),
    ],
)
def test_ctrl_c_ends_all_that_go_on_and_begins_no_more(
    control: str, said: list[str], status: str, tmp_path: Path
) -> None:
    folder = scenario(tmp_path, WORKS, budget={"steps": 10_000})
    runs, out, err = tmp_path / "runs", tmp_path / "out", tmp_path / "err"
    words = ["run", folder, "-m", f"control:{control}", "--runs", runs, "--epochs", "9"]
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent_eval", *map(str, words), "--parallel", "3"],
            stdout=stdout,
            stderr=stderr,
        )
    until(lambda: sum(acts(run) for run in runs.glob("*")) == 3)
    for each in said:  # the next Ctrl-C when the one before was heard
        process.send_signal(signal.SIGINT)
        until(lambda each=each: each in err.read_text())  # type: ignore[misc]
    assert process.wait(timeout=120) == 130, err.read_text()
    outcomes = [summary(run)["outcome"] for run in runs.iterdir()]
    assert [outcome["blame"] for outcome in outcomes] == ["operator"] * 3
    assert {outcome["status"] for outcome in outcomes} == {status}
    assert "not run     6 more" in out.read_text()
    assert left_of(runs) == []


def acts(run: Path) -> bool:
    """Whether a run has begun an action."""
    return run.joinpath("events.jsonl").exists() and bool(events(run, "action.started"))


def until(happens: Callable[[], bool]) -> None:
    """Wait for it, with room for a busy machine."""
    end = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.1)
