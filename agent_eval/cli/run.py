"""`agent-eval run`: scenarios against a model, watched and steered from the terminal."""

import os
import signal
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import anyio
import click
import structlog
from structlog.typing import Processor

from agent_eval.cli import (
    FINISHED,
    INFRASTRUCTURE,
    INTERRUPTED,
    LIMIT,
    OPERATOR,
    how_called,
)
from agent_eval.cli.overrides import asked_to_approve, laid_over
from agent_eval.cli.person import at_hand
from agent_eval.cli.voice import lasting
from agent_eval.cli.watch import Watch
from agent_eval.decisions import Scripted, read_decisions
from agent_eval.display import printable
from agent_eval.errors import Blame
from agent_eval.instructions import read_instructions
from agent_eval.models.catalogue import read_catalogue
from agent_eval.models.choose import choose, endpoint_named
from agent_eval.models.endpoint import Endpoint
from agent_eval.models.limiter import Limiters
from agent_eval.outcome import Outcome
from agent_eval.oversight import Nobody
from agent_eval.plan import LEASE_S, Plan
from agent_eval.redact import Redactor, host_secrets
from agent_eval.run import Result, run_scenario
from agent_eval.scenario import Loaded
from agent_eval.scenario_file import evidence_of, load
from agent_eval.show import outcome_words, spent_words
from agent_eval.steering import Steering
from agent_eval.tasks import beside

PRICES_FORM = """\b
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


def _log_to(redactor: Redactor) -> list[Processor]:
    """How this program speaks of itself: lines that hold no secret and cannot act on a terminal."""

    def plain(_logger: Any, level: str, event: MutableMapping[str, Any]) -> str:
        fields = " ".join(f"{name}={value}" for name, value in event.items() if name != "event")
        line = f"agent-eval: {level}: {event['event']} {fields}".strip()
        return printable(redactor.text(line))

    return [structlog.contextvars.merge_contextvars, plain]


def _guard(loaded: Loaded, endpoint: Endpoint | None, key: Path | None) -> Redactor:
    """What takes the host's secrets out of one run; those in the scenario are evidence."""
    also = endpoint.key_variable if endpoint else None
    address = {"model address": endpoint.address} if endpoint else {}
    known = host_secrets({**os.environ, **address}, *([also] if also else []))
    if key:
        known["SIGNING_KEY"] = key.read_bytes().decode("utf-8", "replace").strip()
    return Redactor(known, evidence_of(loaded))


@click.command("run", epilog=PRICES_FORM)
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO[@VARIANT]...")
@click.option("--model", "-m",
              help="openai/NAME, control:NAME, replay:RUN, or a name in --models.")  # fmt: skip
@click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A list of models: servers, keys, prices, roles; see below.")  # fmt: skip
@click.option("--epochs", default=1, type=click.IntRange(1, 10000), help="Runs of each scenario.")
@click.option("--runs", default="runs", type=click.Path(file_okay=False, path_type=Path),
              help="Where run folders go.", show_default=True)  # fmt: skip
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A system prompt in place of the scenario's.")  # fmt: skip
@click.option("-M", "arguments", multiple=True, metavar="KEY=VALUE",
              help="Lay over the scenario's `model` part: temperature, top_p, seed, "
                   "max_output_tokens, reasoning_effort, extra_body (JSON), tool_format, attempts, "
                   "request_timeout_s, output_tokens_field, and more (README).")  # fmt: skip
@click.option("--runtime", type=click.Choice(["any", "runc", "runsc"]),
              help="Lay over the scenario's runtime; runsc is gVisor.")  # fmt: skip
@click.option("--record", type=click.Choice(["auto", "required", "off"]),
              help="Lay over the scenario's kernel record.")  # fmt: skip
