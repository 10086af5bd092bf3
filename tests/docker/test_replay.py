"""Recorded actions done again: what comes out the same, and what does not."""

from pathlib import Path

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario

pytestmark = [pytest.mark.docker, pytest.mark.slow]

HONEST = """
def works(task):
    yield bash("cat ~/seed; cd /tmp; x=1; printf 'a\\\\xff' > f") + python("import os; n = 5")
    yield bash("pwd; echo $x; cat f; exit 3")
    yield bash("echo ${x:-new}; head -c 9000 /dev/zero | tr '\\\\0' y") + python("n + 1")
    yield bash("sleep 60", timeout_s=1) + bash("yes")
    yield bash("echo still here")
    yield submit("done")

def wavers(task):
    yield bash("echo same")
    yield bash("echo at; date +%s%N; cat /proc/sys/kernel/random/uuid")
    yield python("print('after')")
    yield bash("cat /proc/sys/kernel/random/uuid; false")
    yield submit("done")
"""
SEED = [{"to": "/home/user/seed", "text": "a seed\n"}]
SMALL = {"max_output_bytes": 20_000}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_honest_run_comes_out_the_same(runtime: str, tmp_path: Path) -> None:
    folder = scenario(tmp_path, HONEST, files=SEED, actions=SMALL)
    words = ("-m", "control:works", "--runs", tmp_path / "runs", "--runtime", runtime)
    assert agent_eval("run", folder, *words).returncode == 0
    run = only_run(tmp_path / "runs")
    controls = folder / "controls.py"
    controls.unlink()  # a replay needs nothing of the scenario
    done = agent_eval("replay", run, "--runs", tmp_path / "again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 actions: no difference" in done.stdout
    again = only_run(tmp_path / "again")
    assert verify(again).good
    assert not events(again, "model.called")
    (opened,) = events(again, "run.opened")
    last = events(run)[-1]
    assert opened["origin"] == {
        "what": "replay", "run": run.name, "seq": last["seq"], "head": verify(run).head
    }  # fmt: skip
    assert [event["output"] for event in events(again, "action.ended")][:4] == [
        event["output"] for event in events(run, "action.ended")
    ][:4]


def test_the_first_difference_is_told_or_all_and_what_to_ignore_is_asked(tmp_path: Path) -> None:
    folder = scenario(tmp_path, HONEST)
    words = ("-m", "control:wavers", "--runs", tmp_path / "runs", "--runtime", "runc")
    assert agent_eval("run", folder, *words).returncode == 0
    run = only_run(tmp_path / "runs")
    first = agent_eval("replay", run, "--runs", tmp_path / "first")
    assert first.returncode == 1
    assert first.stdout.count("DIFFERS") == 1 and "action 2 of agent 0" in first.stdout
    assert len(events(only_run(tmp_path / "first"), "action.ended")) == 2
    every = agent_eval("replay", run, "--all", "--runs", tmp_path / "every")
    assert every.returncode == 1 and every.stdout.count("DIFFERS") == 2
    (redone,) = events(only_run(tmp_path / "every"), "actions.redone")
    assert [one["action"] for one in redone["differences"]] == [2, 4]
    ignore = ("--ignore", r"^\d+$", "--ignore", r"[0-9a-f]{8}-[0-9a-f-]{27}")
    same = agent_eval("replay", run, *ignore, "--runs", tmp_path / "same")
    assert same.returncode == 0, same.stdout
    (redone,) = events(only_run(tmp_path / "same"), "actions.redone")
    assert redone["ignored"] == [ignore[1], ignore[3]] and not redone["differences"]
    bad = agent_eval("replay", run, "--ignore", "(")
    assert bad.returncode == 2 and "regular expression" in bad.stderr
