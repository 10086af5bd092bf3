"""A sandbox whose kernel was brought to a standstill from inside can still be removed."""

import time
from contextlib import suppress

import anyio
import pytest

from agent_eval.errors import SandboxDied
from agent_eval.sandbox.engine import Engine, runtime_for
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.settings import asked_for
from agent_eval.scenario.model import Sandbox as Wishes
from tests.docker.boxes import ROOM

pytestmark = [pytest.mark.docker, pytest.mark.gvisor, pytest.mark.anyio, pytest.mark.slow]

STANDSTILL = """
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(1000)
    os.setsid()
    time.sleep(1000)
"""
"""google/gvisor#14275: a process with a child calls setsid in a group without a parent there."""


async def test_a_sandbox_at_a_standstill_ends_by_the_hosts_deadlines_and_is_removed() -> None:
    engine = Engine()
    wishes = Wishes.model_validate({"runtime": "runsc"})
    asked = asked_for(
        wishes, "a-test", runtime_for("runsc", await engine.facts()), int(time.time()) + 600
    )
    container = await engine.create(asked, COMMAND)
    try:
        async with opened(container, asked, ROOM) as sandbox:
            script = f"python3 -c '{STANDSTILL}'; ls"
            with suppress(SandboxDied):  # not where this flaw is mended
                await sandbox.execute("bash", script, 1, ROOM)
        with anyio.fail_after(100):
            await container.remove()
        assert container.id not in {one.id for one in await engine.ours()}
    finally:
        await container.remove()
        engine.close()