@click.option("--usd", help="Dollar limit, or none.")
@click.option("--tokens", help="Token limit, or none.")
@click.option("--steps", help="Limit of answered model calls, or none.")
@click.option("--wall", "wall_s", help="Limit in seconds from start to end, or none.")
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
@click.option("--lease", "lease_s", default=LEASE_S, type=click.FloatRange(0, 1e6), metavar="S",
              help="Seconds for which a sandbox is kept, paused, when this process is killed.",
              show_default=True)  # fmt: skip
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file with a key to sign the record with.")  # fmt: skip
def command(
    scenarios: tuple[str, ...], model: str | None, models: Path | None, epochs: int, runs: Path,
    system: Path | None, arguments: tuple[str, ...], runtime: str | None, record: str | None,
    prices: Path | None, key: Path | None, lease_s: float, approve: bool,
    approve_with: Path | None, approve_timeout_s: float | None, **budget: str | None,
) -> None:  # fmt: skip
    """Run each SCENARIO, named by its path or, for those that ship, by its name.

    Ctrl-C once ends the run after its current step, twice at once, three times without tidying up;
    the record is sealed in every case.
    """
    catalogue = read_catalogue(models) if models else None
    model = model or (catalogue.agent if catalogue else None)
    if model is None:
        raise click.UsageError("say which model: --model NAME, or roles.agent in --models FILE")
    endpoint = endpoint_named(model, catalogue)
    changes = {
        "endpoint": endpoint.arguments if endpoint else {},
        "model": list(arguments),
        "runtime": runtime,
        "record": record,
        "budget": budget,
        "approve": asked_to_approve(approve, approve_with, approve_timeout_s),
    }
    decided = read_decisions(approve_with) if approve_with else None
    planned, limiters = [], Limiters()
    for name in scenarios:
        loaded, changed = laid_over(load(name), changes)
        for _ in range(epochs):
            plan = Plan(
                loaded=loaded,
                model=choose(model, loaded, prices, limiters, catalogue),
                instructions=read_instructions(loaded, system),
                runs=runs,
                command_line=["agent-eval", *sys.argv[1:]],
                changed=changed,
                key=key.read_bytes() if key else None,
                redactor=_guard(loaded, endpoint, key),
                lease_s=lease_s,
                person=Scripted(*decided) if decided else Nobody(),
            )
            planned.append(plan)
    with lasting(sys.stdout, sys.stderr) as (out, _):
        structlog.configure(
            processors=_log_to(Redactor(host_secrets(os.environ))),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        code = every(planned)
    if out.why is not None and not isinstance(out.why, BrokenPipeError):
        click.echo(
            f"agent-eval: what came of it could not be printed ({out.why.strerror}). The records "
            f"in {runs} are whole: {how_called()} show reads them",
            err=True,
        )
    raise click.exceptions.Exit(code)


def every(planned: list[Plan]) -> int:
    """Run the plans in their order until a person ends one; return the highest exit code."""
    codes = []
    for index, plan in enumerate(planned):
        codes.append(one(plan, index, len(planned)))
        if codes[-1] == INTERRUPTED:
            break
    if left := len(planned) - len(codes):
        click.echo(f"not run     {left} more")
    return max(codes)


def one(plan: Plan, index: int, count: int) -> int:
    """Run one plan to its end, print what came of it, and return its exit code."""
    title = f"{plan.loaded.title} with {plan.model.name}" + (
        f" ({index + 1}/{count})" if count > 1 else ""
    )
    with Watch(title, plan.loaded.scenario.budget) as watch:
        result = _result_of(plan, watch)
    for line in report(result):
        click.echo(printable(plan.redactor.text(line)))
    return code_of(result.outcome)


def _result_of(plan: Plan, watch: Watch) -> Result:
    """Run to the end; a Ctrl-C that comes after it changes nothing."""
    results: list[Result] = []
    try:
        anyio.run(_steered, plan, watch, results)
    except KeyboardInterrupt:
        if not results:
            raise
    return results[0]


async def _steered(plan: Plan, watch: Watch, results: list[Result]) -> None:
    steering = Steering()
    changes: dict[str, Any] = {"listener": watch.see}
    if isinstance(plan.person, Nobody):
        changes["person"] = at_hand(plan.loaded.scenario.approve, watch)
    watched = Plan(**(vars(plan) | changes))
    async with beside() as tasks:
        tasks.start_soon(_obey, steering, watch)
        try:
            results.append(await run_scenario(watched, steering))
        finally:
            await plan.model.close()


async def _obey(steering: Steering, watch: Watch) -> None:
    """Ctrl-C: once drains, twice cancels, three times abandons; each says so.

    A terminal that closes and a machine that goes down ask no second time.
    """
    steps = [
        (steering.drain, "ending after this step; Ctrl-C again ends at once"),
        (steering.cancel, "ending at once; Ctrl-C again leaves the sandbox to the watchdog"),
        (steering.abandon, "leaving; the record is sealed, the watchdog removes the sandbox"),
    ]
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        ends.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*ends) as signals:
        async for each in signals:
            if each is not signal.SIGINT and not steering.stopping:
                del steps[0]
            act, words = steps.pop(0) if len(steps) > 1 else steps[0]
            watch.say(words)
            act()


def code_of(outcome: Outcome) -> int:
    """The exit code for an outcome."""
    if outcome.status in ("stopped", "cancelled"):
        return INTERRUPTED
    if outcome.blame is None:
        return FINISHED
    codes = {
        Blame.MODEL: FINISHED,
        Blame.LIMIT: LIMIT,
        Blame.OPERATOR: OPERATOR,
        Blame.SCENARIO: OPERATOR,
        Blame.INFRASTRUCTURE: INFRASTRUCTURE,
    }
    return codes[Blame(outcome.blame)]


def report(result: Result) -> list[str]:
    """What a person wants to know at the end, and what to type next."""
    decided = [f"{count} {kind}" for kind, count in result.interventions.items()]
    return [
        f"outcome     {outcome_words(result.outcome.record())}",
        f"success     {result.verdict}: {result.reason}",
        *([f"person      {', '.join(decided)}"] if decided else []),
        f"spent       {spent_words(result.spent)}",
        f"transcript  {result.folder}",
        f"head        {result.head}",
        f"next        {how_called()} show {result.folder}",
    ]
