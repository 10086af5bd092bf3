"""Going on with a run whose harness was lost, from its transcript alone.

What was in flight is ended on record first: a call at all that was set aside for it, an action
without output. Then each agent that had not ended gets a sandbox that has gone through what its
own had, by doing the recorded actions again, and goes on where it was.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import anyio

from agent_eval.agent.redo import Redo
from agent_eval.agent.taking_up import INTERRUPTED
from agent_eval.errors import OperatorError
from agent_eval.events.event import Event
from agent_eval.events.kinds import ActionEnded, ModelFailed, SandboxRemoved
from agent_eval.events.state import RunResumed
from agent_eval.fleet.machine import Machine
from agent_eval.past.course import course_of
from agent_eval.past.past import Past
from agent_eval.past.standing import saved_standing
from agent_eval.past.worlds import has_world, refuse_unless_repeatable
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Amounts
from agent_eval.record.reading import events_file
from agent_eval.record.rebuild import AgentState, RunState, rebuilt
from agent_eval.record.transcript import Transcript, open_locked
from agent_eval.record.verify import reopened
from agent_eval.run.housing import Housing, housed
from agent_eval.run.plan import Plan
from agent_eval.run.run import Result, Run
from agent_eval.sandbox.engine import Engine
from agent_eval.watchdog.closing import State, state_of
from agent_eval.world.services.recalled import Recalled

WATCHDOG_S = 10.0
"""Seconds for which the watchdog of the lost harness is waited for, which pauses its sandboxes."""

LIVE, REDONE = "live", "redone"


@dataclass(frozen=True)
class Wishes:
    """How a run is to be resumed."""

    redo: Redo
    allow_differences: bool = False
    anew: bool = False
    """Whether actions are done again even where the sandbox still stands."""


async def resume_run(
    plan: Plan,
    folder: Path,
    wishes: Wishes,
    steering: Steering | None = None,
    machine: Machine | None = None,
) -> Result:
    """Go on with the run in a folder; raises `OperatorError` where that cannot be.

    Raises `Differs` where a sandbox does not come to be what it was; the record stays as it is
    then, for another try.
    """
    steering = steering or Steering()
    await _let_the_watchdog_speak(folder)
    with reopened(folder) as transcript:
        transcript.redactor, transcript.listener = plan.redactor, plan.listener
        before = resumable(folder)
        refuse_unless_repeatable(folder, before)
        plan = replace(plan, past=Past(before, wishes.redo))
        async with housed(plan, folder.name, steering, machine) as (housing, about):
            _refuse_another_image(before, about["image"], wishes)
            taken: set[str] = set()
            if not wishes.anew and not has_world(before):
                limit = int(plan.loaded.scenario.snapshots.limit_bytes)
                taken = await saved_standing(before, housing, transcript, limit)
            for event, agent in _endings(before):
                transcript.write(event, agent)
            resumed = RunResumed(
                times=before.resumed + 1,
                after=before.last["seq"],
                agents={
                    agent.path: LIVE if agent.path in taken else REDONE
                    for agent in before.open_agents()
                },
                command_line=plan.command_line,
            )
            transcript.write(resumed)
            past = Past(
                rebuilt(folder), wishes.redo, wishes.allow_differences,
                left_open=True, anew=wishes.anew, course=course_of(folder, before.last["seq"]),
            )  # fmt: skip
            housing.keeps_names = True
            await _remove_old(housing.machine.engine, folder.name, transcript)
            recalled = Recalled(folder, before.last["seq"], wishes.redo.ignore)
            again = replace(plan, past=past, recalled=recalled)
            return await _gone_on(again, steering, transcript, housing)


async def _gone_on(
    plan: Plan, steering: Steering, transcript: Transcript, housing: Housing
) -> Result:
    past = plan.past
    box = await housing.make(past.nearest(past.state.root)[0] if past else None)
    try:
        return await Run(plan, steering, transcript, housing, box).to_the_end()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await housing.tear_down(box)
        raise


async def _let_the_watchdog_speak(folder: Path) -> None:
    """Wait until the watchdog has done what it does at once, if there is one."""
    file = events_file(folder)
    until = time.monotonic() + WATCHDOG_S
    while time.monotonic() < until:
        with suppress(OperatorError):  # it writes just now, or the harness is still there
            with Transcript(folder, open_locked(file), 0, ""):
                state, _ = state_of(folder)
            if state is not State.OPEN:
                return
        await anyio.sleep(0.25)


def resumable(folder: Path) -> RunState:
    """A run as it stands; raises `OperatorError` for one that has ended."""
    state = rebuilt(folder)
    if state.closed is not None:
        raise OperatorError(
            f"{folder} has come to its end. `agent-eval branch {folder} --at SEQ` makes a new run "
            "that goes on from one of its events"
        )
    return state


def _refuse_another_image(state: RunState, image: dict[str, object], wishes: Wishes) -> None:
    had = (state.opened.get("engine") or {}).get("image", {})
    if had.get("id") != image["id"] and not wishes.allow_differences:
        raise OperatorError(
            f"image {image['name']} is not the one that the run was made with ({had.get('id')}). "
            "Put that one back, or say --allow-differences"
        )


def _endings(state: RunState) -> Iterator[tuple[Event, str]]:
    """The ends of what was in flight, each settled at all that was set aside for it."""
    for agent in state.open_agents():
        if call := agent.calling:
            failed = ModelFailed(
                call=call["call"],
                attempt=call["attempt"],
                error="the harness was lost while this call was under way",
                settled=call["reserved"],
                duration_s=_since(call, state),
            )
            yield failed, agent.path
        if agent.acting:
            yield _cut_off(agent, state), agent.path


def _cut_off(agent: AgentState, state: RunState) -> ActionEnded:
    started = agent.acting or {}
    limit = state.opened["scenario"]["resolved"]["actions"]["max_output_bytes"]
    most = Amounts(tool_s=Decimal(str(started["timeout_s"])), output_bytes=int(limit))
    return ActionEnded(
        action=started["action"],
        duration_s=_since(started, state),
        output={"bytes": 0, "text": ""},
        rung="sandbox",
        settled=most.record(),
        cause=INTERRUPTED,
    )


def _since(event: dict[str, float], state: RunState) -> float:
    """Seconds from an event to the last one that the lost harness wrote, as far as is known."""
    return round(max(state.last_worked_s - event["elapsed_s"], 0.0), 6)


async def _remove_old(engine: Engine, run: str, transcript: Transcript) -> None:
    """Remove what is left of the sandboxes that the run had."""
    for container in await engine.ours(run):
        transcript.write(SandboxRemoved(container.id, await container.remove()))
