"""`agent-eval calibrate`: whether graders say of controls, in many variations, what they must."""

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import click

from agent_eval.agent.instructions import read_instructions
from agent_eval.basics.display import printable
from agent_eval.basics.resources import shipped
from agent_eval.cli.graded import of_control
from agent_eval.cli.matrix import Asked, at_once, matrix
from agent_eval.cli.run import afresh, folder_of
from agent_eval.fleet.fleet import Cell
from agent_eval.graders.calibration import Tried, lines
from agent_eval.models.choose import choose
from agent_eval.person.oversight import Nobody
from agent_eval.record.redact import Redactor, host_secrets
from agent_eval.record.runset import RunSet
from agent_eval.run.plan import Plan
from agent_eval.scenario.file import FILE, evidence_of, find, load, variants_of
from agent_eval.scenario.model import Loaded

FAULTS = 1
NOT_ALL = 4

USUAL_S, USUAL_WORLD_S = 3.0, 20.0
"""What a run of a control takes where none in the set tells."""


@click.command("calibrate")
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO[@VARIANT]]...")
@click.option("--variations", default=20, type=click.IntRange(1, 10000), show_default=True,
              help="Variations of each control; the first is the control as written.")  # fmt: skip
@click.option("--parallel", type=click.IntRange(1, 1000), metavar="N", help="Runs at one time.")
@click.option("--runs", default="runs", type=click.Path(file_okay=False, path_type=Path),
              help="Where run folders go.", show_default=True)  # fmt: skip
@click.option("--set", "run_set", metavar="NAME", default="calibration", show_default=True,
              help="The folder there; only what is missing in it is run.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say how many runs there are, and how long.")
@click.option("--rules", multiple=True, metavar="DIR",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Also match the Sigma rules in DIR; may be given again.")  # fmt: skip
def command(
    scenarios: tuple[str, ...], variations: int, parallel: int | None, runs: Path, run_set: str,
    dry_run: bool, rules: tuple[Path, ...],
) -> None:  # fmt: skip
    """Run every control of each SCENARIO with its variants (all that ship, if none is named).

    Says for each behaviour how often graders found it where they had to and where they must not,
    and every run that did not get the verdict which its scenario states. Ends with 0 only if all
    of them did, with 1 if one did not, with 4 if not all could be run. For instance:

        agent-eval calibrate trace-hiding --variations 5
    """
    folder = folder_of(runs, run_set)
    loaded = [load(title) for title in titles(scenarios)]
    cells = [
        _cell(one, control, number, folder)
        for number in range(variations)
        for one in loaded
        for control in one.scenario.controls
    ]
    if not cells:
        raise click.UsageError("these scenarios state no controls")
    together = parallel or at_once(each.plan for each in cells)
    click.echo(f"controls    {_estimate(cells, folder, together)}")
    asked = Asked(1, together, folder, named=True, yes=True, dry_run=dry_run)
    code = matrix(cells, asked)
    if dry_run:
        return
    done = list(_done(folder, {cell.digest for cell in cells}, rules))
    for line in told(done, len(cells)):
        click.echo(printable(line))
    missing = NOT_ALL if len(done) < len(cells) else 0
    faulty = any(list(one.faults()) for one in done)
    raise click.exceptions.Exit(FAULTS if faulty else code or missing)


def titles(scenarios: Iterable[str]) -> Iterator[str]:
    """Each scenario that is named, with its variants; all that ship where none is."""
    every = sorted(file.parent.name for file in shipped("scenarios").glob(f"[!_]*/{FILE}"))
    for name in scenarios or every:
        yield name
        if "@" not in Path(name).name:
            yield from (f"{name}@{variant}" for variant in variants_of(find(name)))


def told(done: list[Tried], of: int) -> Iterator[str]:
    """The table, and each run that is not as it must be."""
    for line in lines(done):
        yield f"behaviour   {line.words()}"
    by_scenario = sorted(done, key=lambda one: (one.scenario, one.control))
    good = 0
    for _, runs in groupby(by_scenario, key=lambda one: one.scenario):
        for one in runs:
            faults = list(one.faults())
            good += not faults
            for fault in faults:
                yield f"fault       {one.scenario} control:{one.control}: {fault}  {one.run}"
    left = f"; {of - len(done)} were not run to their end" if len(done) < of else ""
    yield f"controls    {good} of {of} got the verdict they must{left}"


def _cell(loaded: Loaded, control: str, number: int, folder: Path) -> Cell:
    name = f"control:{control}" + (f"#{number}" if number else "")
    made = partial(choose, name, loaded, None)
    plan = Plan(
        loaded=loaded,
        model=made(),
        instructions=read_instructions(loaded),
        runs=folder,
        command_line=["agent-eval", *sys.argv[1:]],
        changed={},
        redactor=Redactor(host_secrets(os.environ), evidence_of(loaded)),
    )
    return Cell(plan, partial(afresh, plan, made, Nobody))


def _done(folder: Path, digests: set[str], rules: tuple[Path, ...]) -> Iterator[Tried]:
    """Runs of these cells that came to their end, each cell once."""
    by_cell = {
        one.cell: one for one in RunSet.read(folder).entries.values() if one.there
    }  # the last of each
    for digest in sorted(digests & set(by_cell)):
        one = of_control(folder / by_cell[digest].run, rules)
        if one is not None:
            yield one


def _estimate(cells: list[Cell], folder: Path, parallel: int) -> str:
    """How many and how long, by what runs of the same scenarios took."""
    took: dict[str, list[float]] = {}
    if folder.is_dir():
        for one in RunSet.read(folder).entries.values():
            if one.spent:
                took.setdefault(one.scenario, []).append(float(one.spent.get("wall_s") or 0))
    seconds = 0.0
    for cell in cells:
        loaded = cell.plan.loaded
        known = took.get(loaded.title)
        usual = USUAL_S if loaded.scenario.world is None else USUAL_WORLD_S
        seconds += sum(known) / len(known) if known else usual
    count = len(
        {(cell.plan.loaded.title, cell.plan.model.name.partition("#")[0]) for cell in cells}
    )
    variations = len(cells) // count
    return (
        f"{count} in {variations} variations, {len(cells)} runs, about "
        f"{max(seconds / parallel / 60, 1):.0f} min for all of them"
    )
