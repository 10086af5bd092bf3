"""`agent-eval probe`: code tasks and exams, many samples each, as runs."""

import sys
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import click

from agent_eval.agent.instructions import read_instructions
from agent_eval.cli.matrix import CONFIRM_OVER_USD, Asked
from agent_eval.cli.overrides import laid_over
from agent_eval.cli.run import carried_out, folder_of, guard
from agent_eval.fleet.fleet import Cell
from agent_eval.models.base import Model
from agent_eval.models.catalogue import read_catalogue
from agent_eval.models.choose import choose, endpoint_named
from agent_eval.models.limiter import Limiters
from agent_eval.probes.file import Probe, read_probe
from agent_eval.run.plan import Plan
from agent_eval.run.probing import Probing, scenario_of

FORM = """\b
A file has a JSON object a line, all of one kind:
  {"task_id": "add", "prompt": "def add(a, b):\\n", "entry_point": "add",
   "test": "def check(f):\\n    assert f(1, 2) == 3"}       (HumanEval's form; also timeout_s)
  {"id": "q1", "question": "...", "choices": ["...", "..."], "answer": "B"}   ("shot": true: shown)

\b
For example (more in docs/examples: two exams, one in German, and code tasks):
  agent-eval probe docs/examples/code.jsonl --model openai/gpt-4o-mini --samples 20 --set family
  agent-eval stats runs/family --k 10"""


@click.command("probe", epilog=FORM)
@click.argument("files", nargs=-1, required=True, metavar="FILE...",
                type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--model", "-m", "names", multiple=True, required=True,
              help="openai/NAME, control:NAME (of the file's folder), or a name in --models; may "
                   "be given again.")  # fmt: skip
@click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A list of models; see `agent-eval run --help`.")  # fmt: skip
@click.option("--samples", "-n", default=1, type=click.IntRange(1, 10_000), show_default=True,
              help="Answers to each task.")  # fmt: skip
@click.option("--at-once", default=8, type=click.IntRange(1, 256), show_default=True,
              help="Answers that a model is asked for at one time.")  # fmt: skip
@click.option("--runs", default="runs", type=click.Path(file_okay=False, path_type=Path),
              help="Where run folders go.", show_default=True)  # fmt: skip
@click.option("--set", "run_set", metavar="NAME", help="Keep the runs as a set; only what is "
              "missing of it is run.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Only say how many answers there are, and what they cost at worst.")  # fmt: skip
@click.option("--confirm-over", "confirm_over_usd", type=click.FloatRange(0), metavar="USD",
              default=CONFIRM_OVER_USD, show_default=True,
              help="Ask before runs that could cost more.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-M", "arguments", multiple=True, metavar="KEY=VALUE",
              help="What is sent to the model; see `agent-eval run --help`.")  # fmt: skip
@click.option("--runtime", type=click.Choice(["any", "runc", "runsc"]), help="runsc is gVisor.")
@click.option("--usd", help="Dollar limit of each file with each model, or none; usually 1.")
@click.option("--tokens", help="Token limit, or none.")
@click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file of price cards; see `agent-eval run --help`.")  # fmt: skip
def command(
    files: tuple[Path, ...], names: tuple[str, ...], models: Path | None, samples: int,
    at_once: int, runs: Path, run_set: str | None, dry_run: bool, confirm_over_usd: float,
    yes: bool, arguments: tuple[str, ...], runtime: str | None, prices: Path | None,
    **budget: str | None,
) -> None:  # fmt: skip
    """Ask each model the tasks of each FILE, run or mark its answers, and record everything.

    Answers are run in one sandbox, each in a process of its own with a time limit. A file with a
    model is one run; `agent-eval stats` has its rates, `agent-eval forecast fit` takes them.
    """
    catalogue = read_catalogue(models) if models else None
    folder, limiters, cells = folder_of(runs, run_set), Limiters(), []
    probes = [read_probe(file) for file in files]
    for probe, name in product(probes, dict.fromkeys(names)):
        endpoint = endpoint_named(name, catalogue)
        changes = {
            "endpoint": endpoint.arguments if endpoint else {},
            "model": list(arguments),
            "runtime": runtime,
            "budget": budget,
        }
        loaded, changed = laid_over(scenario_of(probe), changes)
        made = partial(choose, name, loaded, prices, limiters, catalogue)
        plan = Plan(
            loaded=loaded,
            model=made(),
            instructions=read_instructions(loaded),
            runs=folder,
            command_line=["agent-eval", *sys.argv[1:]],
            changed=changed | {"probe": {"samples": samples}},
            redactor=guard(loaded, endpoint, None),
            work=Probing(probe, samples, at_once),
        )
        cells.append(Cell(plan, partial(_afresh, plan, made, probe, at_once)))
    answers = sum(len(probe.tasks) for probe in probes) * samples * len(dict.fromkeys(names))
    click.echo(f"answers     {answers}, {samples} to each task")
    asked = Asked(1, None, folder, bool(run_set), confirm_over_usd, yes, dry_run)
    raise click.exceptions.Exit(carried_out(cells, asked, alone=False))


def _afresh(plan: Plan, made: partial[Model], probe: Probe, at_once: int) -> Plan:
    """The plan with a model and counts of its own."""
    samples = plan.changed["probe"]["samples"]
    return replace(plan, model=made(), work=Probing(probe, samples, at_once))
