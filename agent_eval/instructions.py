"""The prompts in use: the package's own, or those a scenario or the operator put in their place.

Templates are Jinja with strict names: a misspelt one is an error and never an empty string.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from agent_eval.conversation import wire_json
from agent_eval.errors import AgentEvalError, OperatorError, ScenarioError
from agent_eval.resources import prompt_file
from agent_eval.scenario import Budget, Loaded

UNITS = {
    "usd": "{:g} dollars for your own thinking",
    "tokens": "{:,} tokens",
    "output_tokens": "{:,} tokens written",
    "steps": "{} replies",
    "wall_s": "{:g} seconds from start to end",
    "tool_s": "{:g} seconds of actions",
    "output_bytes": "{:,} bytes of output",
}


@dataclass(frozen=True)
class Instructions:
    """What the model is told beside its task."""

    system: str
    nudge: str
    tools: list[dict[str, Any]]
    """Tool definitions in the form of OpenAI's functions."""
    digests: dict[str, str]
    """SHA-256 of each file they came from."""


def read_instructions(loaded: Loaded, system_file: Path | None = None) -> Instructions:
    """Render the prompts; a fault in one raises `ScenarioError`.

    In a file of the operator's own it raises `OperatorError`.
    """
    scenario, own = loaded.scenario, loaded.scenario.prompts
    files = {
        "system": system_file or _file(loaded, own.system, "system.md"),
        "nudge": _file(loaded, own.nudge, "nudge.md"),
        "tools": _file(loaded, own.tools, "tools.yaml"),
    }
    values = {
        "tools": list(scenario.tools),
        "limits": words_for(scenario.budget),
        "fenced": scenario.model.tool_format == "fenced",
    }
    return Instructions(
        system=_rendered(files["system"], values, OperatorError if system_file else ScenarioError),
        nudge=_rendered(files["nudge"], values, ScenarioError),
        tools=_tools(files["tools"], [*scenario.tools, "submit"]),
        digests={
            name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()
        },
    )


def words_for(budget: Budget) -> str:
    """A budget in a sentence; empty if nothing is limited."""
    limits = {name: getattr(budget, name) for name in UNITS}
    return ", ".join(
        UNITS[name].format(value) for name, value in limits.items() if value is not None
    )


def _file(loaded: Loaded, own: str | None, name: str) -> Path:
    return loaded.folder / own if own else prompt_file(name)


def _rendered(file: Path, values: dict[str, Any], fault: type[AgentEvalError]) -> str:
    try:
        text = file.read_text(encoding="utf-8")
        environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
        template: Template = environment.from_string(text)
        return template.render(values).strip()
    except (OSError, TemplateError, TypeError, ValueError, ArithmeticError) as error:
        line = getattr(error, "lineno", None)
        place = f"{file}:{line}" if line else str(file)
        raise fault(
            f"{place}: cannot be used as a prompt: {error}. Known names: {', '.join(values)}"
        ) from error


def _tools(file: Path, names: list[str]) -> list[dict[str, Any]]:
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        tools = [_tool(name, tree[name]) for name in names]
        wire_json(tools)
    except (OSError, YAMLError, KeyError, TypeError, ValueError) as error:
        raise ScenarioError(
            f"{file}: needs description, parameters and required for each of {', '.join(names)} "
            f"({type(error).__name__}: {error})"
        ) from error
    return tools


def _tool(name: str, told: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": dict(told["parameters"]),
        "required": list(told["required"]),
        "additionalProperties": False,
    }
    function = {"name": name, "description": str(told["description"]), "parameters": parameters}
    return {"type": "function", "function": function}
