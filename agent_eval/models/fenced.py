"""Actions as fenced blocks, for servers without tool calls.

A block that opens with ```bash, ```python or ```submit is an action; it closes with a fence at
least as long, so that code with fences in it can be wrapped in longer ones. Everything else is
prose, and so is what stands inside a block of another name.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from agent_eval.basics.conversation import ToolCall

_OPENING = re.compile(r"(`{3,})[ \t]*([^`]*)")
_ARGUMENT = {"bash": "command", "python": "code", "delegate": "task", "submit": "answer"}


def calls_in(text: str, tools: Sequence[str]) -> tuple[ToolCall, ...]:
    """The actions in a reply, in order; a block that never closes ends with the reply."""
    return tuple(
        ToolCall(f"block-{number}", name, json.dumps({_ARGUMENT[name]: body}))
        for number, (name, body) in enumerate(_blocks(text))
        if name in tools
    )


def fenced(name: str, arguments: dict[str, Any]) -> str:
    """One action as its block, in fences longer than any in it."""
    body = str(arguments[_ARGUMENT[name]])
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{name}\n{body}\n{fence}"


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    fence, name, lines = "", "", list[str]()
    # Not splitlines(), which also takes form feeds and the like for ends of lines.
    for line in text.replace("\r\n", "\n").split("\n"):
        opening = _OPENING.fullmatch(line)
        if fence:
            if line.startswith(fence) and not line.rstrip().strip("`"):
                yield name, "\n".join(lines)
                fence = ""
            else:
                lines.append(line)
        elif opening:
            fence, name, lines = opening[1], opening[2].strip(), []
    if fence:
        yield name, "\n".join(lines)
