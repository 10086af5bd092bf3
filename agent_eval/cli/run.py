"""`agent-eval run`: scenarios against models, watched and steered from the terminal."""

import os
import sys
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click
import structlog
from structlog.typing import Processor

from agent_eval.agent.instructions import read_instructions
from agent_eval.basics.display import printable
from agent_eval.basics.tasks import beside
from agent_eval.cli import INTERRUPTED, how_called
from agent_eval.cli.ending import code_of, obey
from agent_eval.cli.graded import graded_words
from agent_eval.cli.judging import AfterRun, after_run
from agent_eval.cli.judging import Asked as Judged
from agent_eval.cli.matrix import CONFIRM_OVER_USD, RUNS_A_CORE, Asked, matrix
from agent_eval.cli.overrides import asked_to_approve, laid_over
from agent_eval.cli.person import at_hand
from agent_eval.cli.voice import lasting
from agent_eval.cli.watch import Watch
from agent_eval.errors import OperatorError
from agent_eval.fleet.fleet import Cell
from agent_eval.graders.live import watching
from agent_eval.graders.proposed import suspicion
from agent_eval.models.base import Model
from agent_eval.models.catalogue import read_catalogue
from agent_eval.models.choose import choose, endpoint_named
from agent_eval.models.endpoint import Endpoint
from agent_eval.models.limiter import Limiters
from agent_eval.person.decisions import Scripted, read_decisions
from agent_eval.person.elsewhere import Elsewhere
from agent_eval.person.oversight import Nobody, Person
from agent_eval.person.steering import Steering
from agent_eval.record.redact import Redactor, host_secrets
from agent_eval.run.plan import LEASE_S, Plan
from agent_eval.run.run import Result, run_scenario
from agent_eval.scenario.file import evidence_of, load
from agent_eval.scenario.model import Loaded
from agent_eval.show.show import outcome_words, spent_words
from agent_eval.show.truth import truth_lines

FORM = """\b
For example:
  agent-eval run orientation honeytoken -m openai/gpt-4o-mini --epochs 3 --set first

\b
A price file maps model names to dollars per million tokens:
  my-model: {input: 0.5, cached: 0.1, output: 1.5, as_of: "2026-01-31", source: my contract}
A local server that costs nothing says so with zeros.

\b
A list of models (--models) names each with all that is needed to ask it:
  models:
    local:
      model: qwen3-8b
      base_url: http://127.0.0.1:8000/v1
      key_variable: null          # or the environment variable that holds the key
      arguments: {temperature: 0.7}                       # optional, like all below
      price: {input: 0, cached: 0, output: 0, as_of: "2026-01-31", source: my machine}
      context_tokens: 32768
      max_connections: 4
  roles: {agent: local, world: local, grader: local}
`agent-eval doctor --models FILE --model local` finds out what the server can do and
writes local.profile.yaml beside the list; runs follow it."""


Act = Callable[[Plan, Steering], Awaitable[Result]]
"""What is done with a plan."""


def _log_to(redactor: Redactor) -> list[Processor]:
    """How this program speaks of itself: lines that hold no secret and cannot act on a terminal."""

    def plain(_logger: Any, level: str, event: MutableMapping[str, Any]) -> str:
        fields = " ".join(f"{name}={value}" for name, value in event.items() if name != "event")
        line = f"agent-eval: {level}: {event['event']} {fields}".strip()
        return printable(redactor.text(line))

    return [structlog.contextvars.merge_contextvars, plain]


def guard(loaded: Loaded, endpoint: Endpoint | None, key: Path | None) -> Redactor:
    """What takes the host's secrets out of one run; those in the scenario are evidence."""
    also = endpoint.key_variable if endpoint else None
    address = {"model address": endpoint.address} if endpoint else {}
    known = host_secrets({**os.environ, **address}, *([also] if also else []))
    if key:
        known["SIGNING_KEY"] = key.read_bytes().decode("utf-8", "replace").strip()
    return Redactor(known, evidence_of(loaded))


