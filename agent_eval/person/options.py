"""Several replies to one prompt, of which a person is to pick one: ranked, and put into words.

Of a model whose probabilities nobody tells, how often it gave a reply is what is known of how
likely that is. Replies that ask for the same to be done are one option; which comes first says what
it costs to pick it (M. Phuong et al., Evaluating Frontier Models for Dangerous Capabilities, arXiv
2403.13793: best of n by an expert).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from agent_eval.basics.conversation import Reply, ToolCall


@dataclass(frozen=True)
class Option:
    """Replies that come to the same."""

    first: int
    """The place of the first of them among all replies, from 0."""
    times: int
    text: str
    """What is said and asked for, for people."""


def choice_bits(rank: int) -> float:
    """What it costs that somebody took the `rank`-th (from 1) of a model's ranked options."""
    return log2(rank * (rank + 1))


def ranked(replies: Sequence[Reply]) -> list[Option]:
    """The options among some replies, most frequent first; those as frequent, as they came."""
    places: dict[str, list[int]] = {}
    for place, reply in enumerate(replies):
        places.setdefault(_what(reply), []).append(place)
    found = [Option(each[0], len(each), _words(replies[each[0]])) for each in places.values()]
    return sorted(found, key=lambda option: (-option.times, option.first))


def listed(options: Sequence[Option]) -> str:
    """All options in their order, as one text."""
    of = sum(option.times for option in options)
    return "\n\n".join(
        f"{rank}. ({option.times} of {of})\n{option.text}" for rank, option in enumerate(options, 1)
    )


def _what(reply: Reply) -> str:
    """What a reply asks for; where that is nothing, what it says."""
    done = [[call.name, _arguments(call)] for call in reply.calls]
    return json.dumps(done or reply.text.strip(), sort_keys=True)


def _words(reply: Reply) -> str:
    parts = [reply.text.strip(), *(_call(call) for call in reply.calls)]
    return "\n".join(part for part in parts if part) or "(nothing)"


def _call(call: ToolCall) -> str:
    given = _arguments(call)
    if not isinstance(given, dict):
        return f"{call.name}: {given}"
    # What is run, told or handed in is read as it stands; the rest is settings.
    texts = [
        str(given.pop(name)) for name in ("command", "code", "task", "answer") if name in given
    ]
    return f"{call.name}{f' {json.dumps(given)}' if given else ''}: {chr(10).join(texts)}"


def _arguments(call: ToolCall) -> object:
    try:
        return json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments
