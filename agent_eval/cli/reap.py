"""`agent-eval reap`: sandboxes that no run needs any more."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import anyio
import click

from agent_eval.display import printable
from agent_eval.errors import AgentEvalError
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.lease import Moment
from agent_eval.sandbox.owner import owner_is_gone
from agent_eval.sandbox.settings import FOLDER_LABEL, LEASE_LABEL, OWNER_LABEL, RUN_LABEL
from agent_eval.watchdog.closing import State, state_of
from agent_eval.watchdog.lost import remove_and_end, removed_for_good


@click.command("reap")
@click.option("--all", "everything", is_flag=True,
              help="Also those of lost runs that are kept until their lease ends.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def command(everything: bool, dry_run: bool) -> None:
    """Remove sandboxes of runs that have ended, or whose lease is over.

    A run whose process was killed can be resumed until its lease ends: its sandboxes are kept,
    paused, unless --all is given. Only containers with this program's label are looked at; one that
    a living run uses is never touched.
    """
    anyio.run(_reap, everything, dry_run)


async def _reap(everything: bool, dry_run: bool) -> None:
    engine = Engine()
    try:
        removed = 0
        for container in await engine.ours():
            name = f"{container.id[:12]} of run {container.labels[RUN_LABEL]}"
            why, kept = judged(container, everything)
            if why is None:
                click.echo(printable(f"kept     {name}: {kept}"))
                continue
            if not dry_run:
                try:
                    await remove(container, why)
                except AgentEvalError as error:  # one that is stuck must not keep the others
                    click.echo(printable(f"STUCK    {name}: {error}"), err=True)
                    continue
            removed += 1
            click.echo(f"{'would go' if dry_run else 'removed '} {name}: {why}")
        click.echo(f"{removed} {'to remove' if dry_run else 'removed'}")
    finally:
        engine.close()


def judged(
    container: Container, everything: bool, now: Callable[[], Moment] = Moment.now
) -> tuple[str | None, str]:
    """Why a sandbox may go, or None and why it is kept."""
    why = container.abandoned()
    if why is None:
        return None, "its run goes on"
    if everything or why == "its lease is over":
        return why, ""
    state, until = State.OPEN, None
    with contextlib.suppress(OSError, AgentEvalError):
        state, until = state_of(Path(container.labels.get(FOLDER_LABEL, "")))
    if state in (State.NONE, State.CLOSED):
        return f"{why} and {state.value}", ""
    until = until or Moment.parsed(container.labels.get(LEASE_LABEL, ""))
    if until is None or until.left_s(now()) <= 0:
        return "its lease is over", ""
    return None, f"its harness is lost; it is kept until {until.words()}, --all removes it now"


async def remove(container: Container, why: str) -> None:
    """Remove a sandbox and end the record of its run, if there is one that has not ended."""
    folder = Path(container.labels.get(FOLDER_LABEL, ""))
    there = False
    if owner_is_gone(container.labels.get(OWNER_LABEL, "")):  # or its record is its own business
        with contextlib.suppress(OSError, AgentEvalError):
            there = state_of(folder)[0] is not State.NONE
    if there:
        await remove_and_end(folder, [container], f"reap: {why}")
    else:
        await removed_for_good(container)
