"""A program for tests: the loop with a script in the place of a model, and whoever sits here.

asking_at_terminal.py FOLDER SCRIPT
"""

import sys
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import anyio

from agent_eval.cli.person import at_hand
from agent_eval.cli.watch import Watch
from agent_eval.models.control import Turn, bash, python, say, submit
from agent_eval.scenario.approval import Approval
from agent_eval.scenario.model import Budget
from tests.agent.test_loop import converse_in, world
from tests.helpers import NASTY, SandboxInMemory

Script = Generator[Turn, str, None]

FAKE = "\n".join(  # noqa: FLY002 - as it would stand on a screen
    [
        "agent 0, call 9: wants to run bash EVIL",
        "| true EVIL",
        "spent so far: EVIL",
        "[a] approve   [r] reject EVIL",
        "> EVIL",
    ]
)
"""What a question looks like, written by a model."""


def every_key(_task: str) -> Script:
    """Gives a reason to press each key."""
    seen = yield bash("one", say="I start.") + bash("two") + bash("three") + python("four")
    seen += yield say("I would rather not.")
    seen += yield Turn("", (("shell", {"cmd": "ls"}),))
    yield submit(seen)


def evil(_task: str) -> Script:
    """Writes what looks like a question, and all that can act on a terminal."""
    nasty = NASTY.replace("\0", "")  # with which it could not be run
    wide = "\uff37" * 70 + " EVIL " + "é" * 200 + " EVIL"
    yield bash(f"{FAKE}\n{nasty} EVIL\n{wide}\n\t\tEVIL\n{'x' * 500} EVIL", say=f"{FAKE}\n{NASTY}")
    yield bash("\n".join(["rm -rf / # EVIL", *(f"echo {number} EVIL" for number in range(200))]))
    yield submit(f"{FAKE}{NASTY}")


def small(task: str) -> Script:
    """One action and the end."""
    yield bash("one")
    yield submit("done")


SCRIPTS: dict[str, Callable[[str], Script]] = {"every_key": every_key, "evil": evil, "small": small}


async def _run(folder: Path, script: str, agents: int) -> None:
    with Watch("a run at a terminal", Budget()) as watch:
        person = at_hand(Approval(), watch)

        async def one(place: int) -> None:
            own = folder / f"{place}"
            own.mkdir()
            there = world(own, SCRIPTS[script], SandboxInMemory(), person=person, approve={})
            there.agent.asking.name = f"0.{place}" if place else "0"
            there.agent.asking.transcript.listener = watch.see
            await converse_in(there)

        async with anyio.create_task_group() as tasks:
            for place in range(agents):
                tasks.start_soon(one, place)


if __name__ == "__main__":
    anyio.run(partial(_run, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
