"""`agent-eval reap`: sandboxes that no run needs any more."""

import anyio
import click

from agent_eval.display import printable
from agent_eval.errors import EngineUnavailable
from agent_eval.sandbox.engine import Engine
from agent_eval.sandbox.settings import RUN_LABEL


@click.command("reap")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def command(dry_run: bool) -> None:
    """Remove sandboxes whose run is gone or whose lease is over.

    Only containers with this program's label are looked at; one that a living run uses is never
    touched.
    """
    anyio.run(_reap, dry_run)


async def _reap(dry_run: bool) -> None:
    engine = Engine()
    try:
        removed = 0
        for container in await engine.ours():
            name = f"{container.id[:12]} of run {container.labels[RUN_LABEL]}"
            why = container.abandoned()
            if why is None:
                click.echo(f"kept     {name}: its run goes on")
                continue
            if not dry_run:
                try:
                    await container.remove()
                except EngineUnavailable as error:  # one that is stuck must not keep the others
                    click.echo(printable(f"STUCK    {name}: {error}"), err=True)
                    continue
            removed += 1
            click.echo(f"{'would go' if dry_run else 'removed '} {name}: {why}")
        click.echo(f"{removed} {'to remove' if dry_run else 'removed'}")
    finally:
        engine.close()
