"""The kernel record under load, under a bad receiver, and at its limits: nothing in silence."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.errors import NotAsAsked, RecordBroken
from agent_eval.record.budget import Account, limits_of
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.gvisor import GvisorSource
from agent_eval.sandbox.kernel import Fact
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.opening import listening, opened
from agent_eval.sandbox.recorder import Recorder
from agent_eval.sandbox.settings import GVISOR, Asked, asked_for
from agent_eval.scenario.model import Sandbox as Wishes
from tests.docker.boxes import ROOM, bash, created
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = [pytest.mark.docker, pytest.mark.gvisor, pytest.mark.slow, pytest.mark.anyio]

STARTS = 200
MANY = f"seq {STARTS} | xargs -P 8 -n 1 /usr/bin/true; echo all"
WISHES = Wishes.model_validate({"runtime": "runsc", "record": "required"})


@asynccontextmanager
async def made() -> AsyncIterator[tuple[Container, Asked]]:
    async with created(WISHES) as (_, container):
        yield container, asked_for(WISHES, "a-test", GVISOR, int(time.time()) + 600)


@asynccontextmanager
async def recorded(source: GvisorSource) -> AsyncIterator[Sandbox]:
    """A running sandbox whose facts wait in the source."""
    async with made() as (container, asked):
        with listening(source, container):
            async with opened(container, asked, ROOM, source=source) as sandbox:
                yield sandbox


def starts(facts: list[Fact], program: str = "/usr/bin/true") -> list[Fact]:
    return [fact for fact in facts if fact.fields.get("program") == program]


def test_of_many_starts_side_by_side_none_is_lost(tmp_path: Path) -> None:
    controls = (
        f"def many(task):\n    yield bash({MANY!r}, timeout_s=200)\n    yield submit('done')\n"
    )
    folder = scenario(tmp_path, controls, sandbox=WISHES.model_dump(mode="json"))
    agent_eval("run", folder, "-m", "control:many", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    assert events(run, "action.ended")[0]["output"]["text"] == "all\n"
    seen = [event for event in events(run, "process.started") if event.get("action") == 1]
    assert sum(event.get("program") == "/usr/bin/true" for event in seen) == STARTS
    closed = events(run, "kernel.closed")[0]
    assert closed["lost"] == 0
    assert summary(run)["spent"]["record_bytes"] == closed["recorded_bytes"]


def test_two_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    running = []
    for name in ("first", "second"):
        code = f"for i in 1 2 3 4 5 6 7 8; do sh -c 'true {name} $1' sh $i; done"
        controls = f"def works(task):\n    yield bash({code!r})\n    yield submit('done')\n"
        folder = scenario(tmp_path, controls, name=name, sandbox={"runtime": "runsc"})
        command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:works"]
        command += ["--runs", str(tmp_path / f"runs-{name}"), "--record", "required"]
        running.append((name, subprocess.Popen(command, stdout=subprocess.DEVNULL)))
    for name, process in running:
        assert process.wait(250) == 0
        run = only_run(tmp_path / f"runs-{name}")
        told = [" ".join(event.get("argv", ())) for event in events(run, "process.started")]
        assert sum(f"true {name}" in each for each in told) == 8
        assert not any(
            f"true {other}" in each for each in told for other, _ in running if other != name
        )


def test_a_record_that_outgrows_its_budget_ends_the_sandbox(tmp_path: Path) -> None:
    controls = """
def writes(task):
    yield bash("while :; do echo x > /tmp/x; done", timeout_s=200)
    yield submit("done")
"""
    budget = {"record_bytes": 60_000}
    folder = scenario(tmp_path, controls, budget=budget, sandbox={"runtime": "runsc"})
    done = agent_eval("run", folder, "-m", "control:writes", "--runs", tmp_path / "runs")
    assert done.returncode == 3, done.stdout + done.stderr
    run = only_run(tmp_path / "runs")
    outcome = summary(run)["outcome"]
    assert (outcome["status"], outcome["limit"]) == ("limit", "record_bytes")
    assert events(run, "kernel.closed")[0]["recorded_bytes"] >= 60_000
    assert events(run, "action.ended")[0]["rung"] == "sandbox"


class Slow(GvisorSource):
    """Takes its time over each packet."""

    def _take(self, data: bytes, *, whole: bool) -> None:
        time.sleep(0.001)
        super()._take(data, whole=whole)


async def test_a_slow_receiver_holds_the_sandbox_up_and_loses_nothing() -> None:
    source = Slow()
    async with recorded(source) as sandbox:
        source.drain()
        assert (await bash(sandbox, MANY, 250)).output == b"all\n"
        assert len(starts(source.drain())) == STARTS
    assert source.lost == 0


async def test_a_stuck_receiver_holds_the_sandbox_up_and_loses_nothing() -> None:
    source = GvisorSource(pending=40)
    facts: list[Fact] = []
    async with recorded(source) as sandbox, anyio.create_task_group() as tasks:

        async def late() -> None:
            await anyio.sleep(3)
            while True:
                facts.extend(source.drain())
                await anyio.sleep(0.01)

        tasks.start_soon(late)
        started = time.monotonic()
        assert (await bash(sandbox, MANY, 250)).output == b"all\n"
        assert time.monotonic() - started > 2, "it did not go on unseen"
        tasks.cancel_scope.cancel()
        facts += source.drain()
    assert len(starts(facts)) == STARTS
    assert source.lost == 0


async def test_a_record_that_breaks_ends_the_sandbox(tmp_path: Path) -> None:
    source = GvisorSource()
    account = Account("0", limits_of({}))
    with Transcript.create(tmp_path / "run") as transcript:
        async with recorded(source) as sandbox:
            recorder = Recorder(source, sandbox.id, transcript, account, "0")

            async def breaks() -> None:
                async with sandbox.recorded(recorder):
                    await sandbox.execute("bash", "true", 60, ROOM, Cause(1, "0"))
                    assert source._connection is not None
                    source._connection.shutdown(2)
                    await sandbox.execute("bash", "sleep 200", 250, ROOM, Cause(2, "0"))

            with pytest.raises(RecordBroken, match="kernel record broke"):
                await breaks()
            recorder.close()
    kinds = [event["kind"] for event in events(tmp_path / "run")]
    assert kinds[0] == "kernel.opened" and kinds[-1] == "kernel.closed"
    assert "broken" in events(tmp_path / "run", "kernel.closed")[0]


async def test_a_sandbox_whose_kernel_does_not_report_is_refused(tmp_path: Path) -> None:
    async with made() as (container, asked):
        source = GvisorSource()
        source.listen(tmp_path)  # where nobody looks
        try:
            with pytest.raises(NotAsAsked, match="does not report"):
                async with opened(container, asked, ROOM, source=source):
                    pass
        finally:
            source.close()


async def test_a_source_that_nobody_came_to_can_be_closed(tmp_path: Path) -> None:
    sources: list[Any] = [GvisorSource(), GvisorSource()]
    sources[0].listen(tmp_path)
    for source in sources:
        source.close()
        source.close()
        assert source.drain() == []
