"""What the command line lays over a scenario, checked like the scenario itself."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent_eval.errors import OperatorError
from agent_eval.scenario.model import Loaded, ModelArguments, Scenario

_TEXT = {"reasoning_effort", "tool_format", "output_tokens_field", "missing_usage", "when_full"}


def laid_over(loaded: Loaded, changes: dict[str, Any]) -> tuple[Loaded, dict[str, Any]]:
    """The scenario with the changes, and the changes as values for the record."""
    changed: dict[str, Any] = {}
    if model := changes.get("endpoint", {}) | dict(_pair(text) for text in changes["model"]):
        changed["model"] = model
    sandbox = {name: changes[name] for name in ("runtime", "record") if changes.get(name)}
    if sandbox:
        changed["sandbox"] = sandbox
    limits = {name: text for name, text in changes["budget"].items() if text is not None}
    roles = limits.pop("role_usd", None)
    if limits:
        changed["budget"] = {name: limit_of(name, text) for name, text in limits.items()}
    if changes.get("approve") is not None:
        changed["approve"] = changes["approve"]
    tree = loaded.scenario.model_dump()
    for part, values in changed.items():
        tree[part] = (tree[part] or {}) | values
    if roles is not None:
        tree["role_usd"] = changed["role_usd"] = limit_of("role_usd", roles)
    try:
        scenario = Scenario.model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise OperatorError(f"the command line asks for something impossible: {faults}") from error
    return loaded.model_copy(update={"scenario": scenario}), changed


def asked_to_approve(
    approve: bool, decisions: Path | None, timeout_s: float | None, options: int | None = None
) -> dict[str, Any] | None:
    """What the command line lays over a scenario's `approve`; None if nothing."""
    laid = {"timeout_s": timeout_s, "options": options}
    laid = {name: value for name, value in laid.items() if value is not None}
    return laid if laid or approve or decisions is not None else None


def _pair(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or key not in ModelArguments.model_fields:
        known = ", ".join(ModelArguments.model_fields)
        raise OperatorError(f"-M {text}: write KEY=VALUE, with one of {known}")
    if key in _TEXT:
        return key, value
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"-M {text}: {value!r} is neither a number nor JSON") from error


def limit_of(name: str, text: str) -> float | int | None:
    """A limit as an operator types it; None for `none`. Raises `OperatorError`."""
    if text.lower() == "none":
        return None
    try:
        return float(text) if name in ("usd", "wall_s", "role_usd") else int(text.replace("_", ""))
    except ValueError as error:
        option = {"wall_s": "wall", "role_usd": "role-usd"}.get(name, name)
        raise OperatorError(f"--{option} {text}: give a number, or none for no limit") from error
