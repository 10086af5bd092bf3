"""`agent-eval reap`: sandboxes that no run needs any more."""

import anyio
import click

from agent_eval.basics.display import printable
from agent_eval.errors import AgentEvalError
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.settings import RUN_LABEL
from agent_eval.watchdog.reaping import by_run, judged, remove


@click.command("reap")
@click.option("--all", "everything", is_flag=True,
              help="Also those of lost runs that are kept until their lease ends.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def command(everything: bool, dry_run: bool) -> None:
    """Remove sandboxes of runs that have ended, or whose lease is over.

    A run whose process was killed can be resumed until its lease ends: its sandboxes are kept,
    paused, unless --all is given. Only containers with this program's label are looked at; one that
    a living run uses is never touched, nor one of another user. Commands that run something remove
    what is past its lease as well.
    """
    anyio.run(_reap, everything, dry_run)


async def _reap(everything: bool, dry_run: bool) -> None:
    engine = Engine()
    try:
        removed = 0
        for containers in await by_run(engine):
            removed += await _reap_run(containers, everything, dry_run)
        click.echo(f"{removed} {'to remove' if dry_run else 'removed'}")
    finally:
        engine.close()


async def _reap_run(containers: list[Container], everything: bool, dry_run: bool) -> int:
    """Look at the sandboxes of one run; returns how many go."""
    run = containers[0].labels[RUN_LABEL]
    judgements = [judged(container, everything=everything) for container in containers]
    why = judgements[0][0]
    if not all(each for each, _ in judgements) or why is None:
        for container, (_, kept) in zip(containers, judgements, strict=True):
            click.echo(printable(f"kept     {container.id[:12]} of run {run}: {kept}"))
        return 0
    try:
        if not dry_run:
            await remove(containers, why)
    except AgentEvalError as error:  # one that is stuck must not keep the others
        click.echo(printable(f"STUCK    run {run}: {error}"), err=True)
        return 0
    for container in containers:
        went = "would go" if dry_run else "removed "
        click.echo(printable(f"{went} {container.id[:12]} of run {run}: {why}"))
    return len(containers)
