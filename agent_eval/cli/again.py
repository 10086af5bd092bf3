"""What `resume`, `replay` and `branch` have in common: a run's plan, taken from its own record."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from agent_eval.agent.instructions import Instructions, read_instructions
from agent_eval.agent.redo import Redo, patterns
from agent_eval.cli.run import guard
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.graders.live import watching
from agent_eval.graders.proposed import suspicion
from agent_eval.models.catalogue import read_catalogue
from agent_eval.models.choose import choose, endpoint_named
from agent_eval.person.decisions import Scripted, read_decisions
from agent_eval.person.oversight import Nobody
from agent_eval.record.rebuild import RunState
from agent_eval.record.redact import Redactor
from agent_eval.run.plan import LEASE_S, Plan
from agent_eval.scenario.file import load
from agent_eval.scenario.model import Loaded, Scenario

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A list of models, as in `run`."),
    click.option("--scenario", help="Where the scenario is now, if it is not where it was."),
    click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A file of price cards, as in `run`."),
    click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A file with a key to sign the record with."),
    click.option("--lease", "lease_s", default=LEASE_S, type=click.FloatRange(0, 1e6), metavar="S",
                 help="As in `run`.", show_default=True),
    click.option("--ignore", multiple=True, metavar="REGEX",
                 help="What does not matter in compared output; may be given again."),
    click.option("--allow-differences", is_flag=True,
                 help="Go on though actions that are done again come out otherwise."),
    click.option("--approve-with", type=click.Path(exists=True, path_type=Path), metavar="FILE",
                 help="Decisions, as in `run`; those taken up to there are left out."),
)  # fmt: skip


def goes_on(command: F) -> F:
    """Give a command the options that all have which go on with a run."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Wanted:
    """What the command line says beside the run; what is left out is as in the record."""

    scenario: str | None = None
    """Where the scenario is now, if it is not where it was."""
    model: str | None = None
    models: Path | None = None
    prices: Path | None = None
    system: Path | None = None
    key: Path | None = None
    lease_s: float = LEASE_S
    runs: Path | None = None
    approve_with: Path | None = None
    """Decisions, of which those that the record has taken are left out."""
    changes: bool = False
    """Whether model and system prompt may be others than the run had."""


def recorded_scenario(opened: dict[str, Any]) -> Loaded:
    """The scenario as it was run, by the record alone: its folder may be gone."""
    about = opened["scenario"]
    try:
        return Loaded(
            scenario=Scenario.model_validate(about["resolved"]),
            folder=Path(about.get("folder") or "."),
            variant=about.get("variant"),
            milestone=about.get("milestone"),
            file_digests=about["files"],
        )
    except (KeyError, ValidationError) as error:
        raise TranscriptBroken(f"the record has no scenario that can be read: {error}") from error


def scenario_again(opened: dict[str, Any], place: str | None) -> Loaded:
    """The scenario with its folder, which must be what it was."""
    if "probe" in opened["asked"].get("command_line", {}):
        raise OperatorError(
            "a probe is not gone on with: type its `agent-eval probe ... --set NAME` again, which "
            "runs what is missing"
        )
    recorded = recorded_scenario(opened)
    name = place or str(recorded.folder)
    if place is None and recorded.variant:
        name += f"@{recorded.variant}"
    if place is None and recorded.milestone:
        name += f"#{recorded.milestone}"
    loaded = load(name).model_copy(update={"scenario": recorded.scenario})
    if loaded.digest != opened["scenario"]["digest"]:
        raise OperatorError(
            f"the scenario in {loaded.folder} is not the one that was run: its files have changed "
            "since. Put them back, or say where they are with --scenario"
        )
    return loaded


def plan_again(folder: Path, state: RunState, wanted: Wanted, at: int | None = None) -> Plan:
    """All that a run is made of, to go on with it from event `at`, or from where it ends."""
    opened = state.opened
    loaded = scenario_again(opened, wanted.scenario)
    catalogue = read_catalogue(wanted.models) if wanted.models else None
    name = wanted.model or opened["model"]["name"].removeprefix("self-hosted ")
    endpoint = endpoint_named(name, catalogue)
    return Plan(
        loaded=loaded,
        model=choose(name, loaded, wanted.prices, None, catalogue),
        named=partial(choose, loaded=loaded, prices=wanted.prices, catalogue=catalogue),
        instructions=_instructions(loaded, opened, wanted),
        runs=wanted.runs or folder.absolute().parent,
        command_line=["agent-eval", *sys.argv[1:]],
        changed=opened["asked"].get("command_line", {}),
        key=wanted.key.read_bytes() if wanted.key else None,
        redactor=guard(loaded, endpoint, wanted.key),
        lease_s=wanted.lease_s,
        person=_decided(wanted.approve_with, folder, at) if wanted.approve_with else Nobody(),
        watching=watching,
        suspicious=suspicion(loaded.scenario.approve),
    )


def _decided(file: Path, folder: Path, at: int | None) -> Scripted:
    person = Scripted(*read_decisions(file))
    person.go_on(folder, at)
    return person


def _instructions(loaded: Loaded, opened: dict[str, Any], wanted: Wanted) -> Instructions:
    """The prompts, which must be those that were in use."""
    instructions = read_instructions(loaded, wanted.system)
    now, then = instructions.digests, opened["prompts"]
    changed = [name for name in now if now[name] != then.get(name)]
    if changed == ["system"] and not wanted.system:
        raise OperatorError("the run had a system prompt of its own; give it again with --system")
    if changed and not (changed == ["system"] and wanted.changes):
        raise OperatorError(f"prompts have changed since the run began: {', '.join(changed)}")
    return instructions


def redo_of(folder: Path, redactor: Redactor, ignore: Sequence[str]) -> Redo:
    """How recorded actions are to be done again; raises `OperatorError` for a bad pattern."""
    try:
        return Redo(folder, redactor, patterns(ignore))
    except re.error as error:
        raise OperatorError(f"--ignore: no regular expression: {error}") from error
