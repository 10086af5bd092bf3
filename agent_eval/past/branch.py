"""A new run that goes on from an event of another one, with another model or an edited message.

What it goes on from is in its own record: the events of the other run up to there. Its sandboxes
begin as the nearest snapshot with memory that the other run kept, or anew, and what came after that
is done again and compared. It has copies of all it needs, so that no branch shares a file with
another run, and its chain starts from the hash of the event that it branches off.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from agent_eval.agent.redo import Redo
from agent_eval.errors import OperatorError
from agent_eval.events.kernel import OfKernel
from agent_eval.events.kinds import KINDS
from agent_eval.events.state import RunBranched
from agent_eval.fleet.machine import Machine
from agent_eval.past.course import course_of
from agent_eval.past.past import Past
from agent_eval.past.replaying import origin_of
from agent_eval.past.worlds import refuse_unless_repeatable
from agent_eval.person.steering import Steering
from agent_eval.record.reading import read_blob, read_events, with_inherited
from agent_eval.record.rebuild import ROOT, Event, RunState, rebuilt
from agent_eval.record.transcript import Transcript, line_of, refuse_full_disk
from agent_eval.record.verify import blobs_of
from agent_eval.run.housing import housed
from agent_eval.run.plan import Plan, opening, run_id
from agent_eval.run.run import Result, Run
from agent_eval.sandbox.snapshot import FOLDER
from agent_eval.world.services.recalled import Recalled

NOT_INHERITED = (
    *("run.opened", "run.branched", "run.resumed", "run.closed", "actions.redone"),
    *("sandbox.ready", "sandbox.frozen", "sandbox.removed", "sandbox.paused", "harness.lost"),
    *("kernel.opened", "kernel.lost", "kernel.closed", "files.exported", "success.judged"),
)
"""What is only of the other run, beside what its kernels told."""


@dataclass(frozen=True)
class Branching:
    """Where a branch leaves another run, and what is changed there."""

    redo: Redo
    at: int
    edits: Mapping[int, str] = field(default_factory=dict)
    """New texts of messages of the first agent, by their place in its conversation."""
    another_model: bool = False
    allow_differences: bool = False


async def branch_run(
    plan: Plan,
    branching: Branching,
    steering: Steering | None = None,
    machine: Machine | None = None,
) -> Result:
    """Make a branch and run it to its end; raises `OperatorError` where there can be none."""
    steering, origin = steering or Steering(), branching.redo.run
    refuse_full_disk(plan.runs)
    state = _state(origin, branching)
    refuse_unless_repeatable(origin, state, branching.at)
    inherited, edits = _inherited(origin, state, branching)
    run = run_id(plan.loaded.title)
    before = Past(state, branching.redo)
    plan = replace(plan, past=before)
    async with housed(plan, run, steering, machine) as (housing, about):
        box = await housing.make(before.nearest(state.root)[0])
        try:
            folder = plan.runs / run
            with Transcript.create(folder, plan.redactor, state.head) as transcript:
                transcript.listener = plan.listener
                first = opening(plan, box.asked, box.container.as_made, about)
                told = {"what": "branch", **origin_of(state), "began": before.began_at.isoformat()}
                transcript.write(replace(first, origin=told))
                _bring(origin, inherited, transcript)
                _bring_snapshots(before, folder)
                branched = RunBranched(
                    inherited=transcript.content(b"".join(map(line_of, inherited))),
                    edits=edits,
                    recount=branching.another_model,
                    settled={"record_bytes": state.root.spent.record_bytes},
                )
                transcript.write(branched)
                past = Past(
                    rebuilt(folder), branching.redo, branching.allow_differences,
                    course=course_of(origin, branching.at).without_unfinished(),
                )  # fmt: skip
                recalled = Recalled(origin, branching.at, branching.redo.ignore)
                again = replace(plan, past=past, recalled=recalled)
                return await Run(again, steering, transcript, housing, box).to_the_end()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await housing.tear_down(box)
            raise


def _state(origin: Path, branching: Branching) -> RunState:
    state = rebuilt(origin, branching.at)
    if state.root.answer is not None or state.closed is not None:
        raise OperatorError(
            f"at event {branching.at} the run had its answer already; choose an earlier one"
        )
    if not any(event["kind"] == "files.seeded" for event in state.root.history):
        raise OperatorError(
            f"at event {branching.at} the run had not begun; choose one after `files.seeded`"
        )
    return state


def _inherited(
    origin: Path, state: RunState, branching: Branching
) -> tuple[list[Event], list[dict[str, Any]]]:
    """The events that a branch goes on from, and what was changed in them."""
    flying = [each for one in state.agents.values() for each in (one.calling, one.acting) if each]
    left_out = {event["seq"] for event in flying}
    last = branching.at
    events = [
        event
        for event in _up_to(origin, last)
        if event["kind"] not in NOT_INHERITED
        and not issubclass(KINDS.get(event["kind"], object), OfKernel)
        and not (event["seq"] in left_out and event in flying)
    ]
    changed: dict[int, dict[str, Any]] = {}
    for event in events:
        for place, message in _messages(event):
            if place in branching.edits:
                new = branching.edits[place]
                edit = {"index": place, "before": message.get("content"), "after": new}
                changed.setdefault(place, edit)
                message["content"] = new
    if missing := set(branching.edits) - set(changed):
        raise OperatorError(
            f"at event {last} there is no message {min(missing)}; messages are numbered from 0, "
            "and `agent-eval show --json` tells their `index`"
        )
    return events, list(changed.values())


def _up_to(origin: Path, last: int) -> Iterator[Event]:
    own = (event for event in read_events(origin) if event["seq"] <= last)
    return with_inherited(origin, own)


def _messages(event: Event) -> Iterator[tuple[int, dict[str, Any]]]:
    """The messages of the first agent that an event holds, with their places."""
    if event["agent"] != ROOT:
        return
    if event["kind"] in ("message", "model.replied"):
        yield event["index"], event["message"]
    elif event["kind"] == "context.compacted":
        for one in event["shortened"]:
            yield one["index"], one["message"]


def _bring(origin: Path, events: list[Event], transcript: Transcript) -> None:
    """Copy all that the events name by its hash."""
    for digest in {digest for event in events for digest in blobs_of(event)}:
        transcript.blob(read_blob(origin, digest))


def _bring_snapshots(past: Past, folder: Path) -> None:
    """Copy the snapshots that sandboxes of this branch begin as, should it be resumed."""
    for agent in past.state.open_agents():
        snapshot, _ = past.nearest(agent)
        if snapshot is not None:
            to = folder / FOLDER / snapshot.digest
            to.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copytree(snapshot.path, to, dirs_exist_ok=True)
