"""A service that holds up everything is named, with the line that it stood at."""

import asyncio
import time
from typing import Any

import pytest

from agent_eval.world.stalls import Stall, Stalled, answering, noticed

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LONG_S = 2.0
"""Enough for the watch to look, on a busy machine as well."""


HERE, ELSEWHERE = object(), object()
"""What stands for a world."""


async def hold_up(service: str | None, world: object = HERE) -> None:
    """Compute without letting anybody else."""
    if service is not None:
        answering(service, world)
    time.sleep(LONG_S)  # noqa: ASYNC251 - it is what is not to be done


async def test_it_is_told_who_held_everything_up_and_where() -> None:
    told: list[Stall] = []
    elsewhere: list[Stall] = []
    async with (
        noticed(HERE, told.append, stall_s=0.3),
        noticed(ELSEWHERE, elsewhere.append, stall_s=0.3),
    ):
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
    assert elsewhere == [], "worlds side by side are told of their own services"


@pytest.mark.parametrize("at_work", ["time.sleep(1000)", "while True: pass"])
async def test_a_service_that_would_hold_everything_up_for_good_is_ended(at_work: str) -> None:
    told: list[Stall] = []

    async def answer() -> None:
        answering("endless", HERE)
        try:
            exec(at_work, {"time": time})
        except Exception:  # noqa: BLE001 - as services and their libraries do
            pytest.fail("what a service catches does not keep it going")

    async with noticed(HERE, told.append, stall_s=0.3, bound_s=1):
        with pytest.raises(Stalled):
            await asyncio.create_task(answer())
        while not told:  # noqa: ASYNC110 - it is told by nobody who would set an event
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
    assert [each.service for each in told] == ["endless"]


async def test_the_record_is_never_left_half_done() -> None:
    """What only a slow disk holds up goes on to its end, and so does who waits for it."""
    module: dict[str, Any] = {"__name__": "agent_eval.record.transcript", "time": time}
    exec("def write(): time.sleep(2.5)", module)

    async def answer() -> str:
        answering("slow", HERE)
        module["write"]()
        return "written"

    told: list[Stall] = []
    async with noticed(HERE, told.append, stall_s=0.3, bound_s=0.6):
        assert await asyncio.create_task(answer()) == "written"
