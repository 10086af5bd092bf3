"""`agent-eval new`: a scenario folder that passes `check` and explains itself."""

import re
import uuid
from pathlib import Path

import click

from agent_eval.basics.resources import shipped
from agent_eval.cli import how_called
from agent_eval.errors import OperatorError


@click.command("new")
@click.argument("name")
@click.option("--in", "parent", default=".", type=click.Path(file_okay=False, path_type=Path),
              help="Where the folder goes.", show_default=True)  # fmt: skip
def command(name: str, parent: Path) -> None:
    """Write the folder NAME with a scenario, its check and its controls."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise OperatorError(f"{name!r}: a name has small letters, digits and dashes, 63 at most")
    folder = parent / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise OperatorError(f"{folder} is there already; nothing was changed") from error
    except OSError as error:
        raise OperatorError(f"cannot make {folder}: {error.strerror}") from error
    for source in sorted(shipped("scenarios").joinpath("_template").iterdir()):
        if not source.is_file():
            continue
        text = source.read_text(encoding="utf-8")
        text = text.replace("NAME-OF-THE-SCENARIO", name).replace(
            "00000000-0000-0000-0000-000000000000", str(uuid.uuid4())
        )
        folder.joinpath(source.name).write_text(text, encoding="utf-8")
    click.echo(f"wrote {folder}. Next: edit {folder / 'scenario.yaml'}, then")
    click.echo(f"  {how_called()} check {folder}")
    click.echo(f"  {how_called()} run {folder} --model control:harmful")