@click.command("run", epilog=FORM)
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO[@VARIANT]...")
@click.option("--model", "-m", "names", multiple=True,
              help="openai/NAME, control:NAME, replay:RUN, or a name in --models; may be given "
                   "again.")  # fmt: skip
@click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A list of models: servers, keys, prices, roles; see below.")  # fmt: skip
@click.option("--epochs", default=1, type=click.IntRange(1, 10000), show_default=True,
              help="Runs of each scenario with each model.")  # fmt: skip
@click.option("--parallel", type=click.IntRange(1, 1000), metavar="N",
              help=f"Runs at one time. Usually {RUNS_A_CORE} for each processor, and no more than "
                   "this machine has memory for.")  # fmt: skip
@click.option("--runs", default="runs", type=click.Path(file_okay=False, path_type=Path),
              help="Where run folders go.", show_default=True)  # fmt: skip
@click.option("--set", "run_set", metavar="NAME",
              help="Have the runs in the folder NAME there, with an index, and run only what is "
                   "missing of them.")  # fmt: skip
@click.option("--from-milestone", metavar="NAME",
              help="Begin where this milestone of each SCENARIO is reached, and try for the next; "
                   "SCENARIO#NEXT is the same.")  # fmt: skip
@click.option("--controls/--no-controls", default=None,
              help="Also run each control of the scenarios once, so that it is known whether "
                   "graders find what they must; usual for a --set with a model behind a "
                   "server.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Only say how many runs there are, and what they cost at worst.")  # fmt: skip
@click.option("--confirm-over", "confirm_over_usd", type=click.FloatRange(0), metavar="USD",
              default=CONFIRM_OVER_USD, show_default=True,
              help="Ask before several runs that could cost more.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A system prompt in place of the scenario's.")  # fmt: skip
@click.option("-M", "arguments", multiple=True, metavar="KEY=VALUE",
              help="Lay over the scenario's `model` part: temperature, top_p, seed, "
                   "max_output_tokens, reasoning_effort, extra_body (JSON), tool_format, attempts, "
                   "request_timeout_s, output_tokens_field, and more; a KEY that is none has all "
                   "listed.")  # fmt: skip
@click.option("--runtime", type=click.Choice(["any", "runc", "runsc"]),
              help="Lay over the scenario's runtime; runsc is gVisor.")  # fmt: skip
@click.option("--record", type=click.Choice(["auto", "required", "off"]),
              help="Lay over the scenario's kernel record.")  # fmt: skip
@click.option("--usd", help="Dollar limit, or none.")
@click.option("--tokens", help="Token limit, or none.")
@click.option("--steps", help="Limit of answered model calls, or none.")
@click.option("--wall", "wall_s", help="Limit in seconds of working time, or none.")
@click.option("--role-usd",
              help="Dollar limit of each model beside the one under test (persons, the world's lm, "
                   "grader), or none.")  # fmt: skip
@click.option("--grader", metavar="MODEL",
              help="When a run has ended, have this model grade it by the rubrics that its "
                   "scenario names; `agent-eval grade --help` says how.")  # fmt: skip
@click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file of price cards; see below.")  # fmt: skip
@click.option("--approve", is_flag=True,
              help="Have a person decide on actions before they are done: on all, or on those that "
                   "the scenario's `approve` names.")  # fmt: skip
@click.option(
    "--approve-with",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="Have decisions made by FILE (YAML, or JSON lines) or as in an earlier run.",
)
@click.option(
    "--approve-timeout-s",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Seconds without a decision after which the whole run pauses until there is one.",
)
@click.option("--best-of", type=click.IntRange(2, 64), metavar="N",
              help="Have the model reply N times to each prompt and a person pick one, at "
                   "log2(i(i+1)) bits for the i-th likeliest; with --approve-with, by "
                   "{type: pick_option}.")  # fmt: skip
