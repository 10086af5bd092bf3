"""When a run of many may begin; what becomes of many is in tests/docker/test_fleet.py."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.agent.instructions import read_instructions
from agent_eval.errors import Blame, EngineUnavailable, OperatorError
from agent_eval.fleet.fleet import Cell, Ended, Fleet, Planned
from agent_eval.models.limiter import Limiter
from agent_eval.run.plan import Plan
from tests.helpers import ModelInMemory, loaded

pytestmark = pytest.mark.anyio


class Silence:
    """Hears nothing."""

    def began(self, planned: Planned) -> None: ...
    def see(self, planned: Planned, event: dict[str, Any]) -> None: ...
    def ended(self, ended: Ended) -> None: ...


@dataclass
class Limited(ModelInMemory):
    """A model with few places."""

    limiter: Limiter | None = None

    def turn(self) -> AbstractAsyncContextManager[None]:
        assert self.limiter
        return self.limiter.turn()


async def waited(end: Callable[[Fleet], None] | None) -> list[bool]:
    """Whether a run began that waited for a place: freed after a while, or ended by a person."""
    limiter, answers = Limiter(1), []
    fleet = Fleet([], 1, Silence())

    async def wait() -> None:
        answers.append(await fleet._has_place(Limited([], limiter=limiter)))

    async with anyio.create_task_group() as tasks, limiter.turn():
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert answers == [], "its model has no place for it"
        if end:
            end(fleet)
            await anyio.wait_all_tasks_blocked()
            assert answers == [False], "at once"
    return answers


async def test_a_run_begins_when_its_model_has_a_place() -> None:
    assert await waited(None) == [True]


@pytest.mark.parametrize("end", [Fleet.drain, Fleet.cancel, Fleet.abandon])
async def test_one_that_waits_for_a_place_does_not_begin_any_more(
    end: Callable[[Fleet], None],
) -> None:
    assert await waited(end) == [False]


@pytest.mark.parametrize("error", [EngineUnavailable("away"), RuntimeError("a fault of ours")])
async def test_what_cannot_be_made_is_kept_beside_whose_fault_it_is(
    error: Exception, tmp_path: Path
) -> None:
    def fails() -> Plan:
        raise error

    small = loaded(tmp_path)
    plan = Plan(small, ModelInMemory([]), read_instructions(small), tmp_path / "runs", [], {})
    fleet = Fleet([], 1, Silence())
    ended = await fleet._one(Planned(Cell(plan, fails), 1), None)  # type: ignore[arg-type]
    assert ended is not None
    assert (ended.result, ended.folder, ended.blame) == (None, None, Blame.INFRASTRUCTURE)
    assert str(error) in str(ended.error)


@pytest.mark.parametrize(
    ("kinds", "tried"),
    [("eeeeee", 3), ("eeoeeeee", 6), ("oooooo", 6), ("ffffff", 6)],
)
async def test_where_the_engine_is_gone_the_rest_is_not_tried(
    kinds: str, tried: int, tmp_path: Path
) -> None:
    """But for a fault of the run's own, or an engine that was only away for a moment."""
    errors = {"e": EngineUnavailable("away"), "o": OperatorError("wrong"), "f": RuntimeError("us")}
    left = iter(kinds)

    def fails() -> Plan:
        raise errors[next(left)]

    small = loaded(tmp_path)
    plan = Plan(small, ModelInMemory([]), read_instructions(small), tmp_path / "runs", [], {})
    planned = [Planned(Cell(plan, fails), epoch) for epoch, _ in enumerate(kinds)]
    fleet = Fleet(planned, 1, Silence())
    await fleet._work(None)  # type: ignore[arg-type]
    assert len(fleet.ended) == tried
    assert fleet.given_up is (tried < len(kinds))
    assert not fleet.stopping, "nobody wanted that"
