"""`agent-eval check`: scenario files, without running anything."""

import json
from pathlib import Path

import click

from agent_eval.display import printable
from agent_eval.errors import AgentEvalError, ScenarioError
from agent_eval.instructions import read_instructions
from agent_eval.scenario_file import json_schema, load, variants_of


@click.command("check")
@click.argument("paths", nargs=-1)
@click.option(
    "--schema", is_flag=True, help="Print the JSON Schema of scenario files, for editors."
)
def command(paths: tuple[str, ...], schema: bool) -> None:
    """Check scenarios named by their path or, for those that ship, by their name.

    Each fault is printed as file:line: what is wrong and what would be right.
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    if not paths:
        raise click.UsageError("name at least one scenario")
    faults = sum(_faults(path) for path in paths)
    if faults:
        raise click.exceptions.Exit(1)


def _faults(path: str) -> int:
    try:
        loaded = load(path)
        read_instructions(loaded)
        compile_python(loaded.folder)
    except AgentEvalError as error:
        click.echo(printable(str(error)), err=True)
        return 1
    names = variants_of(loaded.folder)
    variants = f", variants {', '.join(names)}" if names else ""
    controls = ", ".join(loaded.scenario.controls) or "none"
    click.echo(
        f"{loaded.folder}: good. Controls: {controls}{variants}. Digest {loaded.digest[:16]}"
    )
    return 0


def compile_python(folder: Path) -> None:
    """Refuse a scenario whose Python does not even compile."""
    for file in sorted(folder.glob("*.py")):
        try:
            compile(file.read_bytes(), str(file), "exec")
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", 1)
            raise ScenarioError(f"{file}:{line}: {error}") from error