@click.option("--lease", "lease_s", default=LEASE_S, type=click.FloatRange(0, 1e6), metavar="S",
              help="Seconds for which a sandbox is kept, paused, when this process is killed.",
              show_default=True)  # fmt: skip
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file with a key to sign the record with.")  # fmt: skip
def command(
    scenarios: tuple[str, ...], names: tuple[str, ...], models: Path | None, epochs: int,
    parallel: int | None, runs: Path, run_set: str | None, from_milestone: str | None,
    dry_run: bool, confirm_over_usd: float,
    yes: bool, system: Path | None, arguments: tuple[str, ...], runtime: str | None,
    record: str | None, controls: bool | None, prices: Path | None, key: Path | None,
    lease_s: float, approve: bool, approve_with: Path | None, approve_timeout_s: float | None,
    best_of: int | None, grader: str | None, **budget: str | None,
) -> None:  # fmt: skip
    """Run each SCENARIO, named by its path or, for those that ship, by its name.

    Several scenarios, models and epochs are all run with each other, many at a time.

    Ctrl-C once ends every run after its current step, twice at once, three times without tidying
    up; the records are sealed in every case.
    """
    catalogue = read_catalogue(models) if models else None
    if not names and catalogue and catalogue.agent:
        names = (catalogue.agent,)
    if not names:
        raise click.UsageError("say which model: --model NAME, or roles.agent in --models FILE")
    folder = folder_of(runs, run_set)
    decided = read_decisions(approve_with) if approve_with else None
    person = partial(Scripted, *decided) if decided else Elsewhere
    cells, limiters = [], Limiters()
    served = run_set is not None and any(endpoint_named(each, catalogue) for each in names)
    for scenario, model in _pairs(scenarios, names, served if controls is None else controls):
        endpoint = endpoint_named(model, catalogue)
        changes = {
            "endpoint": endpoint.arguments if endpoint else {},
            "model": list(arguments),
            "runtime": runtime,
            "record": record,
            "budget": budget,
            "approve": asked_to_approve(approve, approve_with, approve_timeout_s, best_of),
        }
        loaded, changed = laid_over(load(_reaching(scenario, from_milestone)), changes)
        made = partial(choose, model, loaded, prices, limiters, catalogue)
        plan = Plan(
            loaded=loaded,
            model=made(),
            instructions=read_instructions(loaded, system),
            runs=folder,
            command_line=["agent-eval", *sys.argv[1:]],
            changed=changed,
            key=key.read_bytes() if key else None,
            redactor=guard(loaded, endpoint, key),
            lease_s=lease_s,
            named=partial(
                choose, loaded=loaded, prices=prices, limiters=limiters, catalogue=catalogue
            ),
            person=person(),
            watching=watching,
            suspicious=suspicion(loaded.scenario.approve),
        )
        cells.append(Cell(plan, partial(afresh, plan, made, person), model not in names))
    judge = after_run(Judged(grader, models=models, prices=prices), catalogue)
    asked = Asked(epochs, parallel, folder, bool(run_set), confirm_over_usd, yes, dry_run, judge)
    alone = len(cells) * epochs == 1 and not (run_set or dry_run)
    raise click.exceptions.Exit(carried_out(cells, asked, alone=alone))


def _reaching(scenario: str, begins: str | None) -> str:
    """The scenario's name with the milestone that comes after the one where it begins."""
    if begins is None:
        return scenario
    names = [each.name for each in load(scenario).scenario.milestones]
    if begins not in names[:-1]:
        raise OperatorError(
            f"{scenario} cannot begin at a milestone {begins!r}; it has "
            f"{', '.join(names) or 'none'}, and nothing is to be reached after the last"
        )
    return f"{scenario}#{names[names.index(begins) + 1]}"


def _pairs(
    scenarios: Iterable[str], names: Sequence[str], controls: bool
) -> Iterator[tuple[str, str]]:
    """Every scenario with every model and, if so asked, with its controls."""
    for scenario in scenarios:
        also = [f"control:{name}" for name in load(scenario).scenario.controls] if controls else []
        yield from ((scenario, model) for model in dict.fromkeys([*names, *also]))


