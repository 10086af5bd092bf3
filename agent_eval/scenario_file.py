"""Reading `scenario.yaml`: strict, with the line of every fault, and never losing a bit of it.

Called by the command line. Promises that what it returns can be run as far as a file can tell, and
that every refusal names file, line, what is wrong and what would be right.
"""

import hashlib
import io
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from agent_eval.errors import ScenarioError
from agent_eval.resources import shipped
from agent_eval.scenario import Loaded, Scenario

FILE = "scenario.yaml"
_PLACE = re.compile(r"[a-z_0-9.]+")
_VARIANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


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
    base, separator, variant = name.rpartition("@")
    if not separator or "/" in variant:
        base, variant = name, ""
    folder = find(base)
    file = folder / FILE
    tree = _parse(file)
    where = f"{file}:{_line(tree, ('variants',))}"
    variants = tree.pop("variants", None) or CommentedMap()
    if not isinstance(variants, CommentedMap):
        raise ScenarioError(f"{where}: `variants` must map a name to the fields it overrides")
    resolved = {"": _resolved(file, tree, None)}
    for each in variants:
        resolved[str(each)] = _resolved(file, _overridden(file, tree, variants, each), str(each))
    if variant not in resolved:
        known = ", ".join(map(str, variants)) or "none"
        raise ScenarioError(f"{where}: no variant {variant!r}; it has {known}")
    return resolved[variant]


def _resolved(file: Path, tree: CommentedMap, variant: str | None) -> Loaded:
    scenario = _build(file, tree)
    folder = file.parent.resolve()
    if scenario.name != folder.name:
        raise ScenarioError(
            f"{file}:{_line(tree, ('name',))}: name is {scenario.name!r}, "
            f"but its folder is {folder.name!r}: they must be the same"
        )
    return Loaded(
        scenario=scenario,
        folder=file.parent,
        variant=variant,
        file_digests=_digests(file, tree, scenario),
    )


def variants_of(folder: Path) -> list[str]:
    """Names of the variants that a scenario has."""
    return [str(name) for name in _parse(folder / FILE).get("variants") or ()]


def _parse(file: Path) -> CommentedMap:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{file}:1: cannot be read: {error.strerror}") from error
    try:
        tree = YAML(typ="rt").load(io.StringIO(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ScenarioError(f"{file}:{line}: not UTF-8 text; save it as UTF-8 ({error})") from error
    except ReaderError as error:
        line = data.decode("utf-8").count("\n", 0, error.position) + 1
        problem = f"a control character ({error.character!r}) must be written as an escape"
        raise ScenarioError(f"{file}:{line}: {problem}") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise ScenarioError(f"{file}:{line}: {problem}") from error
    except (YAMLError, RecursionError) as error:
        raise ScenarioError(f"{file}:1: cannot be read as YAML: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise ScenarioError(f"{file}:1: a scenario is a mapping of fields to values")
    return tree


def _overridden(file: Path, tree: CommentedMap, variants: CommentedMap, name: str) -> CommentedMap:
    """The scenario with one variant's fields laid over it; mappings merge, all else is replaced."""
    change = variants[name]
    where = f"{file}:{_line(variants, (name,))}"
    if not _VARIANT.fullmatch(str(name)):
        raise ScenarioError(
            f"{where}: variant {name!r}: a name has small letters, digits and dashes, 63 at most"
        )
    if not isinstance(change, CommentedMap):
        raise ScenarioError(f"{where}: variant {name!r} must map fields to values")
    return _merged(tree, change)


def _merged(base: CommentedMap, change: CommentedMap) -> CommentedMap:
    merged = CommentedMap(base)
    merged.lc.data = dict(base.lc.data or {})
    for key, value in change.items():
        old = base.get(key)
        both = isinstance(old, CommentedMap) and isinstance(value, CommentedMap)
        merged[key] = _merged(old, value) if both else value
        # What a merge key (<<) brought in has no place of its own.
        merged.lc.data[key] = (change.lc.data or {}).get(key) or [change.lc.line, change.lc.col]
    return merged


def _build(file: Path, tree: CommentedMap) -> Scenario:
    try:
        return Scenario.model_validate(_plain(tree))
    except ValidationError as error:
        # A key that is misspelt is missing as well; the misspelling is the fault.
        found = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        faults = [f"{file}:{_line(tree, _where(fault))}: {_say(fault)}" for fault in found]
        raise ScenarioError("\n".join(faults)) from error


def _where(fault: Any) -> tuple[int | str, ...]:
    """Where a fault is; a check over several fields begins its words with the place it means."""
    place, _ = _placed(fault)
    return (*fault["loc"], *(int(part) if part.isdigit() else part for part in place))


def _placed(fault: Any) -> tuple[list[str], str]:
    """The place that a fault's words begin with, if any, and the rest of them."""
    words = fault["msg"].removeprefix("Value error, ")
    place, separator, rest = words.partition(": ")
    if fault["type"] == "value_error" and separator and _PLACE.fullmatch(place):
        return place.split("."), rest
    return [], words


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
    where = ".".join(map(str, _where(fault))) or "scenario"
    if fault["type"] == "extra_forbidden":
        known = sorted(_fields_beside(fault["loc"]))
        close = get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        return f"unknown key {where}; {hint}"
    if fault["type"] == "missing":
        told = _fields_beside(fault["loc"]).get(fault["loc"][-1], {}).get("description")
        return f"{where} is missing; it says: {told}"
    _, message = _placed(fault)
    given = fault["input"]
    if fault["type"] == "string_type" and not isinstance(given, dict | list):
        message += "; put it into quotes"
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}"


def _fields_beside(where: tuple[int | str, ...]) -> dict[str, Any]:
    """Schemas of the fields that may stand where the last part of `where` does, by name."""
    schema = Scenario.model_json_schema()
    node: Any = schema
    for part in where[:-1]:
        node = node.get("items", {}) if isinstance(part, int) else _field(node, part)
        for choice in node.get("anyOf", ()):
            node = choice if "$ref" in choice else node
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return dict(node.get("properties", {}), **({"variants": {}} if node is schema else {}))


def _field(node: Any, name: str) -> Any:
    """The schema of a value: of a field, or of every value of a mapping whose keys are free."""
    others = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
    free = next((each for each in others if isinstance(each, dict)), {})
    return node.get("properties", {}).get(name, free)


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
    prompts = {name: getattr(scenario.prompts, name) for name in ("system", "nudge", "tools")}
    named += [(value, ("prompts", name)) for name, value in prompts.items() if value]
    folder, digests = file.parent.resolve(), {}
    for name, where in named:
        place = f"{file}:{_line(tree, where)}: {'.'.join(map(str, where))}"
        try:
            for path in _files_of(folder, name, place, folders=where[0] == "files"):
                relative = path.relative_to(folder).as_posix()
                digests[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            raise ScenarioError(f"{place}: {name!r} cannot be read: {error}") from error
    return dict(sorted(digests.items()))


def _files_of(folder: Path, name: str, place: str, *, folders: bool) -> list[Path]:
    top = (folder / name).resolve()
    files = [top] if top.is_file() else []
    if folders and top.is_dir():
        files = sorted(path for path in top.rglob("*") if path.is_file())
    for path in (top, *files):
        if not path.resolve().is_relative_to(folder):
            raise ScenarioError(
                f"{place}: {name} leads outside the scenario's folder; copy what it needs into it"
            )
    if not files:
        kinds = "file, and no folder with files," if folders else "file"
        raise ScenarioError(f"{place}: there is no {kinds} {name} in {folder}")
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
