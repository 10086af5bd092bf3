"""What a model asked for, in a form that every server takes back.

Models and servers give calls without a name, with the same id twice, with arguments that are no
JSON; many servers then refuse the whole conversation when they are shown it again. What is sent
back is always well-formed. What was really given stays on record, and is what is done or refused.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from agent_eval.basics.conversation import ToolCall, wire_json

NOTHING = "(nothing)"
"""What stands in a conversation for a reply without a word or a call."""

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_ID = re.compile(r"[!-~]{1,64}")
"""Servers form ids in their own ways and want them back as they were."""


def told_apart(calls: Sequence[ToolCall], taken: set[str]) -> tuple[ToolCall, ...]:
    """The calls with ids that no call of the conversation has; they are added to `taken`."""
    found = []
    for call in calls:
        number, name = len(taken), call.id
        while name in taken or not _ID.fullmatch(name):
            number += 1
            name = f"call_{number}"
        taken.add(name)
        found.append(replace(call, id=name))
    return tuple(found)


def sendable(call: ToolCall) -> ToolCall:
    """The call as it may be shown to a server again."""
    name = _NOT_IN_A_NAME.sub("_", call.name)[:64] or "unnamed"
    return ToolCall(call.id, name, _object(call.arguments))


def sendable_text(text: str, calls: Sequence[ToolCall]) -> str:
    """What was said; many servers refuse a message that says nothing and calls nothing."""
    return text if calls or text.strip() else NOTHING


def _object(arguments: str) -> str:
    """The arguments if they are a JSON object; else an object that holds them."""
    try:
        given = json.loads(arguments, parse_constant=_no_json)
    except (ValueError, RecursionError):
        given = None
    return arguments if isinstance(given, dict) else wire_json({"not_a_json_object": arguments})


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
