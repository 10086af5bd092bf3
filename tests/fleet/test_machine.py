"""How many sandboxes come up at one time, for all runs of a process."""

import time

import anyio
import pytest

from agent_eval.errors import EngineUnavailable
from agent_eval.fleet.machine import Machine

pytestmark = [pytest.mark.docker, pytest.mark.anyio]


async def test_few_sandboxes_come_up_at_first_and_then_more_at_a_time() -> None:
    with Machine(3) as machine:
        coming, seen = 0, []

        async def one() -> None:
            nonlocal coming
            async with machine.starting:
                coming += 1
                seen.append(coming)
                await anyio.sleep(0.02)
                coming -= 1

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(one)
        assert len(seen) == 12
        assert seen[0] == 1, "half of three, to begin with"
        assert max(seen[:3]) <= 2
        assert max(seen) == 3


async def test_an_engine_that_fails_to_start_one_is_left_alone_for_a_moment() -> None:
    with Machine(3) as machine:
        with pytest.raises(EngineUnavailable):
            async with machine.starting:
                raise EngineUnavailable("it is too much")
        with pytest.raises(ValueError, match="another fault"):
            async with machine.starting:
                raise ValueError("another fault")
        failed = time.monotonic()
        with pytest.raises(EngineUnavailable):
            async with machine.starting:
                raise EngineUnavailable("still too much")
        async with machine.starting:
            assert time.monotonic() - failed > 1


async def test_the_engine_is_asked_once_what_it_is() -> None:
    with Machine() as machine:
        first = await machine.facts()
        assert "runc" in first["runtimes"]
        assert await machine.facts() is first
