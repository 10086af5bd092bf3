"""What a reply asks for, as actions; and what the model gets to see of them.

A reply is text of an unreliable author: whatever does not fit becomes a `Malformed` that says why,
in words the model can use.
"""

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from agent_eval.basics.conversation import ToolCall, wire_json

MAX_CODE_BYTES = 512 * 1024
MAX_FILES = 100
"""Files and folders that an answer may name."""

MAX_PATH_BYTES = 4096
"""What the longest path of a system call has."""

GRANTED = ("usd", "tokens", "steps")
"""What a model may say of the budget of a copy; of all else it gets its share."""

_TEXT = {"bash": "command", "python": "code", "delegate": "task", "submit": "answer"}
"""What each tool cannot do without: a string."""

_MORE = {
    "bash": ("timeout_s",),
    "python": ("timeout_s",),
    "delegate": ("budget",),
    "submit": ("files",),
}
"""What else each takes; `files` only where there are copies."""


@dataclass(frozen=True)
class Run:
    """Run code in a session."""

    call: ToolCall
    program: str
    code: str
    timeout_s: float | None


@dataclass(frozen=True)
class Delegate:
    """Have a copy do a task."""

    call: ToolCall
    task: str
    budget: dict[str, float] = field(default_factory=dict)
    """What it may spend of `GRANTED`; what is left out is for the harness to share out."""


@dataclass(frozen=True)
class Submit:
    """Hand in the answer."""

    call: ToolCall
    answer: str
    files: tuple[str, ...] = ()
    """Paths of what a copy hands over with it."""


@dataclass(frozen=True)
class Malformed:
    """Not something that can be done."""

    call: ToolCall
    reason: str


Action = Run | Delegate | Submit | Malformed


def action_of(call: ToolCall, tools: Sequence[str]) -> Action:
    """Read one call of a tool."""
    known = [*tools, "submit"]
    if call.name not in known:
        reason = f"There is no tool {call.name[:100]!r}; there are {', '.join(known)}."
        return Malformed(call, reason)
    try:
        given = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return Malformed(call, f"The arguments are not JSON: {error}.")
    wanted = _TEXT[call.name]
    if not isinstance(given, dict) or not isinstance(given.get(wanted), str):
        return Malformed(call, f"{call.name} needs {wanted!r}, a string.")
    more = () if call.name == "submit" and "delegate" not in tools else _MORE[call.name]
    unknown = set(given) - {wanted, *more}
    if unknown:
        names = ", ".join(sorted(repr(name[:100]) for name in unknown)[:10])
        return Malformed(call, f"{call.name} knows no {names}.")
    read = {"delegate": _delegate, "submit": _submit}.get(call.name, _run)
    return read(call, given[wanted], given)


def side_by_side(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """What is done in one go, in order: delegations next to each other, all else by itself."""
    for kind, run in groupby(actions, type):
        together = list(run)
        yield from [together] if kind is Delegate else [[action] for action in together]


def _run(call: ToolCall, code: str, given: dict[str, Any]) -> Run | Malformed:
    if len(code.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
        reason = f"{_TEXT[call.name]} is longer than {MAX_CODE_BYTES} bytes; use a file."
        return Malformed(call, reason)
    if "\0" in code:
        return Malformed(call, f"{_TEXT[call.name]} contains a NUL character.")
    timeout_s = given.get("timeout_s")
    if timeout_s is not None and not _positive(timeout_s):
        return Malformed(call, "timeout_s must be a number of seconds above 0.")
    return Run(call, call.name, code, timeout_s)


def _delegate(call: ToolCall, task: str, given: dict[str, Any]) -> Delegate | Malformed:
    budget = given.get("budget")
    budget = {} if budget is None else budget
    good = isinstance(budget, dict) and all(_positive(value) for value in budget.values())
    if not good or set(budget) - set(GRANTED):
        names = ", ".join(GRANTED)
        return Malformed(call, f"budget must be an object with numbers above 0 for any of {names}.")
    if not task.strip() or len(task.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
        return Malformed(call, f"task must have text, and no more than {MAX_CODE_BYTES} bytes.")
    return Delegate(call, task, budget)


def _submit(call: ToolCall, answer: str, given: dict[str, Any]) -> Submit | Malformed:
    files = given.get("files")
    files = [] if files is None else files
    if not isinstance(files, list) or not all(isinstance(path, str) for path in files):
        return Malformed(call, "files must be a list of paths.")
    if len(files) > MAX_FILES or not all(map(_can_be_a_path, files)):
        return Malformed(
            call,
            f"files must be at most {MAX_FILES} paths of at most {MAX_PATH_BYTES} bytes, without "
            "NUL characters and halves of surrogate pairs.",
        )
    return Submit(call, answer, tuple(files))


def _can_be_a_path(text: str) -> bool:
    try:
        return "\0" not in text and 0 < len(os.fsencode(text)) <= MAX_PATH_BYTES
    except UnicodeEncodeError:
        return False


def rewritten(call: ToolCall, tool: str, text: str) -> ToolCall:
    """The call with another code or answer, or with a tool that it did not name well."""
    others: dict[str, Any] = {}
    if tool == call.name:
        try:
            given = json.loads(call.arguments)
        except (ValueError, RecursionError):
            given = None
        others = given if isinstance(given, dict) else {}
    return ToolCall(call.id, tool, json.dumps(others | {_TEXT.get(tool, "answer"): text}))


def _positive(value: Any) -> bool:
    """Whether it is a number above 0 that can be a time; a whole number may have any length."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def shown(data: bytes, limit: int, wire_limit: int | None) -> str:
    """Output as a model sees it: `head_and_tail`, and no more than that many bytes on the wire.

    On the wire a byte may take six, so the limit is halved until it fits.
    """
    text = head_and_tail(data, limit)
    while wire_limit is not None and len(wire_json(text)) > wire_limit and limit > 1:
        limit //= 2
        text = head_and_tail(data, limit)
    return text


def head_and_tail(data: bytes, limit: int) -> str:
    """Output as text of about `limit` bytes: all of it, or its first and last parts.

    Bytes that are no UTF-8 are shown as escapes.
    """
    if len(data) <= limit:
        return data.decode("utf-8", "backslashreplace")
    head, tail = data[: limit * 3 // 5], data[len(data) - limit * 2 // 5 :]
    left_out = len(data) - len(head) - len(tail)
    note = f"\n[... {left_out} bytes left out ...]\n"
    return (
        head.decode("utf-8", "backslashreplace") + note + tail.decode("utf-8", "backslashreplace")
    )
