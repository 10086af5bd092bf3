"""The prompts in use: the package's own, or those a scenario or the operator put in their place.

Templates are Jinja with strict names: a misspelt one is an error and never an empty string.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from agent_eval.basics.conversation import wire_json
from agent_eval.basics.resources import prompt_file
from agent_eval.errors import AgentEvalError, OperatorError, ScenarioError
from agent_eval.record.budget import plain
from agent_eval.scenario.model import Loaded

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
    """The first agent's frame."""
    nudge: str
    tools: list[dict[str, Any]]
    """Tool definitions in the form of OpenAI's functions."""
    digests: dict[str, str]
    """SHA-256 of each file they came from."""
    frame: Callable[[str, str], str]
    """The frame for limits in words, of the `first` agent or of a `copy`."""

    def for_copy(self, granted: Mapping[str, Any]) -> str:
        """The frame of a copy with these limits."""
        return self.frame(words_for(granted), "copy")


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
    limits = words_for(scenario.budget.model_dump())
    values = {
        "tools": list(scenario.offered),
        "limits": limits,
        "fenced": scenario.model.tool_format == "fenced",
        "delegation": scenario.delegation,
        "copy": False,
    }
    fault = OperatorError if system_file else ScenarioError
    template = _template(files["system"], fault)

    def frame(limits: str, whose: str) -> str:
        return _rendered(template, values | {"limits": limits, "copy": whose == "copy"}, fault)

    if scenario.delegation.max_depth:
        frame(limits, "copy")  # so that a fault in it is found now
    nudge = _template(files["nudge"], ScenarioError)
    return Instructions(
        system=frame(limits, "first"),
        nudge=_rendered(nudge, values, ScenarioError),
        tools=_tools(files["tools"], [*scenario.offered, "submit"]),
        frame=frame,
        digests={
            name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()
        },
    )


def words_for(limits: Mapping[str, Any]) -> str:
    """Limits in a sentence; empty if nothing is limited."""
    known = {name: limits.get(name) for name in UNITS}
    return ", ".join(
        UNITS[name].format(plain(value)) for name, value in known.items() if value is not None
    )


def _file(loaded: Loaded, own: str | None, name: str) -> Path:
    return loaded.folder / own if own else prompt_file(name)


def _template(file: Path, fault: type[AgentEvalError]) -> Template:
    try:
        text = file.read_text(encoding="utf-8")
        environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
        template: Template = environment.from_string(text)
    except (OSError, TemplateError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{file}:{line}" if line else str(file)
        raise fault(f"{place}: cannot be used as a prompt: {error}") from error
    template.filename = str(file)
    return template


def _rendered(template: Template, values: dict[str, Any], fault: type[AgentEvalError]) -> str:
    try:
        return template.render(values).strip()
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise fault(
            f"{template.filename}: cannot be used as a prompt: {error}. "
            f"Known names: {', '.join(values)}"
        ) from error


def _tools(file: Path, names: list[str]) -> list[dict[str, Any]]:
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        tools = [_tool(name, tree[name]) for name in names]
        if "delegate" not in names:  # then nobody is there to take files
            tools[-1]["function"]["parameters"]["properties"].pop("files", None)
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
