"""What was done side by side is again, what was done after something waits for it."""

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from agent_eval.basics.clock import WorkingClock
from agent_eval.basics.tasks import beside
from agent_eval.past.course import Step
from agent_eval.past.following import Following
from agent_eval.world.clock import WorldClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def step(name: str, place: int, over: int | None, moment_s: float = 0) -> Step:
    return Step({"kind": "action.started", "name": name}, "0", place, moment_s, None, over)


class Doing:
    """Does steps, each when it is let."""

    def __init__(self, *stops: str) -> None:
        self.log: list[str] = []
        self.gates: dict[str, anyio.Event] = {}
        self.stops = stops

    async def ready(self, one: Step) -> None:
        self.gates[one.event["name"]] = anyio.Event()

    async def do(self, one: Step) -> bool:
        name = one.event["name"]
        self.log.append(f"{name} begins")
        try:
            await self.gates[name].wait()
        except BaseException:
            self.log.append(f"{name} is cut off")
            raise
        self.log.append(f"{name} is over")
        return name not in self.stops

    async def until(self, said: str) -> None:
        while said not in self.log:  # noqa: ASYNC110 - the steps know of nobody who waits
            await anyio.sleep(0.001)


STEPS = [step("a", 1, 4), step("b", 2, 3), step("c", 5, 6), step("d", 7, None), step("e", 8, 9)]


async def test_each_waits_for_what_was_over_before_it() -> None:
    doing = Doing()
    async with beside() as tasks, anyio.create_task_group() as own:
        own.start_soon(Following(doing.ready, doing.do).through, STEPS, tasks)
        await doing.until("b begins")
        doing.gates["a"].set()
        await doing.until("a is over")
        await anyio.wait_all_tasks_blocked()
        assert "c begins" not in doing.log, "b is not over, as it was then"
        doing.gates["b"].set()
        await doing.until("c begins")
        doing.gates["c"].set()
        await doing.until("e begins")
        assert "d is over" not in doing.log, "nobody waits for what was never over"
        doing.gates["e"].set()
        doing.gates["d"].set()
    assert doing.log[-1] in ("d is over", "e is over")


async def test_the_first_that_says_so_ends_all() -> None:
    doing = Doing("b")
    async with beside() as tasks, anyio.create_task_group() as own:
        own.start_soon(Following(doing.ready, doing.do).through, STEPS, tasks)
        await doing.until("b begins")
        doing.gates["b"].set()
    assert doing.log == ["a begins", "b begins", "b is over", "a is cut off"]


async def test_nothing_comes_sooner_in_its_world_and_never_closer_together() -> None:
    clock = WorldClock(datetime(2026, 1, 1, tzinfo=UTC), 1000, WorkingClock())
    began: dict[str, float] = {}

    async def ready(_: Step) -> None:
        """Nothing is needed."""

    async def do(one: Step) -> bool:
        began[one.event["name"]] = clock.now_s()
        if one.event["name"] == "slow":
            await clock.sleep(300)
        return True

    steps: list[Any] = [step("first", 1, 2, 50), step("slow", 3, 4, 100), step("last", 5, 6, 150)]
    steps.append(step("later", 7, 8, 250))
    async with beside() as tasks:
        await Following(ready, do, clock).through(steps, tasks)
    assert began["first"] >= 50
    assert began["last"] >= began["slow"] + 300
    assert began["later"] >= began["last"] + 99
