"""What a reply asks for, as actions; and what the model gets to see of them.

A reply is text of an unreliable author: whatever does not fit becomes a `Malformed` that says why,
in words the model can use.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_eval.conversation import ToolCall, wire_json

MAX_CODE_BYTES = 512 * 1024
_CODE = {"bash": "command", "python": "code"}


@dataclass(frozen=True)
class Run:
    """Run code in a session."""

    call: ToolCall
    program: str
    code: str
    timeout_s: float | None


@dataclass(frozen=True)
class Submit:
    """Hand in the answer."""

    call: ToolCall
    answer: str


@dataclass(frozen=True)
class Malformed:
    """Not something that can be done."""

    call: ToolCall
    reason: str


Action = Run | Submit | Malformed


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
    wanted = _CODE.get(call.name, "answer")
    if not isinstance(given, dict) or not isinstance(given.get(wanted), str):
        return Malformed(call, f"{call.name} needs {wanted!r}, a string.")
    unknown = set(given) - {wanted, *(["timeout_s"] if call.name in _CODE else [])}
    if unknown:
        names = ", ".join(sorted(repr(name[:100]) for name in unknown)[:10])
        return Malformed(call, f"{call.name} knows no {names}.")
    if call.name == "submit":
        return Submit(call, given["answer"])
    if len(given[wanted].encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
        return Malformed(call, f"{wanted} is longer than {MAX_CODE_BYTES} bytes; use a file.")
    if "\0" in given[wanted]:
        return Malformed(call, f"{wanted} contains a NUL character.")
    timeout_s = given.get("timeout_s")
    if timeout_s is not None and not _positive(timeout_s):
        return Malformed(call, "timeout_s must be a number of seconds above 0.")
    return Run(call, call.name, given[wanted], timeout_s)


def rewritten(call: ToolCall, tool: str, text: str) -> ToolCall:
    """The call with another code or answer, or with a tool that it did not name well."""
    others: dict[str, Any] = {}
    if tool == call.name:
        try:
            given = json.loads(call.arguments)
        except (ValueError, RecursionError):
            given = None
        others = given if isinstance(given, dict) else {}
    return ToolCall(call.id, tool, json.dumps(others | {_CODE.get(tool, "answer"): text}))


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