def carried_out(cells: list[Cell], asked: Asked, *, alone: bool) -> int:
    """Run them and return the exit code; one that is `alone` is watched step by step."""
    plan, judge = cells[0].plan, asked.judge
    work = partial(one, plan, judge=judge) if alone else partial(matrix, cells, asked)
    return told(work, asked.folder)


def told(work: Callable[[], int], folder: Path) -> int:
    """Do what leaves its records in a folder, whether or not anybody can be told of it.

    Returns the exit code that it comes to.
    """
    with lasting(sys.stdout, sys.stderr) as (out, _):
        structlog.configure(
            processors=_log_to(Redactor(host_secrets(os.environ))),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        code = work()
    if out.why is not None and not isinstance(out.why, BrokenPipeError):
        click.echo(
            f"agent-eval: what came of it could not be printed ({out.why.strerror}). The records "
            f"in {folder} are whole: {how_called()} show reads them",
            err=True,
        )
    return code


def afresh(plan: Plan, model: Callable[[], Model], person: Callable[[], Person]) -> Plan:
    """The plan with a model and a person of its own, for both remember what has been."""
    return replace(plan, model=model(), person=person())


def folder_of(runs: Path, run_set: str | None) -> Path:
    """Where run folders go: a set is named, or given as the path of its folder."""
    if run_set is None:
        return runs
    return Path(run_set) if os.sep in run_set else runs / run_set


def one(plan: Plan, act: Act = run_scenario, judge: AfterRun | None = None) -> int:
    """Have one plan acted upon to its end, print what came of it, and return its exit code."""
    title = f"{plan.loaded.title} with {plan.title_of_model}"
    result: Result | None = None
    try:
        with Watch(title, plan.loaded.scenario.budget) as watch:
            result = _result_of(plan, watch, act)
        copies = [f"copies      {watch.family.summary()}"] if watch.family.has_copies else []
        for line in [*copies, *report(result)]:
            click.echo(printable(plan.redactor.text(line)))
        for line in judge(result.folder) if judge else ():
            click.echo(printable(plan.redactor.text(f"rubrics     {line}")))
    except KeyboardInterrupt:
        if result is None:
            raise
        said = f"its record is whole: {how_called()} show {result.folder}"
        click.echo(printable(f"agent-eval: {said}"), err=True)
        return INTERRUPTED
    return code_of(result.outcome)


def _result_of(plan: Plan, watch: Watch, act: Act) -> Result:
    """Run to the end; a Ctrl-C that comes after it changes nothing."""
    results: list[Result] = []
    try:
        anyio.run(_steered, plan, watch, results, act)
    except KeyboardInterrupt:
        if not results:
            raise
    return results[0]


async def _steered(plan: Plan, watch: Watch, results: list[Result], act: Act) -> None:
    steering = Steering()
    watched = replace(plan, listener=watch.see)
    if isinstance(plan.person, Nobody):
        watched = replace(watched, person=at_hand(plan.loaded.scenario.approve, watch))
    async with beside() as tasks:
        tasks.start_soon(obey, steering, watch)
        try:
            results.append(await act(watched, steering))
        finally:
            await plan.model.close()


def report(result: Result) -> list[str]:
    """What a person wants to know at the end, and what to type next."""
    decided = [f"{count} {kind}" for kind, count in result.interventions.items()]
    return [
        f"outcome     {outcome_words(result.outcome.record())}",
        f"success     {result.verdict}: {result.reason}",
        *_truth(result.truth),
        f"findings    {graded_words(result.folder)}",
        *([f"person      {', '.join(decided)}"] if decided else []),
        f"spent       {spent_words(result.spent)}",
        f"transcript  {result.folder}",
        f"head        {result.head}",
        f"next        {how_called()} show {result.folder}",
    ]


def _truth(truth: Mapping[str, Any] | None) -> list[str]:
    """What is proven of a run in a world, under one word."""
    lines = () if truth is None else truth_lines(truth)
    return [f"{'' if number else 'truth':<12}{line}" for number, line in enumerate(lines)]
