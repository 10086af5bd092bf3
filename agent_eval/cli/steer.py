"""`agent-eval stop`, `pause`, `continue` and `snapshot`: steering a run from another terminal."""

import os
import sys
from pathlib import Path

import click

from agent_eval.basics.display import printable
from agent_eval.cli import how_called
from agent_eval.errors import OperatorError
from agent_eval.record.reading import events_file
from agent_eval.record.transcript import in_use
from agent_eval.run.remote import NobodyListens, living, steer
from agent_eval.watchdog.closing import State, state_of

RUNS = click.argument("runs", nargs=-1, required=True, metavar="RUN...")


@click.command("stop")
@RUNS
@click.option("--now", is_flag=True, help="At once, in the middle of what it does.")
def stop(runs: tuple[str, ...], now: bool) -> None:
    """End each RUN, a folder or its name, after its current step; all of its agents end with it.

    The record is sealed and the sandboxes are removed, as after Ctrl-C in its own terminal.
    """
    _each(runs, "stop_now" if now else "stop")


@click.command("pause")
@RUNS
def pause(runs: tuple[str, ...]) -> None:
    """Have each RUN, a folder or its name, stand still, with all of its agents.

    No call of a model and no action starts, everything in the sandboxes is frozen, and neither
    deadlines nor wall time pass. What is on its way to or from a model comes to its end.
    """
    _each(runs, "pause")


@click.command("continue")
@RUNS
def go_on(runs: tuple[str, ...]) -> None:
    """Let each RUN that was paused, a folder or its name, go on."""
    _each(runs, "continue")


@click.command("snapshot")
@RUNS
def snapshot(runs: tuple[str, ...]) -> None:
    """Have each RUN, a folder or its name, keep what its sandboxes are.

    Each agent's is kept before the agent's next step, in the run's folder: with memory and running
    programs under gVisor, else the files alone, or as the scenario's `snapshots.holds` says.
    `branch` and `resume` begin from there. `show` tells what was kept, or why it could not be.
    """
    _each(runs, "snapshot")


commands = {"stop": stop, "pause": pause, "continue": go_on, "snapshot": snapshot}


def _each(runs: tuple[str, ...], act: str) -> None:
    """Ask all of them, and then raise the first error, so that one cannot keep the others."""
    errors: list[OperatorError] = []
    for run in runs:
        try:
            folder = found(run)
            click.echo(printable(f"{folder.name} {_steered(folder, act)}"))
        except OperatorError as error:
            errors.append(error)
    for other in errors[1:]:
        click.echo(printable(f"agent-eval: {other}"), err=True)
    if errors:
        raise errors[0]


def found(run: str) -> Path:
    """The folder that a person means by a path or a name."""
    if Path(run).is_dir():
        return events_file(Path(run)).parent
    named = [Path(one["folder"]) for one in living() if Path(one["folder"]).name == run]
    if len(named) == 1:
        return named[0]
    if named:
        raise OperatorError(f"{run} is the name of several runs: {', '.join(map(str, named))}")
    raise OperatorError(
        f"{run} is neither a run's folder nor the name of a run of yours that goes on. "
        f"`{how_called()} status` lists those"
    )


def _steered(folder: Path, act: str) -> str:
    try:
        tty = os.ttyname(sys.stdin.fileno()) if sys.stdin.isatty() else None
        return steer(folder, act, tty)
    except NobodyListens:
        raise OperatorError(_why_not(folder)) from None


def _why_not(folder: Path) -> str:
    """Why a run cannot be steered, and what to type next."""
    if state_of(folder)[0] is State.CLOSED:
        return f"{folder.name} has ended: `{how_called()} show {folder}` says how"
    if in_use(events_file(folder)):
        return (
            f"{folder.name} is just beginning or ending, or its harness could not listen: try "
            "again, or press Ctrl-C in its own terminal"
        )
    return (
        f"{folder.name}: its harness is gone. `{how_called()} resume {folder}` goes on with it, "
        f"`{how_called()} reap --all` removes its sandboxes now"
    )
