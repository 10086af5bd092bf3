"""`agent-eval approve`: deciding, from another terminal, on what waits for a person."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import click

from agent_eval.cli.keyboard import Keyboard
from agent_eval.cli.person import Terminal, there_is_a_terminal
from agent_eval.cli.steer import found
from agent_eval.cli.watch import Watch
from agent_eval.errors import OperatorError
from agent_eval.person.elsewhere import question_of
from agent_eval.run.remote import NobodyListens, decide, living, question_in
from agent_eval.scenario.model import Budget

LOOK_EVERY_S = 0.5
"""How often is looked for something that waits."""


@click.command("approve")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
def command(runs: tuple[str, ...]) -> None:
    """Decide on what waits for a person in each RUN, a folder or its name, or in all of yours.

    For runs that were started with --approve and without a terminal. Ends with the runs that are
    named; Ctrl-C ends it at any time, and what waits goes on waiting.
    """
    if not there_is_a_terminal():
        raise OperatorError("there is no terminal here at which a person could be asked")
    folders = [found(run) for run in runs]
    watch = Watch("decisions", Budget())
    terminal = Terminal(watch, Keyboard(sys.stdin.fileno()))
    try:
        anyio.run(_attend, folders, watch, terminal)
    except KeyboardInterrupt:
        click.echo("\nwhat waits goes on waiting", err=True)


async def _attend(folders: Sequence[Path], watch: Watch, terminal: Terminal) -> None:
    while there := _alive(folders):
        if not await _asked(there, watch, terminal):
            await anyio.sleep(LOOK_EVERY_S)
    watch.say("no such run goes on any more" if folders else "no run of yours goes on")


def _alive(folders: Sequence[Path]) -> list[Path]:
    """Of these runs, or of all, those that go on."""
    going = [Path(one["folder"]) for one in living() if one["pid"] is not None]
    wanted = {folder.resolve() for folder in folders}
    return [folder for folder in going if not folders or folder.resolve() in wanted]


async def _asked(folders: Sequence[Path], watch: Watch, terminal: Terminal) -> bool:
    """Ask about what waits in the first run in which something does; whether there was one."""
    for folder in folders:
        told = _waiting(folder)
        if not told:
            continue
        watch.say(f"in the run {folder.name}:")
        decision = await terminal.decide(question_of(told["question"]), int(told["others"]))
        try:
            decide(folder, int(told["number"]), asdict(decision))
        except NobodyListens:
            watch.say("the run has ended meanwhile")
        except OperatorError as error:
            watch.say(str(error))
        return True
    return False


def _waiting(folder: Path) -> dict[str, Any]:
    try:
        told = question_in(folder)
    except (NobodyListens, OperatorError):
        return {}
    return told if "question" in told else {}
