"""Actions as fenced blocks, for servers without tool calls.

A block that opens with ```bash, ```python or ```submit is an action; it closes with a fence at
least as long, so that code with fences in it can be wrapped in longer ones. Everything else is prose.
"""

import json
import re
from collections.abc import Iterator, Sequence

from agent_eval.conversation import ToolCall

_OPENING = re.compile(r"^(`{3,})[ \t]*(\w+)[ \t]*$")
_ARGUMENT = {"bash": "command", "python": "code", "submit": "answer"}


def calls_in(text: str, tools: Sequence[str]) -> tuple[ToolCall, ...]:
    """The actions in a reply, in order; a block that never closes ends with the reply."""
    return tuple(
        ToolCall(f"block-{number}", name, json.dumps({_ARGUMENT[name]: body}))
        for number, (name, body) in enumerate(_blocks(text))
        if name in tools
    )


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    fence, name, lines = "", "", list[str]()
    for line in text.splitlines():
        opening = _OPENING.match(line)
        if fence:
            if line.rstrip().startswith(fence) and not line.strip().strip("`"):
                yield name, "\n".join(lines)
                fence = ""
            else:
                lines.append(line)
        elif opening and opening[2] in _ARGUMENT:
            fence, name, lines = opening[1], opening[2], []
    if fence:
        yield name, "\n".join(lines)
