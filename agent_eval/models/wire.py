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

from agent_eval.errors import OperatorError
from agent_eval.models.base import AttemptFailed
from agent_eval.scenario import ModelArguments

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


class Wire:
    """Connections to one server."""

    def __init__(
        self,
        address: str,
        headers: dict[str, str],
        limits: ModelArguments,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._address = address.rstrip("/")
        self._headers = headers | {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        self._limits = limits
        self._client = client or httpx2.AsyncClient()

    async def post(self, path: str, content: bytes) -> Answer:
        """Send these bytes once; raises `AttemptFailed`, or `OperatorError` for a bad address."""
        clock = _Clock(self._limits)
        try:
            with clock.scope:
                return await self._exchanged(path, content, clock)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
            raise OperatorError(f"a request cannot even be made: {error}") from error
        except httpx2.HTTPError as error:
            said = f"connection failed: {str(error) or type(error).__name__}"
            raise AttemptFailed(said, may_be_billed=clock.sent) from error
        raise AttemptFailed(clock.words, may_be_billed=clock.sent)

    async def _exchanged(self, path: str, content: bytes, clock: _Clock) -> Answer:
        exchange = self._client.stream(
            "POST",
            self._address + path,
            content=content,
            headers=self._headers,
            timeout=None,
            follow_redirects=False,
            extensions={"trace": clock.notice},
        )
        async with exchange as response:
            clock.heard()
            encoding = response.headers.get("content-encoding", "identity")
            if encoding.lower() != "identity":
                said = f"an answer packed as {encoding[:40]}, which was not asked for"
                raise AttemptFailed(said, may_be_billed=True, status=response.status_code)
            body = bytearray()
            async for chunk in response.aiter_raw():
                clock.heard()
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    said = f"an answer was cut off at {MAX_ANSWER_BYTES} bytes"
                    raise AttemptFailed(said, may_be_billed=True, status=response.status_code)
            return Answer(response.status_code, response.headers, bytes(body))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
