"""Who is let in, and what every answer says to the browser.

Only a browser on this machine that was given the token comes in: the token stands in the printed
address, is exchanged for a cookie at the first visit and then taken out of the address. A page of
another site cannot speak with this one: requests under another Host are refused (a name that was
pointed at this machine), and so are writes with another Origin. What a transcript holds can neither
run a script nor load anything, whatever a template forgets.
"""

import hmac
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with none, browsers hide the Origin of a form, too
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
READS = ("GET", "HEAD")


class Door:
    """Lets a request through to the site, or answers it itself."""

    def __init__(self, app: ASGIApp, port: int, readers: Mapping[str, str]) -> None:
        """`readers` maps each token to the name of who holds it; it may grow later."""
        self._app = app
        self.readers = readers
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._cookie = f"agent-eval-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._refused(scope) or self._let_in(scope)
        await (answer or self._app)(scope, receive, sending)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self.hosts:
            return PlainTextResponse("This site answers to its own address only.\n", 421)
        if scope["method"] not in READS and headers.get("origin") != f"http://{host}":
            return PlainTextResponse("Nothing can be written from another site.\n", 403)
        return None

    def _let_in(self, scope: MutableMapping[str, Any]) -> Response | None:
        """Note who reads, or say why nobody does."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = dict(query).get("token")
        if token is not None and self._reader(token) is not None:
            rest = urlencode([each for each in query if each[0] != "token"])
            path = "/" + scope["path"].lstrip("/")  # two slashes would lead to another site
            away = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            away.set_cookie(self._cookie, token, httponly=True, samesite="strict")
            return away
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        reader = self._reader(cookies.get(self._cookie, ""))
        if reader is None:
            return PlainTextResponse(
                "Open the whole address that `agent-eval view` printed, with its token.\n", 403
            )
        scope.setdefault("state", {})["reader"] = reader
        return None

    def _reader(self, token: str) -> str | None:
        found = None
        for known, name in self.readers.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "surrogatepass")):
                found = name
        return found
