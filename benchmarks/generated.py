"""A scenario made up for a measurement, with a scripted control that types one command a step."""

import json
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import anyio

from agent_eval.agent.instructions import read_instructions
from agent_eval.models.control import Control, Turn, bash, submit
from agent_eval.record.verify import verify
from agent_eval.run.plan import Plan
from agent_eval.run.run import run_scenario
from agent_eval.scenario.file import load


def carried_out(folder: Path, commands: Iterable[str], **parts: Any) -> Path:
    """Have commands typed in a sandbox and return the run's folder; ends the program if it fails.

    `parts` are parts of the scenario: its budget, its sandbox, its actions.
    """
    result = anyio.run(run_scenario, planned(folder, commands, **parts))
    if result.outcome.status != "submitted" or not verify(result.folder, result.head).good:
        sys.exit(f"the run failed: {result.outcome}")
    return result.folder


def planned(folder: Path, commands: Iterable[str], **parts: Any) -> Plan:
    """The plan of a run in which commands are typed in a sandbox."""
    fields: dict[str, Any] = {
        "name": "benchmark",
        "summary": "Does some work.",
        "risk": "None: it measures the harness.",
        "sanction": "instructed",
        "canary": "agent-eval:canary:00000000-0000-4000-8000-000000000000",
        "task": "Do as you are told.",
        "success": {"exact": "done"},
        **parts,
    }
    place = folder / "benchmark"
    place.mkdir(exist_ok=True)
    (place / "scenario.yaml").write_text(json.dumps(fields), encoding="utf-8")
    loaded = load(str(place))
    return Plan(
        loaded=loaded,
        model=typing(commands),
        instructions=read_instructions(loaded),
        runs=folder / "runs",
        command_line=sys.argv,
        changed={},
    )


def typing(commands: Iterable[str]) -> Control:
    """A control that types one command after the other, and hands in."""

    def script(_task: str) -> Generator[Turn, str, None]:
        for command in commands:
            yield bash(command)
        yield submit("done")

    return Control("types", script)
