"""A person opens pages of its own world, over the gateway, and none elsewhere."""

from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from agent_eval.world.visiting import Visiting
from tests.world.worlds import Served, Stage, staged

pytestmark = pytest.mark.anyio


class Site:
    """A site that keeps what was sent to it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/in", self._in, methods=["GET", "POST"]),
                Route("/away", self._away),
                Route("/hangs", self._hangs),
            ]
        )

    async def _in(self, request: Request) -> Response:
        body = (await request.body()).decode()
        self.seen.append((request.state.origin.sandbox, request.method, body))
        return PlainTextResponse("thanks" * 100_000)

    async def _away(self, _request: Request) -> Response:
        return RedirectResponse("http://site.internal/in")

    async def _hangs(self, _request: Request) -> Response:
        await anyio.sleep_forever()
        raise AssertionError


def visiting(stage: Stage) -> Visiting:
    gateway = stage.world.gateway
    return Visiting(gateway.connect, gateway.resolve, gateway.authority.pem.decode())


async def test_pages_are_opened_and_forms_sent_with_and_without_tls(tmp_path: Path) -> None:
    site = Site()
    async with staged(tmp_path, {"site": Served(site.app, ("site.internal",))}) as stage:
        visit = visiting(stage)
        assert await visit("http://site.internal/in?a=1", None) == 200
        assert await visit("https://site.internal/in", {"p": "tulip & 77"}) == 200
        assert await visit("http://site.internal/nothing", None) == 404
        assert await visit("http://site.internal/away", None) == 307, "and it is not followed"
    assert site.seen == [("person", "GET", ""), ("person", "POST", "p=tulip+%26+77")]


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "http://127.0.0.1/", "http://127.0.0.1:22/", "https://8.8.8.8/"),
        *("http://site.internal:8080/", "https://site.internal:80/", "http://localhost/"),
        *("http://", "http://[::1]/", "http://site.internal:99999/", "file:///etc/passwd"),
        *("http://site.internal\r\nx/", "http://\0/", "http://site.internal/\n", "gopher://x/"),
    ],
)
async def test_nothing_else_answers(tmp_path: Path, url: str) -> None:
    site = Site()
    async with staged(tmp_path, {"site": Served(site.app, ("site.internal",))}) as stage:
        assert await visiting(stage)(url, None) in (None, 404)
    assert site.seen == []
