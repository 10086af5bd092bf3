"""`agent-eval doctor`: what works on this machine, why not, and how to get it."""

import time
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console
from rich.table import Table

from agent_eval.basics.display import printable
from agent_eval.cli import features
from agent_eval.cli.features import Feature
from agent_eval.cli.overrides import limit_of
from agent_eval.cli.probing import CONTEXT_TOKENS, Wish, probe_model
from agent_eval.errors import AgentEvalError, EngineUnavailable
from agent_eval.sandbox.engine import Engine
from agent_eval.sandbox.opening import COMMAND, listening, opened
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import GVISOR, asked_for
from agent_eval.sandbox.sources import chosen
from agent_eval.scenario.model import Sandbox
from agent_eval.world import debs, wheels


@click.command("doctor")
@click.option("--audit", is_flag=True, help="Show the audit of a sandbox in its three columns.")
@click.option("--model", "-m", help="Find out what this model's server can do: openai/NAME, or a "
                                    "name in --models.")  # fmt: skip
@click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A list of models, as for `agent-eval run`.")  # fmt: skip
@click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file of price cards, as for `agent-eval run`.")  # fmt: skip
@click.option("--context", type=click.IntRange(0), metavar="TOKENS",
              help="The longest prompt to try; 0 tries none. Without it the window that the list "
                   f"states, at most {CONTEXT_TOKENS}.")  # fmt: skip
@click.option("--usd", default="1", show_default=True, help="Dollars it may cost, or none.")
def command(
    audit: bool, model: str | None, models: Path | None, prices: Path | None, context: int | None,
    usd: str,
) -> None:  # fmt: skip
    """Say what works on this machine, or with --model what a model's server can do.

    Alone, it starts a sandbox on each runtime, proves that it is locked down, and says what is on
    or off, why, and how to turn it on.

    With --model it asks the server some twenty small things - does it make tool calls, say what
    they used, which field limits a reply, which arguments does it refuse, does it show reasoning -
    and prompts of growing length with a mark at both ends, until one is refused or cut. What that
    may cost at most is said first and held. The answers go into NAME.profile.yaml beside the list
    of models, where runs find and follow it (without --models: into this folder, to be named in a
    list), and from there into the record of every run.
    """
    if model is not None:
        probe_model(Wish(model, models, prices, context, limit_of("usd", usd)))
        return
    found, audits = anyio.run(_examine)
    for feature in found:
        for line in feature.lines():
            click.echo(printable(line))
    if audit:
        for runtime, rows in audits.items():
            _print_audit(runtime, rows)
    if not all(feature.on for feature in found if feature.needed):
        raise EngineUnavailable("this machine cannot run scenarios yet; see what is OFF")


async def _examine() -> tuple[list[Feature], dict[str, list[Row]]]:
    try:
        engine = Engine()
    except EngineUnavailable as error:
        return [features.failed("engine", error, needed=True)], {}
    try:
        facts = await engine.facts()
        image = await _image(engine)
        found = [*features.engine(facts), image]
        audits: dict[str, list[Row]] = {}
        if image.on:
            for name, runtime in (("runc", "runc"), ("gVisor", GVISOR)):
                found += await _runtime(engine, facts, name, runtime, audits)
                found += features.limits(name, audits.get(name, []))
        found += [features.kernel_record(facts), features.checkpoints(facts)]
        for client, offered in (("pip", wheels.on_offer()), ("apt-get", debs.on_offer())):
            found.append(features.packages(client, [each.package for each in offered]))
        return found, audits
    finally:
        engine.close()


async def _image(engine: Engine) -> Feature:
    try:
        image = await engine.image(Sandbox().image)
    except EngineUnavailable as error:
        return features.failed("image", error, needed=True)
    words = f"{image['name']}, content {image['layers'][-1][:19]}"
    return Feature("image", True, words, needed=True)


async def _runtime(
    engine: Engine, facts: dict[str, Any], name: str, runtime: str, audits: dict[str, list[Row]]
) -> list[Feature]:
    needed = runtime != GVISOR
    if runtime not in facts["runtimes"]:
        why = f"the engine has no runtime {runtime}"
        return [Feature(name, False, why, features.ADD_RUNTIMES, needed)]
    asked = asked_for(Sandbox(), "doctor", runtime, int(time.time()) + 600)
    container = await engine.create(asked, COMMAND)
    # Under runc a record takes another runtime; see features.kernel_record.
    record = None if needed else chosen(Sandbox(runtime="runsc"), facts)
    source = record.source if record else None
    try:
        with listening(source, container):
            async with opened(container, asked, 65536, source=source) as sandbox:
                audits[name] = sandbox.audit
                absent = [row.setting for row in sandbox.audit if row.note]
                words = f"{len(sandbox.audit)} settings as asked, ready in {sandbox.ready_s:.2f} s"
                words += f"; see --audit for {', '.join(absent)}" if absent else ""
                found = [Feature(name, True, words, needed=needed)]
                return [*found, features.gvisor_record(record)] if record else found
    except AgentEvalError as error:
        return [features.failed(name, error, needed=needed)]
    finally:
        await container.remove()


def _print_audit(runtime: str, rows: list[Row]) -> None:
    table = Table(title=runtime, title_justify="left")
    for column in ("setting", "asked", "engine states", "measured inside", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = (row.setting, row.asked, row.stated, row.measured, "ok" if row.ok else "WRONG")
        table.add_row(*(printable("" if cell is None else str(cell)) for cell in cells))
        if row.note:
            table.add_row("", printable(row.note))
    Console(highlight=False, markup=False, emoji=False).print(table)
