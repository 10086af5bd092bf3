"""Process events from elsewhere, put through the rules: a JSON object a line.

Of each is taken `argv` (a list) or `CommandLine` (a text), and, where they are there, `Image` or
`program` (the file that runs), `CurrentDirectory` or `cwd`, `ParentImage`, `ParentCommandLine`,
`User`; without an image it is the first argument. All else is left aside.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError
from agent_eval.graders.sigma import Rule

CATEGORY = "process_creation"
_SAME = {"program": "Image", "exe": "Image", "cmdline": "CommandLine", "cwd": "CurrentDirectory"}
_TAKEN = ("Image", "CommandLine", "CurrentDirectory", "ParentImage", "ParentCommandLine", "User")


@dataclass(frozen=True)
class Matched:
    """An event, and the rules that it is what they describe."""

    line: int
    """From 1."""
    fields: Mapping[str, str]
    rules: tuple[Rule, ...]

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        rules = [
            {"rule": one.id, "behaviour": one.behaviour, "tier": one.tier, "stage": one.stage}
            for one in self.rules
        ]
        return {"line": self.line, "command": self.fields["CommandLine"], "rules": rules}


def matched(file: Path, rules: list[Rule]) -> Iterator[Matched]:
    """Every event of a file, with the rules that match it, none or some.

    Raises `OperatorError` with file and line for what is no process event.
    """
    about = [rule for rule in rules if rule.category == CATEGORY]
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    fields = _fields(line, f"{file}:{number}")
                    hit = tuple(rule for rule in about if rule.matches(fields))
                    yield Matched(number, fields, hit)
    except OSError as error:
        raise OperatorError(f"cannot read {file}: {error.strerror}") from error


def _fields(line: bytes, where: str) -> dict[str, str]:
    """The fields of one event as rules name them."""
    try:
        event = untrusted_json(line)
    except ValueError as error:
        raise OperatorError(f"{where}: is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise OperatorError(f"{where}: is no JSON object with `argv` or `CommandLine`")
    named = {_SAME.get(name, name): value for name, value in event.items()}
    fields = {name: str(named[name]) for name in _TAKEN if isinstance(named.get(name), str)}
    argv = event.get("argv")
    if isinstance(argv, list) and argv and all(isinstance(each, str) for each in argv):
        fields["CommandLine"] = " ".join(argv)
        fields.setdefault("Image", argv[0])
    if "CommandLine" not in fields:
        raise OperatorError(f"{where}: has neither `argv`, a list of texts, nor `CommandLine`")
    if "Image" not in fields:
        fields["Image"] = _first(fields["CommandLine"])
    if "/" not in fields["Image"]:  # rules look for the end of a path
        fields["Image"] = f"/usr/bin/{fields['Image']}"
    return fields


def _first(line: str) -> str:
    try:
        return (shlex.split(line) or [""])[0]
    except ValueError:
        return (line.split() or [""])[0]
