"""What a model reads and writes, as values, and the exact bytes they become on the wire.

Used by the agent, by every kind of model and by whoever rebuilds a request from a transcript. Each
message is put into JSON once, and a request is their concatenation, so that its bytes can be
derived again from the record.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 64
"""How deep what others wrote may be nested: what is done with it later recurses."""


def wire_json(value: Any) -> str:
    """JSON as it goes to a server: compact, plain ASCII, so that any text survives."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def untrusted_json(text: bytes | str, max_depth: int = MAX_DEPTH) -> Any:
    """A JSON value from a hand that may be hostile; raises `ValueError` for what is none.

    What comes back can be written as JSON again: numbers that JSON cannot hold come out as None.
    """
    try:
        if not isinstance(text, str):
            plain = text.isascii() and b"\0" not in text[:4]  # by far the commonest
            encoding = "ascii" if plain else json.detect_encoding(text)
            text = text.decode(encoding, "surrogatepass")
        elif text.startswith("\ufeff"):
            raise ValueError("it begins with a mark of its byte order")
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if text.count("[") + text.count("{") < max_depth:  # so it cannot be nested deeper
        return value
    level = [value]
    for _ in range(max_depth):
        level = [each for one in level for each in _inside(one)]
        if not level:
            return value
    raise ValueError("nested too deep")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


@dataclass(frozen=True)
class ToolCall:
    """One action as the model asked for it; `arguments` is its text, well-formed or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """One message; `content` is a JSON object in the form of the chat completions API."""

    content: dict[str, Any]
    wire: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", wire_json(self.content))

    @property
    def text(self) -> str:
        """The text a person would read."""
        return str(self.content.get("content") or "")


def system(text: str) -> Message:
    """The message that sets the frame."""
    return Message({"role": "system", "content": text})


def user(text: str) -> Message:
    """The task, a nudge, or an observation where the server knows no tool results."""
    return Message({"role": "user", "content": text})


def assistant(text: str, calls: Sequence[ToolCall]) -> Message:
    """What the model said and asked for."""
    content: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        content["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
    return Message(content)


def tool_result(call_id: str, text: str) -> Message:
    """What one action gave back."""
    return Message({"role": "tool", "tool_call_id": call_id, "content": text})


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. Input includes what came from a cache; output includes reasoning."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True)
class Request:
    """All that a model gets for one call."""

    messages: Sequence[Message]
    tools: Sequence[dict[str, Any]]
    arguments: dict[str, Any]
    """Fields of the request beside messages and tools, as they are sent."""
    size_bytes: int = 0
    """The length of `body`, give or take a few bytes, for estimates."""

    def body(self) -> bytes:
        """The request's bytes: the arguments, then the tools, then the messages."""
        head = {**self.arguments, "tools": list(self.tools)} if self.tools else self.arguments
        opened = wire_json(head)[:-1] + ("," if head else "")
        messages = ",".join(message.wire for message in self.messages)
        return f'{opened}"messages":[{messages}]}}'.encode("ascii")

    def sha256(self) -> str:
        """SHA-256 of `body`, as hexadecimal."""
        return hashlib.sha256(self.body()).hexdigest()


class Conversation:
    """The messages of one agent so far; it grows, and what is shortened keeps its place."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.wire_bytes = 0
        """What they take on the wire."""
        self.written_bytes = 0
        """All that was ever put in; what is taken out again does not count."""

    def add(self, message: Message) -> int:
        """Append a message and return its place, from 0."""
        self.messages.append(message)
        self._grow(len(message.wire) + 1)
        return len(self.messages) - 1

    def replace(self, index: int, message: Message) -> None:
        """Put a message in the place of another."""
        self.wire_bytes -= len(self.messages[index].wire) + 1
        self.messages[index] = message
        self._grow(len(message.wire) + 1)

    def _grow(self, size_bytes: int) -> None:
        self.wire_bytes += size_bytes
        self.written_bytes += size_bytes


@dataclass(frozen=True)
class Reply:
    """One answer of a model."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    usage: Usage | None = None
    finish_reason: str = ""
    model: str = ""
    """The model the server says it was."""
    fingerprint: str = ""
    """The server's word for its configuration."""
    raw_usage: dict[str, Any] | None = None
