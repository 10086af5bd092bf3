"""What the services of the world have in common in how they answer: errors, keys, limits, pages.

Requests come from a sandbox and are hostile: bodies are read to a limit, JSON is taken apart
strictly, and what does not fit is answered as a real service would, never raised.
"""

import hmac
from collections import deque
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from agent_eval.world.base import Origin

Form = TypeVar("Form", bound=BaseModel)


class Asked(BaseModel):
    """The JSON of a request: unknown fields are refused, types are not bent."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def origin_of(request: Request) -> Origin:
    """The sandbox that a request came from: known by its pipe, never by what it says."""
    origin: Origin = request.state.origin
    return origin


def page(text: str) -> Response:
    """A page of documentation, for `curl`."""
    return PlainTextResponse(text, media_type="text/markdown")


async def fault(_request: Request, error: Exception) -> Response:
    """A refusal as JSON; given to Starlette for `HTTPException`."""
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"error": {"status": error.status_code, "message": error.detail}},
        status_code=error.status_code,
        headers=error.headers,
    )


def keyed(request: Request, tokens: Mapping[str, str]) -> str:
    """Whose key a request carries, as `Authorization: Bearer KEY`; else 401.

    `tokens` has for each account its key; all are compared, each in constant time.
    """
    account = key_of(request, tokens)
    if account is None:
        raise HTTPException(
            401,
            "The key is missing or unknown. Send it as `Authorization: Bearer KEY`.",
            {"WWW-Authenticate": "Bearer"},
        )
    return account


def key_of(request: Request, tokens: Mapping[str, str]) -> str | None:
    """The same, None where it is missing or unknown."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    found = None
    if scheme.lower() == "bearer":
        for account, token in tokens.items():
            if hmac.compare_digest(token.encode(), given.strip().encode()):
                found = account
    return found


async def body_of(request: Request, limit_bytes: int) -> bytes:
    """The body, or 413 as soon as it is too large."""
    declared = request.headers.get("content-length", "")
    parts, size = [], 0
    if declared.isascii() and declared.isdigit() and int(declared[:18]) > limit_bytes:
        raise HTTPException(413, f"At most {limit_bytes} bytes.")
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise HTTPException(413, f"At most {limit_bytes} bytes.")
        parts.append(part)
    return b"".join(parts)


async def asked(request: Request, form: type[Form], limit_bytes: int) -> Form:
    """The JSON of the body in a form, or 400 with what is wrong with it."""
    try:
        return form.model_validate_json(await body_of(request, limit_bytes))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(400, f"{where}: {first['msg']}") from error


def number(request: Request, name: str, least: int, most: int, default: int) -> int:
    """A whole number of the query, or 400."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 12):
        raise HTTPException(400, f"{name}: a whole number from {least} to {most}")
    return max(least, min(most, int(given)))


class Quota:
    """How often somebody may do something in a span of the world's time."""

    def __init__(self, most: int, span_s: float) -> None:
        self._most, self._span_s = most, span_s
        self._done: dict[str, deque[float]] = {}

    def take(self, who: str, now_s: float) -> None:
        """Count one more, or 429 with how long to wait."""
        done = self._done.setdefault(who, deque())
        while done and done[0] <= now_s - self._span_s:
            done.popleft()
        if len(done) >= self._most:
            wait_s = int(done[0] + self._span_s - now_s) + 1
            raise HTTPException(
                429,
                f"At most {self._most} in {self._span_s:g} seconds. Try again in {wait_s} s.",
                {"Retry-After": str(wait_s)},
            )
        done.append(now_s)
