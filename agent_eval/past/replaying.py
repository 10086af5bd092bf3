"""A run's recorded actions, done again in fresh sandboxes with no model, as a run of its own.

Sandboxes come up as they are needed; actions, and the drills of a world, are done in the order in
which they began, side by side where they were. The record of the replay says what it replays, has
every action again with what the kernel tells of it, and ends with what differs.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agent_eval.agent.redo import Difference, Redo, Redone
from agent_eval.agent.taking_up import end_of
from agent_eval.basics.tasks import beside
from agent_eval.errors import AgentEvalError
from agent_eval.events.drills import AftermathBegun, AftermathEnded
from agent_eval.events.kinds import (
    ActionStarted,
    FilesSeeded,
    RunClosed,
    SandboxFrozen,
    SuccessJudged,
    Trouble,
)
from agent_eval.fleet.machine import Machine
from agent_eval.models.base import Model
from agent_eval.models.replay import Replay
from agent_eval.past.compared import (
    answer_differences,
    copy_differences,
    drill_differences,
    machine_differences,
    not_compared,
)
from agent_eval.past.course import Step, course_of
from agent_eval.past.following import Following
from agent_eval.past.past import Past, redone_event
from agent_eval.past.worlds import refuse_unless_repeatable
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.rebuild import ROOT, RunState
from agent_eval.record.transcript import Transcript, refuse_full_disk
from agent_eval.run.drills import Drills
from agent_eval.run.hands import Reach
from agent_eval.run.housing import Box, Housing, housed
from agent_eval.run.outcome import Outcome, outcome_of
from agent_eval.run.plan import Plan, opening, run_id
from agent_eval.run.worlds import Ground, standing
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.snapshot import Snapshots
from agent_eval.truth.truth import ground_truth
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
    refuse_unless_repeatable(again.redo.run, again.state, goes_on=False)
    past = Past(again.state, again.redo, course=course_of(again.redo.run))
    plan = replace(plan, past=past, named=_nobody)
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
        assert plan.past is not None
        assert plan.past.course is not None
        began, self.course = plan.past.began_at, plan.past.course
        self.recalled = Recalled(self.redo.run, ignore=self.redo.ignore)
        plan = replace(plan, recalled=self.recalled)
        self.ground = Ground(plan, transcript, Account(ROOT, {}), steering, housing, began)
        self.sandboxes: dict[str, Sandbox] = {}
        self.came: dict[str, Redone] = {}
        self.reach: Reach | None = None
        self.drills: Drills | None = None

    async def to_the_end(self, box: Box) -> Replayed:
        outcome = REPLAYED
        try:
            async with standing(self.ground), beside() as tasks, AsyncExitStack() as stack:
                await self._redo(tasks, stack, box)
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
        if self.reach is not None:
            summary["ground_truth"] = ground_truth(self.transcript.folder)
        head = self.transcript.seal(summary, self.plan.key)
        left_out = [each for one in self.came.values() for each in one.left_out]
        folder = self.transcript.folder
        return Replayed(folder, head, outcome, actions, differences, left_out)

    async def _redo(self, tasks: TaskGroup, stack: AsyncExitStack, first: Box) -> None:
        await self._moved_in(stack, ROOT, first)
        self._enter_the_world()
        world = self.housing.world
        clock = world.clock if world is not None and self.course.moves else None

        async def ready(step: Step) -> None:
            if step.agent not in self.sandboxes:
                await self._furnished(stack, step.agent)

        try:
            await Following(ready, self._step, clock).through(self.course.steps, tasks)
            self._compare_the_world()
        finally:
            for agent, sandbox in self.sandboxes.items():
                redone = self.came.get(agent, Redone())
                self.transcript.write(redone_event(sandbox.id, redone, self.redo), agent)
        if self.reach is None or not self.reach.stopped:
            self.transcript.write(SandboxFrozen(await self.sandboxes[ROOT].freeze()))

    def _enter_the_world(self) -> None:
        """Have drills reach what they are done to, if there is a world."""
        world, asked = self.housing.world, self.plan.loaded.scenario.world
        if world is None or asked is None:
            return
        self.reach = Reach(world, self.sandboxes[ROOT], self.transcript)

        async def interrupt() -> None:
            """What was cut off is not done again."""

        hands = self.reach.hands(interrupt, lambda _: None)
        self.drills = Drills(asked.drills, world.clock, self.transcript, hands)

    def _compare_the_world(self) -> None:
        if self.reach is None:
            return
        redone = self.came.setdefault(ROOT, Redone())
        redone.differences += answer_differences(self.recalled)
        redone.left_out += not_compared(self.recalled)
        if redone.differences and not self.whole:
            return  # it was ended before the rest could happen
        now = course_of(self.transcript.folder).machines
        redone.differences += machine_differences(self.course.machines, now)
        truths = ground_truth(self.redo.run), ground_truth(self.transcript.folder)
        redone.differences += copy_differences(*(each or {"copies": []} for each in truths))

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

    async def _step(self, step: Step) -> bool:
        """Do one of them again; whether to go on."""
        redone, event = self.came.setdefault(step.agent, Redone()), step.event
        before = len(redone.differences)
        match event["kind"]:
            case "files.seeded" | "files.handed":
                files = list(self.redo.files(event))
                await self.sandboxes[step.agent].put(files)
                for file in files:
                    self.transcript.content(file.data)  # the long ones are files of the record
                self.transcript.write(FilesSeeded(event["files"]), step.agent)
            case "action.started":
                await self._act(step, redone)
            case "drill.begun":
                assert self.drills is not None
                redone.differences += drill_differences(step, await self.drills.do(event["drill"]))
            case "aftermath.begun":
                self.transcript.write(AftermathBegun(event["at_most_s"]))
            case "aftermath.ended":
                self.transcript.write(AftermathEnded(event["why"]))
        return self.whole or len(redone.differences) == before

    async def _act(self, step: Step, redone: Redone) -> None:
        event, ended, agent = step.event, step.end, step.agent
        if why := self.redo.cannot(ended):
            redone.left_out.append({"agent": agent, "action": event["action"], "why": why})
            return
        assert ended is not None
        action, timeout_s = event["action"], event["timeout_s"]
        started = ActionStarted(
            action, event["call"], event["tool"], event["input"], event.get("call_id"), timeout_s
        )
        self.transcript.write(started, agent)
        cause = Cause(action, agent)
        done = await self.redo.again(self.sandboxes[agent], event, ended, self.limit, cause)
        done = replace(done, output=self.redo.as_recorded(done))
        self.transcript.write(end_of(action, done, Amounts(), self.transcript), agent)
        redone.actions += 1
        redone.differences += self.redo.differences(event, ended, done)


def _nobody(name: str) -> Model:
    """No model is asked in a replay, whichever it is."""
    return Replay(name, ())
