"""Files that people write by hand, in YAML: read strictly, with the line of every fault.

Scenarios and lists of models are read by this. A refusal names file, line, what is wrong and what
would be right, and is an error of the kind that the caller says, so that the right one is blamed.
"""

import io
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from agent_eval.errors import AgentEvalError

Form = TypeVar("Form", bound=BaseModel)
Where = tuple[int | str, ...]

_PLACE = re.compile(r"[a-zA-Z_0-9.]+")


def parse(file: Path, fault: type[AgentEvalError], what: str) -> CommentedMap:
    """The file's mapping, with the line of every part; `what` it is stands in the refusal.

    It is shared by all who read the same text in one process, and is not to be changed.
    """
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:  # a name may hold what no name of a file can
        said = error.strerror if isinstance(error, OSError) else error
        raise fault(f"{file}:1: cannot be read: {said}") from error
    try:
        tree = _tree(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fault(f"{file}:{line}: not UTF-8 text; save it as UTF-8 ({error})") from error
    except ReaderError as error:
        line = data.decode("utf-8").count("\n", 0, error.position) + 1
        problem = f"a control character ({error.character!r}) must be written as an escape"
        raise fault(f"{file}:{line}: {problem}") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise fault(f"{file}:{line}: {problem}") from error
    except (YAMLError, RecursionError) as error:
        raise fault(f"{file}:1: cannot be read as YAML: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise fault(f"{file}:1: {what} is a mapping of fields to values")
    return tree


@lru_cache(maxsize=256)
def _tree(text: str) -> Any:
    """What a text says; kept, for that takes milliseconds and rules are read for every run."""
    return YAML(typ="rt").load(io.StringIO(text))


def built(
    form: type[Form],
    file: Path,
    tree: CommentedMap,
    fault: type[AgentEvalError],
    also: Iterable[str] = (),
) -> Form:
    """The mapping as a value of that form; keys in `also` may stand beside its fields as well."""
    try:
        return form.model_validate(_plain(tree))
    except ValidationError as error:
        # A key that is misspelt is missing as well; the misspelling is the fault.
        found = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        schema = _schema(form)
        schema = schema | {"properties": schema["properties"] | {name: {} for name in also}}
        faults = [f"{file}:{line_of(tree, _where(each))}: {_say(each, schema)}" for each in found]
        raise fault("\n".join(faults)) from error


@cache
def _schema(form: type[BaseModel]) -> dict[str, Any]:
    return form.model_json_schema()


def _where(fault: Any) -> Where:
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


def line_of(tree: Any, where: Where) -> int:
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


def _say(fault: Any, schema: dict[str, Any]) -> str:
    """What is wrong and, where it can be known, what would be right."""
    where = ".".join(map(str, _where(fault))) or "the file"
    if fault["type"] == "extra_forbidden":
        known = sorted(_fields_beside(fault["loc"], schema))
        close = get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        return f"unknown key {where}; {hint}"
    if fault["type"] == "missing":
        told = _fields_beside(fault["loc"], schema).get(fault["loc"][-1], {}).get("description")
        return f"{where} is missing; it says: {told}"
    _, message = _placed(fault)
    given = fault["input"]
    if fault["type"] == "string_type" and not isinstance(given, dict | list):
        message += "; put it into quotes"
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}"


def _fields_beside(where: Where, schema: dict[str, Any]) -> dict[str, Any]:
    """Schemas of the fields that may stand where the last part of `where` does, by name."""
    node: Any = schema
    for part in where[:-1]:
        node = node.get("items", {}) if isinstance(part, int) else _field(node, part)
        for choice in node.get("anyOf", ()):
            node = choice if "$ref" in choice else node
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return dict(node.get("properties", {}))


def _field(node: Any, name: str) -> Any:
    """The schema of a value: of a field, or of every value of a mapping whose keys are free."""
    others = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
    free = next((each for each in others if isinstance(each, dict)), {})
    return node.get("properties", {}).get(name, free)
