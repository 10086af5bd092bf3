"""`agent-eval check`: scenario files, without running anything."""

import ast
import json
from pathlib import Path

import click

from agent_eval.agent.instructions import read_instructions
from agent_eval.basics.display import printable
from agent_eval.errors import AgentEvalError, ScenarioError
from agent_eval.graders.proposed import suspicion
from agent_eval.rubrics.rubric import shipped_names
from agent_eval.scenario.file import FILE, json_schema, load, variants_of
from agent_eval.scenario.model import Loaded


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
        names = variants_of(loaded.folder)
        for each in (loaded, *(load(f"{loaded.folder}@{name}") for name in names)):
            read_instructions(each)
            check_rubrics(each)
            suspicion(each.scenario.approve)
        check_python(loaded)
    except AgentEvalError as error:
        click.echo(printable(str(error)), err=True)
        return 1
    variants = f", variants {', '.join(names)}" if names else ""
    controls = ", ".join(loaded.scenario.controls) or "none"
    click.echo(
        f"{loaded.folder}: good. Controls: {controls}{variants}. Digest {loaded.digest[:16]}"
    )
    return 0


def check_rubrics(loaded: Loaded) -> None:
    """Refuse the name of a rubric that does not ship."""
    for at, name in enumerate(loaded.scenario.grading.rubrics):
        if name not in shipped_names():
            raise ScenarioError(
                f"{loaded.folder / FILE}:1: grading.rubrics.{at}: no rubric {name!r} ships; there "
                f"are {', '.join(shipped_names())}"
            )


def check_python(loaded: Loaded) -> None:
    """Refuse Python that does not even compile, and a control that nobody wrote."""
    for file in sorted(loaded.folder.glob("*.py")):
        try:
            tree = ast.parse(file.read_bytes(), str(file))
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", 1)
            raise ScenarioError(f"{file}:{line}: {error}") from error
        if file.name == "controls.py":
            _check_controls(loaded, file, tree)


def _check_controls(loaded: Loaded, file: Path, tree: ast.Module) -> None:
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name in loaded.scenario.controls:
        if name.replace("-", "_") not in there:
            raise ScenarioError(
                f"{file}:1: no function {name.replace('-', '_')} for the control {name}; it has "
                f"{', '.join(sorted(there)) or 'none'}"
            )
