"""What becomes of the sandboxes of lost runs: of a whole tree, without a watchdog, of others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from agent_eval.record.reading import read_summary
from agent_eval.record.verify import verify
from agent_eval.sandbox.engine import Engine
from agent_eval.sandbox.owner import owner
from agent_eval.sandbox.settings import OWNER_LABEL, asked_for
from agent_eval.scenario.model import Sandbox as Wishes
from agent_eval.watchdog.reaping import sweep
from tests.docker.folders import agent_eval, events, only_run, scenario
from tests.docker.test_run import containers_of
from tests.docker.test_steering import at_rest
from tests.docker.test_watchdog import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

TREE = """
def tree(task):
    if "copy" not in task:
        yield delegate("copy: a", None) + delegate("copy: b", None)
    else:
        yield bash("while :; do sleep 1; done")

def alone(task):
    yield bash("while :; do sleep 1; done")

def done(task):
    yield submit("done")
"""


@contextmanager
def running(
    tmp_path: Path, control: str, lease_s: float, actions: int, wall_s: float = 3600
) -> Iterator[subprocess.Popen[bytes]]:
    """A harness, once so many of its agents act."""
    controls = f"from agent_eval.models.control import delegate\n{TREE}"
    fields = {"delegation": {"max_depth": 1, "start": "fresh"}, "budget": {"wall_s": wall_s}}
    folder = scenario(tmp_path, controls, **fields)
    words = ["run", folder, "-m", f"control:{control}", "--runs", tmp_path / "runs"]
    words += ["--lease", lease_s, "--runtime", "runc"]
    command = [sys.executable, "-m", "agent_eval", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as harness:
        try:
            wait_until(lambda: any((tmp_path / "runs").glob("*/events.jsonl")))
            run = only_run(tmp_path / "runs")
            wait_until(lambda: len(events(run, "action.started")) == actions)
            yield harness
        finally:
            harness.kill()


def test_a_lost_tree_is_paused_and_ends_with_all_of_its_agents(tmp_path: Path) -> None:
    with running(tmp_path, "tree", 5, actions=2) as harness:
        run = only_run(tmp_path / "runs")
        assert len(containers_of(run.name)) == 3
        harness.kill()
    wait_until((run / "run.json").exists)
    assert not containers_of(run.name)
    assert verify(run).good
    for kind in ("sandbox.paused", "sandbox.removed"):
        assert sorted(event["agent"] for event in events(run, kind)) == ["0", "0.1", "0.2"], kind
    ended = events(run, "agent.ended")
    assert [event["agent"] for event in ended] == ["0.1", "0.2"]
    assert {event["outcome"]["error"] for event in ended} == {"HarnessLost"}


def test_a_paused_tree_stands_still_as_a_whole_and_ends_as_one(tmp_path: Path) -> None:
    with running(tmp_path, "tree", 60, actions=2) as harness:
        run = only_run(tmp_path / "runs")
        assert agent_eval("pause", run).returncode == 0
        said = agent_eval("status").stdout
        assert "3 agents" in said[said.index(run.name) :].split("\n")[1]
        before = at_rest(run)
        time.sleep(3)
        assert run.joinpath("events.jsonl").read_bytes() == before
        assert agent_eval("stop", "--now", run).returncode == 0
        assert harness.wait(100) == 130
    assert verify(run).good
    assert len(events(run, "sandbox.removed")) == 3
    assert {event["agent"] for event in events(run, "agent.ended")} == {"0.1", "0.2"}
    assert not containers_of(run.name)


def test_the_next_command_removes_what_is_past_its_lease(tmp_path: Path) -> None:
    """Where the watchdog was killed as well."""
    with running(tmp_path, "alone", 1, actions=1, wall_s=15) as harness:
        run = only_run(tmp_path / "runs")
        words = ["pgrep", "-P", str(harness.pid), "-f", "agent_eval.watchdog"]
        watchdog = int(subprocess.run(words, capture_output=True, check=True).stdout)
        os.kill(watchdog, signal.SIGKILL)
        harness.kill()
    assert not events(run, "run.closed")
    time.sleep(20)
    small, more = tmp_path / "small", tmp_path / "more"
    assert agent_eval("run", small, "-m", "control:done", "--runs", more).returncode == 0
    assert not containers_of(run.name)
    assert verify(run).good
    assert read_summary(run)["outcome"]["error"] == "HarnessLost"


@pytest.mark.anyio
async def test_of_two_users_on_one_engine_none_touches_what_is_the_others() -> None:
    """Both are past their lease, and the processes that made them are gone."""
    boot, pid, started, uid = owner().split(":")
    engine = Engine()
    asked = asked_for(Wishes(), f"two-users-{pid}", "runc", int(time.time()) - 60)
    made = {}
    try:
        for user in (uid, str(int(uid) + 1)):
            arguments = asked.create_arguments(["true"])
            arguments["labels"][OWNER_LABEL] = f"{boot}:{pid}:{int(started) + 1}:{user}"
            made[user] = await engine.call(
                "creating", partial(engine._client.containers.create, **arguments)
            )
        await sweep(engine)
        left = [container.id for container in await engine.ours(asked.run)]
        assert left == [made[str(int(uid) + 1)].id]
        said = agent_eval("reap", "--all", "--dry-run").stdout
        (line,) = [line for line in said.splitlines() if asked.run in line]
        assert line.startswith("kept") and line.endswith("it is another user's")
    finally:
        for container in await engine.ours(asked.run):
            await container.remove()
        engine.close()
