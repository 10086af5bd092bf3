"""Any server that speaks OpenAI's chat completions, through the `openai` package.

The request's bytes are made here and sent as they are, so that the record can promise them. What a
server answers is read with care: usage may be missing, counts absurd, fields of the wrong type.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx2
import openai

from agent_eval.basics.conversation import Message, Reply, Request, ToolCall, Usage, untrusted_json
from agent_eval.errors import OperatorError, RequestRefused
from agent_eval.models.base import AttemptFailed
from agent_eval.models.endpoint import Endpoint, without_password
from agent_eval.models.limiter import Limiter
from agent_eval.models.wire import Answer, Wire
from agent_eval.record.prices import PriceCard
from agent_eval.record.redact import NOTHING, Redactor
from agent_eval.scenario.model import ModelArguments

MAX_WAIT_S = 600.0
MAX_RAW_USAGE_BYTES = 4096
MAX_COUNT = 10**8
"""Tokens; no call has more, so a server that says so does not count."""

_TRY_AGAIN = {408, 409, 425, 429}
_TOO_MUCH = {429, 503, 529}
"""The server will not work for now; everyone leaves it alone for a while."""
_SENT_ARGUMENTS = ("temperature", "top_p", "seed", "reasoning_effort")


class OpenAIChat:
    """One model behind one server."""

    remote = True

    def __init__(
        self,
        endpoint: Endpoint,
        wanted: ModelArguments,
        price: PriceCard | None,
        limiter: Limiter | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = endpoint.name
        self.price = price
        self.context_tokens = endpoint.context_tokens
        self._endpoint = endpoint
        self._wanted = wanted
        key = endpoint.key()
        # A server may repeat the key it was shown, and what it says is cut before it is written.
        self._redactor = Redactor({endpoint.key_variable or "KEY": key or ""})
        self._limiter = limiter or Limiter(endpoint.max_connections)
        try:
            self._url = httpx2.URL(endpoint.address)
        except httpx2.InvalidURL as error:
            raise OperatorError(f"{endpoint.address_from} is no address: {error}") from error
        self._wire = Wire(endpoint.address, key, wanted, transport)

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """The request's fields beside messages and tools."""
        wanted = self._wanted
        sent = {name: getattr(wanted, name) for name in _SENT_ARGUMENTS}
        field = wanted.output_tokens_field or self._output_tokens_field()
        return {
            "model": self._endpoint.model,
            **{name: value for name, value in sent.items() if value is not None},
            field: max_output_tokens,
            **wanted.extra_body,
        }

    def _output_tokens_field(self) -> str:
        """OpenAI's own newer models know only the new name; most other servers only the old one."""
        official = self._url.host.endswith("openai.com")
        return "max_completion_tokens" if official else "max_tokens"

    def about(self) -> dict[str, Any]:
        """Where requests go; an address may hold a password, which is left out."""
        return {
            "server": without_password(self._endpoint.address),
            "client": f"openai {openai.__version__}",
            **self._endpoint.about,
        }

    def of_copy(self, agent: str) -> "OpenAIChat":  # noqa: ARG002 - a server knows no agents
        """Itself: the conversation is the agent's."""
        return self

    def turn(self) -> AbstractAsyncContextManager[None]:
        """A place among all runs of this process that ask this endpoint."""
        return self._limiter.turn()

    def take_up(self, said: Sequence[Message], answered: int) -> None:
        """A server is told everything at every call."""

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def complete(self, request: Request) -> Reply:
        """Send the request's bytes once and read the answer."""
        try:
            answer = await self._wire.post("/chat/completions", request.body())
            if not 200 <= answer.status < 300:
                raise self._refusal(answer)
            reply = _reply(answer.content, self._redactor)
        except AttemptFailed as error:
            if error.status in _TOO_MUCH:
                self._limiter.refused(error.retry_after_s)
            raise AttemptFailed(
                self._redactor.text(str(error)),
                may_be_billed=error.may_be_billed,
                status=error.status,
                retry_after_s=error.retry_after_s,
            ) from error
        self._limiter.answered()
        return reply

    def _refusal(self, answer: Answer) -> Exception:
        """What a status other than success means: worth another attempt, or not."""
        status, said = answer.status, _said(answer.content, self._redactor)
        if status in _TRY_AGAIN or status >= 500:
            if "insufficient_quota" in said:
                return RequestRefused(f"the account has no credit left: {said}")
            return AttemptFailed(
                f"HTTP {status}: {said}",
                # Any other fault may have come after the work, from the server or one before it.
                may_be_billed=status >= 500 and status not in _TOO_MUCH,
                status=status,
                retry_after_s=_retry_after_s(answer.headers.get("retry-after")),
            )
        where = self._endpoint.address_from
        if 300 <= status < 400:
            to = self._redactor.text(answer.headers.get("location", "nowhere"))[:200]
            hint = f"It points to {to}: if that is where the model is, let {where} say so"
        elif "tool" in said.lower():
            hint = "-M tool_format=fenced does without the server's tool calls"
        else:
            hint = self._hint(status)
        return RequestRefused(
            f"the model's server refused the request, HTTP {status}: {said}. {hint}"
        )

    def _hint(self, status: int) -> str:
        model, where = self._endpoint.model, self._endpoint.address_from
        key = self._endpoint.key_variable
        return {
            401: f"{key} is not one that this server takes" if key else "it wants a key",
            403: "the key may not do this",
            404: f"this server has no model {model!r}, or {where} lacks its /v1",
        }.get(status, "see what it says of the arguments; -M name=value changes or adds one")


