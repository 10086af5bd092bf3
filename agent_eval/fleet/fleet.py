"""Many runs at once, under one machine: each with its own record, sandbox and end.

A run that fails, or cannot even begin, never takes others with it: what it was is kept beside who
is to blame. Where the engine is gone, the rest is not tried in vain. A run begins only when its
model has a place for it, so that sandboxes do not come up faster than the model can serve them.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import anyio
import structlog

from agent_eval.errors import AgentEvalError, EngineUnavailable, InfrastructureError
from agent_eval.fleet.machine import Machine
from agent_eval.models.base import Model
from agent_eval.person.steering import Steering
from agent_eval.record.runset import cell_of
from agent_eval.run.plan import Plan, model_facts, scenario_facts
from agent_eval.run.run import Result, run_scenario

log = structlog.get_logger()

GIVE_UP_AFTER = 3
"""Runs in a row that an engine could not even begin: then it is gone, and the rest is left for
another time."""


@dataclass(frozen=True)
class Cell:
    """One scenario with one model: what its runs have in common."""

    plan: Plan
    """The plan of each of its runs, but for what each has of its own."""
    afresh: Callable[[], Plan]
    """Makes it for one run, with a model that remembers nothing."""
    once: bool = False
    """Whether one run of it is enough, however many the others have."""

    @property
    def digest(self) -> str:
        """What a run set knows it by."""
        plan = self.plan
        return cell_of(
            {
                "scenario": scenario_facts(plan),
                "model": model_facts(plan),
                "prompts": plan.instructions.digests,
                "asked": {"command_line": plan.changed},
            }
        )


@dataclass(frozen=True)
class Planned:
    """One run that is to be."""

    cell: Cell
    epoch: int

    @property
    def title(self) -> str:
        """What it is called on a screen."""
        plan = self.cell.plan
        return f"{plan.loaded.title} with {plan.title_of_model} #{self.epoch}"


@dataclass(frozen=True)
class Ended:
    """What became of a planned run: a sealed run, or why there is none."""

    planned: Planned
    result: Result | None
    error: AgentEvalError | None = None

    @property
    def blame(self) -> str | None:
        """Who is to blame where there is no answer."""
        if self.error is not None:
            return self.error.blame
        return self.result.outcome.blame if self.result else None

    @property
    def folder(self) -> Path | None:
        """Where its record is."""
        return self.result.folder if self.result else None


class Observer(Protocol):
    """Who is told what happens, and can change nothing."""

    def began(self, planned: Planned) -> None:
        """A run begins."""

    def see(self, planned: Planned, event: dict[str, Any]) -> None:
        """An event of it is on record."""

    def ended(self, ended: Ended) -> None:
        """It has ended, or could not begin."""


class Fleet:
    """Runs so many at once; a person can end all of them, in three ways."""

    def __init__(
        self,
        planned: Sequence[Planned],
        parallel: int,
        observer: Observer,
        starts: int | None = None,
    ) -> None:
        """So many in `parallel`, and so many of their sandboxes on their way up at one time."""
        self._count, self._parallel, self._observer = len(planned), parallel, observer
        self._starts = starts
        self._queue = iter(planned)
        self._going: list[Steering] = []
        self._waiting: set[anyio.CancelScope] = set()
        self.stopping = False
        self.given_up = False
        """Whether no more runs begin, for the engine is gone."""
        self._in_vain = 0
        self.ended: list[Ended] = []

    async def run(self) -> list[Ended]:
        """See all of them to their end; raises only where there is no engine to begin with."""
        with Machine(self._starts) as machine:
            async with anyio.create_task_group() as tasks:
                for _ in range(min(self._parallel, self._count)):
                    tasks.start_soon(self._work, machine)
        return self.ended

    def drain(self) -> None:
        """Begin no more; each that goes on ends after its current step."""
        self.stopping = True
        for scope in self._waiting:
            scope.cancel()
        for steering in self._going:
            steering.drain()

    def cancel(self) -> None:
        """End all of them now; their sandboxes are still removed."""
        self.drain()
        for steering in self._going:
            steering.cancel()

    def abandon(self) -> None:
        """End all of them now and leave the sandboxes to the watchdog."""
        self.drain()
        for steering in self._going:
            steering.abandon()

    def _next(self) -> Iterator[Planned]:
        while not self.stopping and not self.given_up and (planned := next(self._queue, None)):
            yield planned

    async def _work(self, machine: Machine) -> None:
        for planned in self._next():
            ended = await self._one(planned, machine)
            if ended is not None:
                self.ended.append(ended)
                self._count_in_vain(ended)
                self._observer.ended(ended)

    def _count_in_vain(self, ended: Ended) -> None:
        self._in_vain = self._in_vain + 1 if isinstance(ended.error, EngineUnavailable) else 0
        self.given_up = self.given_up or self._in_vain >= GIVE_UP_AFTER

    async def _one(self, planned: Planned, machine: Machine) -> Ended | None:
        """One run, whatever comes of it; None if a person ended all before it began."""
        try:
            plan = planned.cell.afresh()
            try:
                if not await self._has_place(plan.model):
                    return None
                return Ended(planned, await self._steered(planned, plan, machine))
            finally:
                with anyio.CancelScope(shield=True):
                    await plan.model.close()
        except AgentEvalError as error:
            return Ended(planned, None, error)
        except Exception as error:  # noqa: BLE001 - it must not take the other runs with it
            log.warning("a fault of this program", run=planned.title, trace=traceback.format_exc())
            return Ended(planned, None, InfrastructureError(f"{type(error).__name__}: {error}"))

    async def _has_place(self, model: Model) -> bool:
        """Wait until the model has a place; whether the run may still begin then."""
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                async with model.turn():
                    pass
            finally:
                self._waiting.discard(scope)
        return not self.stopping

    async def _steered(self, planned: Planned, plan: Plan, machine: Machine) -> Result:
        steering, observer = Steering(), self._observer
        plan = replace(
            plan, epoch=planned.epoch, listener=lambda event: observer.see(planned, event)
        )
        self._going.append(steering)
        observer.began(planned)
        try:
            return await run_scenario(plan, steering, machine)
        finally:
            self._going.remove(steering)
