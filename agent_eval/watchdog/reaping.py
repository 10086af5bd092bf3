"""Which sandboxes no run needs any more, and what is done about them.

The watchdog of a run does so when its lease ends. Where that is gone as well, or the machine was
restarted, the next command does, or `agent-eval reap`. A sandbox of a run that goes on is never
touched, nor one of another user, nor anything that this program did not label.
"""

import contextlib
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import anyio

from agent_eval.errors import AgentEvalError
from agent_eval.record.transcript import EVENTS, in_use
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.lease import Moment
from agent_eval.sandbox.owner import is_ours, owner_is_gone, owner_lives
from agent_eval.sandbox.settings import FOLDER_LABEL, LEASE_LABEL, OWNER_LABEL, RUN_LABEL
from agent_eval.watchdog.closing import State, state_of
from agent_eval.watchdog.lost import remove_and_end, removed_for_good

OVER = "its lease is over"
SWEEP_S = 30.0
"""How long a command that came to do something else tries to remove what one run left."""

Now = Callable[[], Moment]


async def by_run(engine: Engine) -> list[list[Container]]:
    """All sandboxes that this program made on an engine, those of one run and process together."""

    def run(container: Container) -> list[str]:
        return [container.labels.get(name, "") for name in (RUN_LABEL, FOLDER_LABEL, OWNER_LABEL)]

    return [list(some) for _, some in groupby(sorted(await engine.ours(), key=run), run)]


def judged(
    container: Container, *, everything: bool = False, now: Now = Moment.now
) -> tuple[str | None, str]:
    """Why a sandbox may go, or None and why it is kept."""
    owned_by = container.labels.get(OWNER_LABEL, "")
    folder = Path(container.labels.get(FOLDER_LABEL, ""))
    if not is_ours(owned_by):
        return None, "it is another user's"
    if owner_lives(owned_by) or in_use(folder / EVENTS):
        return None, "its run goes on"
    state, until = State.OPEN, None
    with contextlib.suppress(OSError, AgentEvalError):
        state, until = state_of(folder)
    until = until or Moment.parsed(container.labels.get(LEASE_LABEL, ""))
    if until is not None and until.left_s(now()) <= 0:
        return OVER, ""
    gone = owner_is_gone(owned_by)
    if gone and (everything or until is None):
        return "the process that ran it is gone", ""
    if gone and state in (State.NONE, State.CLOSED):
        return f"the process that ran it is gone and {state.value}", ""
    kept = f"it is kept until {until.words()}" if until else "it names no lease"
    if gone:
        return None, f"its harness is lost; {kept}, --all removes it now"
    return None, f"it was made before a restart or on another machine; {kept}"


async def remove(containers: list[Container], why: str) -> None:
    """Remove the sandboxes of one run and end its record, where there is one that has not ended.

    Raises `OperatorError` while another process writes it.
    """
    folder = Path(containers[0].labels.get(FOLDER_LABEL, ""))
    there = False
    with contextlib.suppress(OSError, AgentEvalError):
        there = state_of(folder)[0] is not State.NONE
    if there:
        await remove_and_end(folder, containers, f"reap: {why}")
        return
    for container in containers:
        await removed_for_good(container)


async def sweep(engine: Engine) -> None:
    """Remove what is past its lease, without a word; whatever is wrong with that can wait."""
    found: list[list[Container]] = []
    with contextlib.suppress(AgentEvalError):
        found = await by_run(engine)
    for containers in found:
        whys = [judged(one)[0] for one in containers]
        if all(whys):
            with contextlib.suppress(AgentEvalError, OSError), anyio.move_on_after(SWEEP_S):
                await remove(containers, whys[0] or OVER)
