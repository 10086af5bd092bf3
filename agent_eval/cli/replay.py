"""`agent-eval replay`: a run's actions once more, and whether they come out the same."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from agent_eval.agent.instructions import Instructions
from agent_eval.agent.redo import Difference
from agent_eval.basics.display import printable
from agent_eval.basics.tasks import beside
from agent_eval.cli import FINISHED, how_called
from agent_eval.cli.again import recorded_scenario, redo_of
from agent_eval.cli.ending import code_of, obey
from agent_eval.cli.run import told
from agent_eval.cli.watch import Watch
from agent_eval.models.replay import Replay
from agent_eval.past.replaying import Again, Replayed, replay_run
from agent_eval.person.steering import Steering
from agent_eval.record.rebuild import RunState, rebuilt
from agent_eval.record.redact import Redactor, host_secrets
from agent_eval.run.plan import Plan

DIFFERS = 1


@click.command("replay")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--all", "whole", is_flag=True,
              help="Go on after the first difference, and list every one.")  # fmt: skip
@click.option("--ignore", multiple=True, metavar="REGEX",
              help="What does not matter in compared output; may be given again.")  # fmt: skip
@click.option("--runs", type=click.Path(file_okay=False, path_type=Path),
              help="Where the replay's own folder goes; usually beside RUN.")  # fmt: skip
def command(run: Path, whole: bool, ignore: tuple[str, ...], runs: Path | None) -> None:
    """Do the recorded actions of the folder RUN again, in fresh sandboxes and with no model.

    What comes back is compared with what is on record, byte for byte; times and numbers of
    processes differ in honest runs, and --ignore says so. Exits with 1 at the first difference.
    Needs the transcript and the image, not the scenario.
    """
    folder = run.absolute()
    state = rebuilt(folder)
    plan = _plan(folder, state, runs)
    again = Again(state, redo_of(folder, plan.redactor, ignore), whole)
    raise click.exceptions.Exit(told(partial(_replayed, plan, again), plan.runs))


def _replayed(plan: Plan, again: Again) -> int:
    """Replay it, say what came of it, and return the exit code."""
    with Watch(f"replay of {again.redo.run.name}", plan.loaded.scenario.budget) as watch:
        replayed = anyio.run(_steered, plan, again, watch)
    for line in _words(replayed):
        click.echo(printable(line))
    code = code_of(replayed.outcome)
    return code or (DIFFERS if replayed.differences else FINISHED)


async def _steered(plan: Plan, again: Again, watch: Watch) -> Replayed:
    steering = Steering()
    async with beside() as tasks:
        tasks.start_soon(obey, steering, watch)
        with steering.scope:
            return await replay_run(replace(plan, listener=watch.see), again, steering)
    raise KeyboardInterrupt


def _plan(folder: Path, state: RunState, runs: Path | None) -> Plan:
    """A replay needs no model and no prompts, only what sandboxes are made of."""
    prompts = Instructions("", "", [], state.opened["prompts"], lambda *_: "")
    return Plan(
        loaded=recorded_scenario(state.opened),
        model=Replay(folder.name, ()),
        instructions=prompts,
        runs=runs or folder.parent,
        command_line=["agent-eval", *sys.argv[1:]],
        changed=state.opened["asked"].get("command_line", {}),
        redactor=Redactor(host_secrets({})),
    )


def _words(replayed: Replayed) -> list[str]:
    differs = len(replayed.differences)
    lines = [line for each in replayed.differences for line in difference_words(each)]
    lines += [left_out_words(each) for each in replayed.left_out]
    came = f"{differs} differences" if differs else "no difference"
    return [
        *lines,
        f"replayed    {replayed.actions} actions: {came}",
        f"transcript  {replayed.folder}",
        f"next        {how_called()} show {replayed.folder}",
    ]


def difference_words(one: Difference) -> list[str]:
    """A difference, for a person."""
    whose = f"action {one.action} of agent {one.agent}" if one.action else "the world"
    return [
        f"DIFFERS     {whose} (event {one.seq}): {one.what}",
        f"  expected  {one.expected!r}",
        f"  got       {one.got!r}",
    ]


def left_out_words(one: dict[str, Any]) -> str:
    """What was not done or not compared, for a person."""
    if one["action"] is None:
        return f"not compared  {one['agent']}: {one['why']}"
    return f"left out    action {one['action']} of agent {one['agent']}: {one['why']}"
