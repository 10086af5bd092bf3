"""One request over HTTP, with a limit on everything in it that could go on for ever.

Used by `openai_chat` alone. Promises that a request ends, whatever the other end does: there is a
limit for connecting, for the wait until an answer begins, for silence within it, for the whole, and
for its size. Whoever is told of a failure is told whether the request had left by then. Never
follows a redirect, for the key and the conversation would go along, and never unpacks anything:
answers are asked for as they are.
"""

from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import openai

from agent_eval.errors import OperatorError
from agent_eval.models.base import AttemptFailed
from agent_eval.scenario.model import ModelArguments

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""A reply of 100,000 tokens takes a tenth of it."""


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: httpx2.Headers
    content: bytes


class _Clock:
    """One deadline that moves as the request gets on, never past the deadline of the whole."""

    def __init__(self, limits: ModelArguments) -> None:
        self.scope = anyio.CancelScope()
        self.sent = False
        """Whether anything of the request itself may have reached the server."""
        self._limits = limits
        self._end = anyio.current_time() + limits.request_timeout_s
        self._allow(limits.connect_timeout_s, "no connection within {:g} s (connect_timeout_s)")

    def _allow(self, limit_s: float, words: str) -> None:
        deadline = anyio.current_time() + limit_s
        self.words = words.format(limit_s)
        if deadline >= self._end:
            whole_s = self._limits.request_timeout_s
            deadline = self._end
            self.words = f"no whole answer within {whole_s:g} s (request_timeout_s)"
        self.scope.deadline = deadline

    async def notice(self, event: str, info: dict[str, Any]) -> None:
        """What the client says of its progress; a proxy is asked for a way through before."""
        if not event.endswith("send_request_headers.started"):
            return
        if info["request"].method != b"CONNECT":
            self.sent = True
            self._allow(
                self._limits.first_byte_timeout_s,
                "no answer began within {:g} s of sending (first_byte_timeout_s)",
            )

    def heard(self) -> None:
        """Something of the answer came."""
        self._allow(
            self._limits.idle_timeout_s,
            "the answer stopped in its middle and {:g} s passed (idle_timeout_s)",
        )


class _Bounded(httpx2.AsyncClient):
    """What the `openai` client sends with: an answer is here whole, or the request has failed."""

    def __init__(self, limits: ModelArguments, transport: httpx2.AsyncBaseTransport | None) -> None:
        super().__init__(transport=transport, timeout=None)  # else the library's own 5 s hold
        self._limits = limits

    async def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        clock = _Clock(self._limits)
        request.extensions = {"trace": clock.notice}
        try:
            with clock.scope:
                return await self._answer(request, clock)
        except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
            raise OperatorError(
                f"a request cannot even be made ({type(error).__name__}): look at the key, and at "
                "proxies in the environment"
            ) from error
        except httpx2.HTTPError as error:
            where = request.url.netloc.decode()
            said = f"connection failed, {where}: {str(error) or type(error).__name__}"
            raise AttemptFailed(said, may_be_billed=clock.sent) from error
        raise AttemptFailed(clock.words, may_be_billed=clock.sent)

    async def _answer(self, request: httpx2.Request, clock: _Clock) -> httpx2.Response:
        response = await super().send(request, stream=True, follow_redirects=False)
        try:
            body = await _body(response, clock)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        return httpx2.Response(
            response.status_code, headers=response.headers, content=body, request=request
        )


async def _body(response: httpx2.Response, clock: _Clock) -> bytes:
    clock.heard()
    status = response.status_code
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        said = f"an answer packed as {encoding[:10]}, which was not asked for"
        raise AttemptFailed(said, may_be_billed=True, status=status)
    body = bytearray()
    async for chunk in response.aiter_raw():
        clock.heard()
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            said = f"an answer was cut off at {MAX_ANSWER_BYTES} bytes"
            raise AttemptFailed(said, may_be_billed=True, status=status)
    return bytes(body)


class Wire:
    """Connections to one server, by the `openai` client, whose own retries are off."""

    def __init__(
        self,
        address: str,
        key: str | None,
        limits: ModelArguments,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=address,
            max_retries=0,
            timeout=None,
            http_client=_Bounded(limits, transport),
        )
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._no_key = {} if key else {"Authorization": openai.Omit()}

    async def post(self, path: str, content: bytes) -> Answer:
        """Send these bytes once; raises `AttemptFailed`, or `OperatorError` for a bad address."""
        try:
            response = await self._client.post(
                path,
                content=content,
                options={"headers": {**self._headers, **self._no_key}},
                cast_to=httpx2.Response,
            )
        except openai.APIStatusError as error:
            response = error.response
        return Answer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
