"""A run's recorded actions, done again in fresh sandboxes with no model, as a run of its own.

Sandboxes come up as they are needed and actions are done one after the other, in the order in which
they began. The record of the replay says what it replays, has every action again with what the
kernel tells of it, and ends with what differs.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from agent_eval.agent.redo import FILLED, Difference, Redo, Redone
from agent_eval.agent.taking_up import end_of
from agent_eval.errors import AgentEvalError
from agent_eval.events.kinds import (
    ActionStarted,
    FilesSeeded,
    RunClosed,
    SandboxFrozen,
    SuccessJudged,
    Trouble,
)
from agent_eval.fleet.machine import Machine
from agent_eval.past.past import Past, redone_event
from agent_eval.past.worlds import refuse_unless_repeatable
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.rebuild import ROOT, Event, RunState
from agent_eval.record.transcript import Transcript, refuse_full_disk
from agent_eval.run.housing import Box, Housing, housed
from agent_eval.run.outcome import Outcome, outcome_of
from agent_eval.run.plan import Plan, opening, run_id
from agent_eval.run.worlds import Ground, standing
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.snapshot import Snapshots
from agent_eval.world.services.recalled import Recalled

NOBODY = {"name": "none", "price": None}
"""The model of a run that asks none."""

REPLAYED = Outcome("replayed")


@dataclass(frozen=True)
class Replayed:
    """What came of a replay."""

    folder: Path
    head: str
    outcome: Outcome
    actions: int
    differences: list[Difference]
    left_out: list[dict[str, Any]]


@dataclass(frozen=True)
class Again:
    """What is to be replayed, and how."""

    state: RunState
    redo: Redo
    whole: bool = False
    """Whether to go on after the first difference."""


async def replay_run(
    plan: Plan, again: Again, steering: Steering, machine: Machine | None = None
) -> Replayed:
    """Do a run's actions again, up to the first that comes out otherwise or all of them."""
    refuse_full_disk(plan.runs)
    refuse_unless_repeatable(again.redo.run, again.state)
    run = run_id(f"replay-of-{plan.loaded.title}")
    async with housed(plan, run, steering, machine) as (housing, about):
        box = await housing.make()
        try:
            with Transcript.create(plan.runs / run, plan.redactor) as transcript:
                transcript.listener = plan.listener
                first, origin = (
                    opening(plan, box.asked, box.container.as_made, about),
                    origin_of(again.state),
                )
                transcript.write(replace(first, model=NOBODY, origin={"what": "replay", **origin}))
                stage = transcript, housing, steering
                return await _Replay(plan, again, *stage).to_the_end(box)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await housing.tear_down(box)
            raise


def origin_of(state: RunState) -> dict[str, Any]:
    """Which run another one comes from, for its first event."""
    return {"run": state.opened["run"], "seq": state.last["seq"], "head": state.head}