def _said(content: bytes, redactor: Redactor) -> str:
    """The beginning of an answer, in one line."""
    start = redactor.cut(content[:4000])
    return " ".join(start.decode(errors="replace").split())[:500] or "(nothing)"


def _retry_after_s(header: str | None) -> float | None:
    """Seconds to wait, from either form of the header; bounded, for servers may say anything."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_WAIT_S) if math.isfinite(seconds) else None


def _reply(content: bytes, redactor: Redactor = NOTHING) -> Reply:
    try:
        body = untrusted_json(content)
        choice = body["choices"][0]
        message = choice["message"]
        if not isinstance(message, dict):
            raise TypeError("message is no object")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        start = redactor.cut(content[:4000])[:300].decode(errors="replace")
        raise AttemptFailed(
            f"an answer that is no chat completion ({type(error).__name__}): {start}",
            may_be_billed=True,
        ) from error
    raw = body.get("usage")
    text = _text(message.get("content")) or _text(message.get("refusal"))
    calls = tuple(_calls(message.get("tool_calls")))
    usage = _usage(raw)
    if usage and not usage.output_tokens and (text or calls):
        usage = None  # what was written was not counted
    return Reply(
        text=text,
        calls=calls,
        reasoning=_text(message.get("reasoning_content") or message.get("reasoning")),
        usage=usage,
        finish_reason=_text(choice.get("finish_reason")),
        model=_text(body.get("model")),
        fingerprint=_text(body.get("system_fingerprint")),
        raw_usage=raw if _small(raw) else None,
    )


def _calls(calls: Any) -> Iterator[ToolCall]:
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        yield ToolCall(_text(call.get("id")), _text(function.get("name")), arguments)


def _text(value: Any) -> str:
    if isinstance(value, list):  # content in parts
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _small(raw: Any) -> bool:
    """Whether it is an object that is worth its place in the record."""
    try:
        return isinstance(raw, dict) and len(json.dumps(raw)) <= MAX_RAW_USAGE_BYTES
    except RecursionError:
        return False


def _usage(raw: Any) -> Usage | None:
    """Counts by one rule: input includes cached, output reasoning; a part is at most the whole.

    None where there are none: no prompt has no tokens.
    """
    if not isinstance(raw, dict):
        return None
    read, written = _count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens"))
    if not read or written is None:
        return None
    cached = _count(_part(raw, "prompt_tokens_details").get("cached_tokens")) or 0
    reasoning = _count(_part(raw, "completion_tokens_details").get("reasoning_tokens")) or 0
    return Usage(read, written, min(cached, read), min(reasoning, written))


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _count(value: Any) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
    return value if good else None
