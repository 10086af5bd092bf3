"""`agent-eval doctor`: what works on this machine, why not, and how to get it."""

import time
from dataclasses import dataclass
from typing import Any

import anyio
import click
from rich.console import Console
from rich.table import Table

from agent_eval.display import printable
from agent_eval.errors import AgentEvalError, EngineUnavailable
from agent_eval.sandbox.container import COMMAND, opened
from agent_eval.sandbox.engine import HOW_TO_GET_ONE, Engine
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import GVISOR, asked_for
from agent_eval.scenario import Sandbox


@dataclass(frozen=True)
class Feature:
    """One thing that is on or off."""

    name: str
    on: bool
    words: str


@click.command("doctor")
@click.option("--audit", is_flag=True, help="Show the audit of a sandbox in its three columns.")
def command(audit: bool) -> None:
    """Start a sandbox on each runtime, prove that it is locked down, and say what is on or off."""
    features, audits = anyio.run(_examine)
    for feature in features:
        click.echo(printable(f"{'on ' if feature.on else 'OFF'}  {feature.name}: {feature.words}"))
    if audit:
        for runtime, rows in audits.items():
            _print_audit(runtime, rows)
    if not all(feature.on for feature in features if feature.name != "gVisor"):
        raise EngineUnavailable("this machine cannot run scenarios yet; see what is OFF")


async def _examine() -> tuple[list[Feature], dict[str, list[Row]]]:
    try:
        engine = Engine()
    except EngineUnavailable as error:
        return [Feature("engine", False, str(error))], {}
    try:
        facts = await engine.facts()
        words = f"Docker {facts['engine']} on {facts['system']}, kernel {facts['kernel']}"
        features = [Feature("engine", True, words), await _image(engine)]
        audits: dict[str, list[Row]] = {}
        if features[-1].on:
            for name, runtime in (("runc", "runc"), ("gVisor", GVISOR)):
                features.append(await _runtime(engine, facts, name, runtime, audits))
        return features, audits
    finally:
        engine.close()


async def _image(engine: Engine) -> Feature:
    try:
        image = await engine.image(Sandbox().image)
    except EngineUnavailable as error:
        return Feature("image", False, str(error))
    return Feature("image", True, f"{image['name']}, content {image['layers'][-1][:19]}")


async def _runtime(
    engine: Engine, facts: dict[str, Any], name: str, runtime: str, audits: dict[str, list[Row]]
) -> Feature:
    if runtime not in facts["runtimes"]:
        how = "`agent-eval setup --runtimes` adds it where gVisor is installed"
        return Feature(name, False, f"the engine has no runtime {runtime}; {how}")
    asked = asked_for(Sandbox(), "doctor", runtime, int(time.time()) + 600)
    container = await engine.create(asked, COMMAND)
    try:
        async with opened(container, asked, 65536) as sandbox:
            audits[name] = sandbox.audit
            absent = [row.setting for row in sandbox.audit if row.note]
            words = f"{len(sandbox.audit)} settings as asked, ready in {sandbox.ready_s:.2f} s"
            return Feature(name, True, words + (f"; see {', '.join(absent)}" if absent else ""))
    except AgentEvalError as error:
        return Feature(name, False, f"{error}. {HOW_TO_GET_ONE}")
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