class _Replay:
    """A replay that has a record."""

    def __init__(
        self,
        plan: Plan,
        again: Again,
        transcript: Transcript,
        housing: Housing,
        steering: Steering,
    ) -> None:
        self.plan, self.state, self.redo, self.whole = plan, again.state, again.redo, again.whole
        self.transcript, self.housing = transcript, housing
        self.limit = int(plan.loaded.scenario.actions.max_output_bytes)
        self.accounts = {name: Account(name, {}) for name in self.state.agents}
        self.started = datetime.now(UTC)
        began = Past(self.state, self.redo).began_at
        plan = replace(plan, recalled=Recalled(self.redo.run))
        self.ground = Ground(plan, transcript, Account(ROOT, {}), steering, housing, began)
        self.sandboxes: dict[str, Sandbox] = {}
        self.came: dict[str, Redone] = {}

    async def to_the_end(self, box: Box) -> Replayed:
        outcome = REPLAYED
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(standing(self.ground))
                await self._redo(stack, box)
        except AgentEvalError as error:
            outcome = outcome_of(error)
            trouble = Trouble(outcome.blame or "", outcome.error or "", outcome.message or "")
            self.transcript.write(trouble)
        differences = [each for one in self.came.values() for each in one.differences]
        name = self.state.opened["run"]
        said = f"{len(differences)} differences" if differences else "no difference"
        self.transcript.write(SuccessJudged("unscored", f"a replay of {name}: {said}"))
        self.transcript.write(RunClosed(outcome.record(), {}))
        actions = sum(one.actions for one in self.came.values())
        summary = {
            "run": self.transcript.folder.name,
            "scenario": self.plan.loaded.title,
            "scenario_digest": self.plan.loaded.digest,
            "model": NOBODY["name"],
            "replay_of": name,
            "outcome": outcome.record(),
            "answer": None,
            "success": {"verdict": "unscored", "reason": f"a replay of {name}: {said}"},
            "spent": {},
            "started": self.started.isoformat(timespec="milliseconds"),
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "actions": actions,
            "differences": [each.record() for each in differences],
        }
        head = self.transcript.seal(summary, self.plan.key)
        left_out = [each for one in self.came.values() for each in one.left_out]
        folder = self.transcript.folder
        return Replayed(folder, head, outcome, actions, differences, left_out)

    async def _redo(self, stack: AsyncExitStack, first: Box) -> None:
        await self._moved_in(stack, ROOT, first)
        try:
            for event, agent in self._steps():
                if agent not in self.sandboxes:
                    await self._furnished(stack, agent)
                if not await self._step(event, agent) and not self.whole:
                    break
        finally:
            for agent, sandbox in self.sandboxes.items():
                redone = self.came.get(agent, Redone())
                self.transcript.write(redone_event(sandbox.id, redone, self.redo), agent)
        self.transcript.write(SandboxFrozen(await self.sandboxes[ROOT].freeze()))

    def _steps(self) -> list[tuple[Event, str]]:
        """All that happened to sandboxes, in order, and whose each was."""
        steps = [(event, name) for name, one in self.state.agents.items() for event in one.history]
        return sorted(steps, key=lambda step: int(step[0]["seq"]))

    async def _furnished(self, stack: AsyncExitStack, agent: str) -> None:
        """A copy's sandbox as it was when the copy began."""
        began = self.state.agents[agent].began or {}
        if began.get("start") == "shared":
            shared = self.sandboxes[began["parent"]].shared(agent)
            self.sandboxes[agent] = await stack.enter_async_context(shared)
            return
        first = self.state.agents[agent].history[0]
        snapshot = None
        if first["kind"] == "sandbox.restored":  # what its parent's was then, as it was kept
            snapshot = Snapshots(self.redo.run).find(first["snapshot"])
        await self._moved_in(stack, agent, await self.housing.make(snapshot))

    async def _moved_in(self, stack: AsyncExitStack, agent: str, box: Box) -> None:
        stack.push_async_callback(self.housing.remove, box, self.transcript, agent)
        account = self.accounts[agent]
        coming = self.housing.inhabited(box, self.transcript, account, self.limit)
        self.sandboxes[agent] = await stack.enter_async_context(coming)

    async def _step(self, event: Event, agent: str) -> bool:
        """Do one of them again; whether it came out the same."""
        redone, sandbox = self.came.setdefault(agent, Redone()), self.sandboxes[agent]
        if event["kind"] in FILLED:
            await sandbox.put(list(self.redo.files(event)))
            self.transcript.write(FilesSeeded(event["files"]), agent)
        if event["kind"] != "action.started":
            return True
        ended = self.state.agents[agent].ends.get(event["action"])
        if why := self.redo.cannot(ended):
            redone.left_out.append({"agent": agent, "action": event["action"], "why": why})
            return True
        assert ended is not None
        action, timeout_s = event["action"], event["timeout_s"]
        started = ActionStarted(
            action, event["call"], event["tool"], event["input"], event.get("call_id"), timeout_s
        )
        self.transcript.write(started, agent)
        cause = Cause(action, agent)
        done = await self.redo.again(sandbox, event, ended, self.limit, cause)
        done = replace(done, output=self.redo.as_recorded(done))
        self.transcript.write(end_of(action, done, Amounts(), self.transcript), agent)
        found = self.redo.differences(event, ended, done)
        redone.actions += 1
        redone.differences += found
        return not found
