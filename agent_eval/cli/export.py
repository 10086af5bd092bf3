"""`agent-eval export`: one run as one file that opens from disk."""

from pathlib import Path

import click

from agent_eval.review.export import MOST_BYTES
from agent_eval.review.export import export as exported
from agent_eval.review.index import cache_folder


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--most-bytes",
    type=click.IntRange(1),
    default=MOST_BYTES,
    show_default=True,
    help="Of an output; what is longer is cut there, and listed.",
)
def command(run: Path, output: Path, most_bytes: int) -> None:
    """Write RUN as one HTML file that needs nothing else, and say what it leaves out.

    agent-eval export runs/RUN -o run.html
    """
    withheld = exported(run, output, cache_folder(), most_bytes)
    click.echo(f"{output}: {output.stat().st_size:,} bytes, {len(withheld)} outputs withheld")
