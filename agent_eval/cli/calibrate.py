"""`agent-eval calibrate`: whether graders say of controls, in many variations, what they must."""

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import click

from agent_eval.agent.instructions import Instructions, read_instructions
from agent_eval.basics.display import printable
from agent_eval.basics.resources import shipped
from agent_eval.cli import how_called
from agent_eval.cli.board import duration
from agent_eval.cli.graded import of_control
from agent_eval.cli.grading import Grading
from agent_eval.cli.matrix import Asked, at_once, matrix
from agent_eval.cli.run import afresh, folder_of
from agent_eval.fleet.fleet import Cell
from agent_eval.graders.calibration import Tried, lines, table
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
@click.option("--markdown", is_flag=True, help="Print the table in Markdown.")
@click.option("--rules", multiple=True, metavar="DIR",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Also match the Sigma rules in DIR; may be given again.")  # fmt: skip
def command(
    scenarios: tuple[str, ...], variations: int, parallel: int | None, runs: Path, run_set: str,
    dry_run: bool, markdown: bool, rules: tuple[Path, ...],
) -> None:  # fmt: skip
    """Run every control of each SCENARIO with its variants (all that ship, if none is named).

    Says for each behaviour how often graders found it where they had to and where they must not,
    and every run that did not get the verdict which its scenario states. Ends with 0 only if all
    of them did, with 1 if one did not, with 4 if not all could be run. Each run is kept as it ends,
    and graded while others go on; after Ctrl-C the same command goes on where it was. For instance:

        agent-eval calibrate trace-hiding --variations 5
    """
    folder = folder_of(runs, run_set)
    loaded = [load(title) for title in titles(scenarios)]
    told_to = {one.title: read_instructions(one) for one in loaded}
    cells = [
        _cell(one, told_to[one.title], f"{control}#{number}" if number else control, folder)
        for number in range(variations)
        for one in loaded
        for control in one.scenario.controls
    ]
    if not cells:
        raise click.UsageError("these scenarios state no controls")
    together = parallel or at_once(each.plan for each in cells)
    click.echo(f"controls    {_estimate(cells, folder, together)}")
    with Grading(rules) as grading:
        asked = Asked(
            1, together, folder, named=True, yes=True, dry_run=dry_run, graded=grading.add
        )
        code = matrix(cells, asked)
        if dry_run:
            return
        there = list(_there(folder, {cell.digest for cell in cells}))
        for run in there:
            grading.add(run)
        grading.finish()
    done = [one for run in there if (one := of_control(run, rules, grading.why.get(run)))]
    for line in told(done, len(cells), markdown=markdown):
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


def told(done: list[Tried], of: int, *, markdown: bool = False) -> Iterator[str]:
    """The table, and each run that is not as it must be."""
    if markdown:
        yield from table(done)
    else:
        yield from (f"behaviour   {line.words()}" for line in lines(done))
    faults = {one.run: list(one.faults()) for one in done}
    bad = sorted(
        (one for one in done if faults[one.run]), key=lambda one: (one.scenario, one.control)
    )
    for one in bad:
        said = "; ".join(faults[one.run])
        yield f"fault       {one.scenario} control:{one.control}: {said}"
        yield f"            {how_called()} show {one.run}"
    for scenario, runs in groupby(bad, key=lambda one: one.scenario):
        count = sum(one.scenario == scenario for one in done)
        yield f"faulty      {scenario}: {len(list(runs))} of {count} runs"
    yield f"controls    {len(done) - len(bad)} of {of} got the verdict they must"
    if left := of - len(done):
        yield f"not run     {left} to their end; the same command again runs only these"


def _cell(loaded: Loaded, instructions: Instructions, control: str, folder: Path) -> Cell:
    made = partial(choose, f"control:{control}", loaded, None)
    plan = Plan(
        loaded=loaded,
        model=made(),
        instructions=instructions,
        runs=folder,
        command_line=["agent-eval", *sys.argv[1:]],
        changed={},
        redactor=Redactor(host_secrets(os.environ), evidence_of(loaded)),
    )
    return Cell(plan, partial(afresh, plan, made, Nobody))


def _there(folder: Path, digests: set[str]) -> Iterator[Path]:
    """Runs of these cells that came to their end, each cell once: the last of each."""
    by_cell = {one.cell: one for one in RunSet.read(folder).entries.values() if one.there}
    yield from (folder / by_cell[digest].run for digest in sorted(digests & set(by_cell)))


def _estimate(cells: list[Cell], folder: Path, parallel: int) -> str:
    """How many, and how long those take that are missing, by what runs of the same took."""
    took: dict[str, list[float]] = {}
    there: set[str] = set()
    if folder.is_dir():
        for one in RunSet.read(folder).entries.values():
            there |= {one.cell} if one.there else set()
            if one.spent:
                took.setdefault(one.scenario, []).append(float(one.spent.get("wall_s") or 0))
    left = [cell for cell in cells if cell.digest not in there]
    seconds = 0.0
    for cell in left:
        loaded = cell.plan.loaded
        known = took.get(loaded.title)
        usual = USUAL_S if loaded.scenario.world is None else USUAL_WORLD_S
        seconds += sum(known) / len(known) if known else usual
    count = len(
        {(cell.plan.loaded.title, cell.plan.model.name.partition("#")[0]) for cell in cells}
    )
    return (
        f"{count} in {len(cells) // count} variations, {len(cells)} runs; {len(left)} are to be "
        f"made, about {duration(seconds / parallel)} beside the starts of sandboxes"
    )
