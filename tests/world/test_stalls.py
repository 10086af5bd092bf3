"""A service that holds up everything is named, with the line that it stood at."""

import asyncio
import time

import pytest

from agent_eval.world.stalls import Stall, answering, noticed

pytestmark = pytest.mark.anyio
LONG_S = 2.0
"""Enough for the watch to look, on a busy machine as well."""


async def hold_up(service: str | None) -> None:
    """Compute without letting anybody else."""
    if service is not None:
        answering(service)
    time.sleep(LONG_S)  # noqa: ASYNC251 - it is what is not to be done


async def test_it_is_told_who_held_everything_up_and_where() -> None:
    told: list[Stall] = []
    async with noticed(told.append, stall_s=0.3):
        await asyncio.create_task(hold_up(None))
        await asyncio.sleep(0.1)
        assert told == [], "what is no service's doing is not put down to one"
        await asyncio.create_task(hold_up("slow"))
        while not told:  # noqa: ASYNC110 - it is told by nobody who would set an event
            await asyncio.sleep(0.05)
    (stall,) = told
    assert stall.service == "slow"
    assert stall.seconds >= LONG_S
    assert "time.sleep(LONG_S)" in stall.where
