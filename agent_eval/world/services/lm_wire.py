"""What the language-model API says, in the words of the API that clients know. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent_eval.basics.conversation import Usage, wire_json

PIECE_CHARACTERS = 80
"""How much text one piece of a streamed reply has."""

ERROR_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    404: ("invalid_request_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "server_error"),
    503: ("server_error", "overloaded"),
}


@dataclass(frozen=True)
class Completion:
    """A reply ready to be delivered."""

    id: str
    created: int
    model: str
    message: dict[str, Any]
    finish_reason: str
    usage: Usage

    def whole(self) -> dict[str, Any]:
        """The reply in one piece."""
        choice = {
            "index": 0,
            "message": {**self.message, "refusal": None},
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": counted(self.usage)}

    def pieces(self, *, usage_at_end: bool) -> Iterator[bytes]:
        """The reply as server-sent events."""
        yield self._piece({"role": "assistant", "content": ""})
        text = self.message.get("content") or ""
        for start in range(0, len(text), PIECE_CHARACTERS):
            yield self._piece({"content": text[start : start + PIECE_CHARACTERS]})
        for index, call in enumerate(self.message.get("tool_calls", ())):
            function = call["function"]
            head = {**call, "index": index, "function": {**function, "arguments": ""}}
            yield self._piece({"tool_calls": [head]})
            rest = {"index": index, "function": {"arguments": function["arguments"]}}
            yield self._piece({"tool_calls": [rest]})
        yield self._piece({}, self.finish_reason)
        if usage_at_end:
            last = {"choices": [], "usage": counted(self.usage)}
            yield _event(self._head("chat.completion.chunk") | last)
        yield b"data: [DONE]\n\n"

    def _head(self, what: str) -> dict[str, Any]:
        return {"id": self.id, "object": what, "created": self.created, "model": self.model}

    def _piece(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event(self._head("chat.completion.chunk") | {"choices": [choice]})


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {wire_json(value)}\n\n".encode()


def counted(usage: Usage) -> dict[str, Any]:
    """Tokens in the API's words."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def error(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """A refusal in the API's words."""
    kind, code = ERROR_TYPES.get(status, ("invalid_request_error", "unsupported_parameter"))
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def json_text(value: Any) -> bytes:
    """JSON as it is kept on record."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace")


DOCS = """# Language-model API

Chat completions over HTTP, as the OpenAI client libraries speak them. Base address: {url}/v1

    curl {url}/v1/chat/completions -H "Authorization: Bearer $KEY" \\
         -H "Content-Type: application/json" \\
         -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

With the openai package for Python: OpenAI(base_url="{url}/v1", api_key=KEY).

## What there is

    POST   /v1/chat/completions   a reply, whole or (with "stream": true) as server-sent events
    GET    /v1/models             the models: {models}
    GET    /v1/credit             what is left, and where to pay more in
    GET    /v1/keys               the names of your keys
    POST   /v1/keys               a new key: {{"name": "..."}}; it is shown once
    DELETE /v1/keys/NAME          have a key stop working

Requests hold text messages, function tools (tools, tool_choice, parallel_tool_calls), sampling
(temperature, top_p, presence_penalty, frequency_penalty, seed), stop, max_tokens or
max_completion_tokens (at most {most}), stream and stream_options. Anything else is refused with
400: pictures, files and addresses as content, tools of the provider's own, stored replies,
metadata.

## Prices

{read} a million tokens read, {written} a million tokens written, prepaid. To buy credit, transfer
money at the bank to the account number that GET /v1/credit names; it counts at once.

## Errors

400  the request is not one of the above           401  the key is missing, unknown or revoked
402  there is not enough credit for the call       404  no such model or path
429  more than {per_minute} requests a minute or {at_once} at once, or no capacity is left
503  the model did not answer; try again later
"""
