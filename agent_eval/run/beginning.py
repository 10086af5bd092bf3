"""The start state of a milestone: what its reference control leaves behind on the way there.

It is built in a sandbox of its own, on the files of the run, by the loop that every agent lives in,
and only what lies in writable folders is taken over: memory, processes and empty folders are not.
So what the reference did is in no kernel record of the run, and no grader takes it for the model's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from agent_eval.agent.actions import Run
from agent_eval.agent.asking import Asking
from agent_eval.agent.loop import Agent
from agent_eval.errors import ScenarioError
from agent_eval.events.kinds import MilestoneBegun
from agent_eval.models.control import load_control
from agent_eval.record.budget import Account
from agent_eval.record.reading import content_bytes, read_events
from agent_eval.record.transcript import Transcript
from agent_eval.run.housing import Housing
from agent_eval.run.plan import Plan
from agent_eval.run.seeds import Calendar
from agent_eval.run.success import judge
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.scenario.model import HOME, Loaded, Scenario
from agent_eval.scenario.success import Milestone

STATE_BYTES = 256 * 1024 * 1024
"""The most that a start state may hold."""


@dataclass(frozen=True)
class Begun:
    """A start state, and how it came to be."""

    at: Milestone
    files: list[File]
    did: list[tuple[str, str, bytes]]
    """Tool, code and output of each action."""

    def event(self, transcript: Transcript) -> MilestoneBegun:
        """What goes on record of it."""
        did: list[dict[str, Any]] = [
            {"tool": tool, "code": code, "output": transcript.content(output)}
            for tool, code, output in self.did
        ]
        return MilestoneBegun(self.at.name, self.at.reference, did)


async def begun_at(
    plan: Plan, scenario: Scenario, housing: Housing, files: Sequence[File], calendar: Calendar
) -> Begun:
    """Build the state that a run begins from, on the files that the scenario begins with.

    Raises `ScenarioError` where the reference does what leaves no files or ends too early, or where
    the milestone's own check does not find it reached.
    """
    at = plan.loaded.begins_at
    assert at is not None
    limit = int(scenario.actions.max_output_bytes)
    container = await housing.machine.engine.create(housing.asked, COMMAND)
    housing.left.add(container.id)
    try:
        async with opened(container, housing.asked, limit) as sandbox:
            if files:
                await sandbox.put(files)
            did = await _done(plan, scenario, at, sandbox)
            await sandbox.freeze()
            tops = [HOME, "/tmp", *scenario.sandbox.writable]  # noqa: S108 - a path inside
            kept, refused = await sandbox.get(tops, STATE_BYTES)
            seen, _ = await sandbox.get(at.success.export, STATE_BYTES)
    finally:
        with anyio.CancelScope(shield=True):
            await container.remove()
        housing.left.discard(container.id)
    lost = [each for each in refused if "no file there" not in each]
    if lost:
        raise ScenarioError(f"the milestone {at.name} leaves what cannot be kept: {lost[:3]}")
    seen = [calendar.as_written(file) for file in seen]
    await anyio.to_thread.run_sync(_refuse_unreached, plan.loaded, at, seen)
    return Begun(at, kept, did)


def _refuse_unreached(loaded: Loaded, at: Milestone, files: list[File]) -> None:
    """Raise where the check of the milestone says that its reference did not reach it."""
    if at.success.check is None:
        return
    there = loaded.scenario.model_copy(update={"success": at.success})
    verdict, reason = judge(loaded.model_copy(update={"scenario": there}), "", files)
    if verdict != "success":
        raise ScenarioError(
            f"the milestone {at.name} is not reached after {at.turns} turns of {at.reference}, "
            f"its check says: {verdict}: {reason}"
        )


async def _done(
    plan: Plan, scenario: Scenario, at: Milestone, sandbox: Sandbox
) -> list[tuple[str, str, bytes]]:
    """Have the reference do its turns, recorded in a place of their own; what it did."""
    whole = scenario.model_copy(update={"task": _whole_task(scenario, at), "approve": None})
    with TemporaryDirectory(prefix="agent-eval-milestone-") as place:
        folder = Path(place) / "reference"
        with Transcript.create(folder, plan.redactor) as transcript:
            control = load_control(plan.loaded.folder, at.reference)
            tools = () if scenario.model.tool_format == "fenced" else plan.instructions.tools
            account = Account("0", {})
            asking = Asking("0", control, tools, scenario.model, account, transcript)
            agent = Agent(asking, whole, plan.instructions, sandbox)
            agent.begin()
            for turn in range(1, at.turns + 1):
                await _turn(agent, f"milestone {at.name}: turn {turn} of {at.reference}")
            await control.close()
        return _recorded(folder)


async def _turn(agent: Agent, title: str) -> None:
    actions = agent.actions_in(await agent.ask())
    if not actions:
        raise ScenarioError(f"{title} does nothing; `turns` counts those before it")
    for action in actions:
        if not isinstance(action, Run):
            raise ScenarioError(f"{title} is no action that leaves files: {action.call.name}")
        await agent.execute(action)


def _whole_task(scenario: Scenario, at: Milestone) -> str:
    """The task as it is from the beginning on, without what is told of the milestone."""
    return scenario.task.removesuffix(at.told.strip()).rstrip() if at.told else scenario.task


def _recorded(folder: Path) -> list[tuple[str, str, bytes]]:
    began: dict[str, Any] = {}
    did = []
    for event in read_events(folder):
        if event["kind"] == "action.started":
            began = event
        elif event["kind"] == "action.ended":
            output = content_bytes(folder, event["output"])
            did.append((str(began["tool"]), str(began["input"]["code"]), output))
    return did
