"""Reading `scenario.yaml`: strict, with the line of every fault, and never losing a bit of it.

Called by the command line. Promises that what it returns can be run as far as a file can tell, and
that every refusal names file, line, what is wrong and what would be right.
"""

import hashlib
import io
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from agent_eval.errors import ScenarioError
from agent_eval.resources import shipped
from agent_eval.scenario import Loaded, Scenario

FILE = "scenario.yaml"


def find(name: str) -> Path:
    """The folder of a scenario named by its path or, for those that ship, by its name."""
    path = Path(name)
    for folder in (path, path.parent):
        if folder.joinpath(FILE).is_file() and (folder == path or path.name == FILE):
            return folder
    folder = shipped("scenarios") / name
    if folder.joinpath(FILE).is_file():
        return folder
    names = sorted(entry.parent.name for entry in shipped("scenarios").glob(f"*/{FILE}"))
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Those that ship: {', '.join(names)}."
    raise ScenarioError(f"{name}: no folder with a {FILE}, and no scenario of that name. {hint}")


def load(name: str) -> Loaded:
    """Read `SCENARIO` or `SCENARIO@VARIANT`; raises `ScenarioError` with file and line."""
    base, _, variant = name.partition("@")
    folder = find(base)
    file = folder / FILE
    tree = _parse(file)
    variants = tree.pop("variants", None) or {}
    if not isinstance(variants, CommentedMap):
        raise ScenarioError(f"{file}: `variants` must map a name to the fields it overrides")
    for each in variants:
        _build(file, _overridden(file, tree, variants, str(each)))
    if variant:
        if variant not in variants:
            known = ", ".join(map(str, variants)) or "none"
            raise ScenarioError(f"{file}: no variant {variant!r}; it has {known}")
        tree = _overridden(file, tree, variants, variant)
    scenario = _build(file, tree)
    if scenario.name != folder.resolve().name:
        raise ScenarioError(
            f"{file}:{_line(tree, ('name',))}: name is {scenario.name!r}, "
            f"but its folder is {folder.resolve().name!r}: they must be the same"
        )
    return Loaded(
        scenario=scenario,
        folder=folder,
        variant=variant or None,
        file_digests=_digests(file, tree, scenario),
    )


def variants_of(folder: Path) -> list[str]:
    """Names of the variants that a scenario has."""
    return [str(name) for name in _parse(folder / FILE).get("variants") or ()]


def _parse(file: Path) -> CommentedMap:
    try:
        tree = YAML(typ="rt").load(io.StringIO(file.read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{file}: not UTF-8 text ({error})") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise ScenarioError(f"{file}:{line}: {problem}") from error
    except YAMLError as error:
        raise ScenarioError(f"{file}: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise ScenarioError(f"{file}:1: a scenario is a mapping of fields to values")
    return tree


def _overridden(file: Path, tree: CommentedMap, variants: CommentedMap, name: str) -> CommentedMap:
    """The scenario with one variant's fields laid over it; mappings merge, all else is replaced."""
    change = variants[name]
    if not isinstance(change, CommentedMap):
        raise ScenarioError(f"{file}: variant {name!r} must map fields to values")
    return _merged(tree, change)


def _merged(base: CommentedMap, change: CommentedMap) -> CommentedMap:
    merged = CommentedMap(base)
    merged.lc.data = dict(base.lc.data or {})
    for key, value in change.items():
        old = base.get(key)
        both = isinstance(old, CommentedMap) and isinstance(value, CommentedMap)
        merged[key] = _merged(old, value) if both else value
        merged.lc.data[key] = change.lc.data[key]
    return merged


def _build(file: Path, tree: CommentedMap) -> Scenario:
    try:
        return Scenario.model_validate(_plain(tree))
    except ValidationError as error:
        faults = [f"{file}:{_line(tree, fault['loc'])}: {_say(fault)}" for fault in error.errors()]
        raise ScenarioError("\n".join(faults)) from error


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    return str(node) if isinstance(node, str) else node


def _line(tree: Any, where: tuple[int | str, ...]) -> int:
    """The line, from 1, of the deepest part of `where` that the file has."""
    line, node = 1, tree
    for key in where:
        try:
            if isinstance(node, CommentedMap):
                line = node.lc.data[key][0] + 1
            elif isinstance(node, CommentedSeq):
                line = node.lc.item(key)[0] + 1
            node = node[key]
        except (KeyError, IndexError, TypeError):
            break
    return line


def _say(fault: Any) -> str:
    """What is wrong and, where it can be known, what would be right."""
    where = ".".join(str(part) for part in fault["loc"]) or "scenario"
    if fault["type"] == "extra_forbidden":
        known = _fields_beside(fault["loc"])
        close = get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        return f"unknown key {where}; {hint}"
    if fault["type"] == "missing":
        return f"{where} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = fault["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}"


def _fields_beside(where: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that stand beside the last part of `where`."""
    schema = Scenario.model_json_schema()
    node: Any = schema
    for part in where[:-1]:
        node = node.get("items", {}) if isinstance(part, int) else _field(node, part)
        for choice in node.get("anyOf", ()):
            node = choice if "$ref" in choice else node
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return sorted([*node.get("properties", {}), *(["variants"] if node is schema else [])])


def _field(node: Any, name: str) -> Any:
    beside = node.get("additionalProperties")
    return node.get("properties", {}).get(name) or (beside if isinstance(beside, dict) else {})


def _digests(file: Path, tree: CommentedMap, scenario: Scenario) -> dict[str, str]:
    """SHA-256 of each file the scenario names; a missing one is refused with its line."""
    named: list[tuple[str, tuple[int | str, ...]]] = [
        (seed.source, ("files", index, "source"))
        for index, seed in enumerate(scenario.files)
        if seed.source
    ]
    if scenario.success.check:
        named.append((scenario.success.check, ("success", "check")))
    if scenario.controls:
        named.append(("controls.py", ("controls",)))
    for field in ("system", "nudge", "tools"):
        if value := getattr(scenario.prompts, field):
            named.append((value, ("prompts", field)))
    digests = {}
    for name, where in named:
        place = f"{file}:{_line(tree, where)}: {'.'.join(map(str, where))}"
        for path in _files_of(file.parent, name, place):
            relative = path.relative_to(file.parent.resolve()).as_posix()
            digests[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(digests.items()))


def _files_of(folder: Path, name: str, place: str) -> list[Path]:
    top = (folder / name).resolve()
    if not top.is_relative_to(folder.resolve()):
        raise ScenarioError(f"{place}: {name} is outside the scenario's folder; copy it in")
    if top.is_file():
        return [top]
    files = sorted(path for path in top.rglob("*") if path.is_file())
    if not files:
        raise ScenarioError(f"{place}: there is no {name} in {folder}")
    return files


def json_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file, for editors."""
    schema = Scenario.model_json_schema()
    schema["title"] = "agent-eval scenario"
    schema["properties"]["variants"] = {
        "type": "object",
        "additionalProperties": {"type": "object"},
        "description": "Named sets of fields that SCENARIO@VARIANT lays over the others.",
    }
    return schema
