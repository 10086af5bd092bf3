"""Any server that speaks OpenAI's chat completions, through the `openai` package.

The request's bytes are made here and sent as they are, so that the record can promise them. What a
server answers is read with care: usage may be missing, counts absurd, fields of the wrong type.
"""

import json
import math
import os
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx2
import openai

from agent_eval.conversation import Reply, Request, ToolCall, Usage, untrusted_json
from agent_eval.errors import OperatorError, RequestRefused
from agent_eval.models.base import AttemptFailed
from agent_eval.prices import PriceCard
from agent_eval.scenario import ModelArguments

MAX_WAIT_S = 600.0
MAX_RAW_USAGE_BYTES = 4096
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_TRY_AGAIN = {408, 409, 425, 429}
_SENT_ARGUMENTS = ("temperature", "top_p", "seed", "reasoning_effort")


class OpenAIChat:
    """One model behind one server; key and address come from the environment."""

    remote = True

    def __init__(
        self,
        model: str,
        wanted: ModelArguments,
        price: PriceCard | None,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        self.name = f"openai/{model}"
        self.price = price
        self._model = model
        self._wanted = wanted
        key = os.environ.get("OPENAI_API_KEY", "")
        if key and not (key.isascii() and key.isprintable()):
            raise OperatorError(
                "OPENAI_API_KEY has a character that no key has, a line end perhaps. Set it again"
            )
        if not key:
            raise OperatorError(
                "OPENAI_API_KEY is not set. Set it to your key; for a local server that wants "
                "none, any word will do, with OPENAI_BASE_URL=http://127.0.0.1:PORT/v1"
            )
        self._client = openai.AsyncOpenAI(
            max_retries=0,
            timeout=httpx2.Timeout(wanted.request_timeout_s, connect=20.0),
            http_client=http_client,
        )
        # An address may hold a password, and a server may repeat the key it was shown.
        self._server = str(self._client.base_url.copy_with(userinfo=b""))
        self._key = key

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """The request's fields beside messages and tools."""
        wanted = self._wanted
        sent = {name: getattr(wanted, name) for name in _SENT_ARGUMENTS}
        field = wanted.output_tokens_field or self._output_tokens_field()
        return {
            "model": self._model,
            **{name: value for name, value in sent.items() if value is not None},
            field: max_output_tokens,
            **wanted.extra_body,
        }

    def _output_tokens_field(self) -> str:
        """OpenAI's own newer models know only the new name; most other servers only the old one."""
        official = str(self._client.base_url.host).endswith("openai.com")
        return "max_completion_tokens" if official else "max_tokens"

    def about(self) -> dict[str, Any]:
        """Where requests go."""
        return {"server": self._server, "client": f"openai {openai.__version__}"}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, request: Request) -> Reply:
        """Send the request's bytes once and read the answer."""
        try:
            response = await self._client.post(
                "/chat/completions",
                content=request.body(),
                options={"headers": {"Content-Type": "application/json"}},
                cast_to=httpx2.Response,
            )
        except openai.APIConnectionError as error:
            raise self._connection_error(error) from error
        except openai.APIStatusError as error:
            raise self._status_error(error) from error
        try:
            return _reply(response.content)
        except AttemptFailed as error:
            raise AttemptFailed(self._without_key(str(error)), may_be_billed=True) from error

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[OPENAI_API_KEY]")

    def _connection_error(self, error: openai.APIConnectionError) -> Exception:
        cause = error.__cause__
        if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            return OperatorError(
                f"a request to {self._server} cannot even be made: {cause}. "
                "OPENAI_BASE_URL begins with http:// or https://"
            )
        never_sent = isinstance(cause, _NEVER_SENT)
        if isinstance(error, openai.APITimeoutError) and not never_sent:
            said = f"no answer within {self._wanted.request_timeout_s:g} s"
        else:
            said = f"connection failed: {cause or error}"
        return AttemptFailed(said, may_be_billed=not never_sent)

    def _status_error(self, error: openai.APIStatusError) -> Exception:
        said = self._without_key(" ".join(error.response.text.split()))[:500] or error.message
        status = error.status_code
        if status in _TRY_AGAIN or status >= 500:
            if "insufficient_quota" in said:
                return RequestRefused(f"the account has no credit left: {said}")
            wait_s = _retry_after_s(error.response.headers.get("retry-after"))
            return AttemptFailed(
                f"HTTP {status}: {said}", may_be_billed=False, status=status, retry_after_s=wait_s
            )
        hint = {
            401: "OPENAI_API_KEY is not one that this server takes",
            403: "the key may not do this",
            404: f"this server has no model {self._model!r}, or OPENAI_BASE_URL lacks its /v1",
        }.get(status, "see what it says of the arguments; -M name=value changes or adds one")
        if "tool" in said.lower():
            hint = "-M tool_format=fenced does without the server's tool calls"
        return RequestRefused(
            f"the model's server refused the request, HTTP {status}: {said}. {hint}"
        )


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


def _reply(content: bytes) -> Reply:
    try:
        body = untrusted_json(content)
        choice = body["choices"][0]
        message = choice["message"]
        if not isinstance(message, dict):
            raise TypeError("message is no object")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        start = content[:300].decode(errors="replace")
        raise AttemptFailed(
            f"an answer that is no chat completion ({type(error).__name__}): {start}",
            may_be_billed=True,
        ) from error
    raw = body.get("usage")
    return Reply(
        text=_text(message.get("content")) or _text(message.get("refusal")),
        calls=tuple(_calls(message.get("tool_calls"))),
        reasoning=_text(message.get("reasoning_content") or message.get("reasoning")),
        usage=_usage(raw),
        finish_reason=_text(choice.get("finish_reason")),
        model=_text(body.get("model")),
        fingerprint=_text(body.get("system_fingerprint")),
        raw_usage=raw if _small(raw) else None,
    )


def _calls(calls: Any) -> list[ToolCall]:
    found = []
    for index, call in enumerate(calls if isinstance(calls, list) else []):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        name = _text(function.get("name"))
        found.append(ToolCall(_text(call.get("id")) or f"call-{index}", name, arguments))
    return found


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
    """Counts by one rule: input includes cached, output reasoning; a part is at most the whole."""
    if not isinstance(raw, dict):
        return None
    read, written = _count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens"))
    if read is None or written is None:
        return None
    cached = _count(_part(raw, "prompt_tokens_details").get("cached_tokens")) or 0
    reasoning = _count(_part(raw, "completion_tokens_details").get("reasoning_tokens")) or 0
    return Usage(read, written, min(cached, read), min(reasoning, written))


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _count(value: Any) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12
    return value if good else None
