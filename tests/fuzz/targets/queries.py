"""What stands behind the `?` of an address of the review site: any page answers, and never fails.

The first character of an input picks the page. What is no part of an address is written as one
writes it there, as a browser does.
"""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes

import anyio
from starlette.types import ASGIApp, Message

from agent_eval.review.site import made
from tests.labels.labelled import run_of

PORT = 8765
PATHS = (
    *("/", "/search", "/compare", "/prefer", "/run/one", "/run/one/tail", "/run/one/pictures"),
    *("/run/one/labels", "/run/one/event/1", "/run/one/event/1/raw"),
)
SEEDS = (
    b"0scenario=small&model=m&found=R5&labels=some&spent=.5&sort=spent",
    b"1q=%22crontab+-%22+unset*&after=1",
    b"2a=one&b=other&a=nothing",
    b"4family=kernel&agent=0&under=1&from=2&at=3",
    b"4q=NEAR(a+b)+OR+%00%22&after=-1",
    b"4at=99999999999999999999&from=%D9%A3&under=x",
    b"5after=4&family=action&agent=%3Cx-owned%3E",
    b"8part=0&part=999999999",
    b"9after=1",
    b"1q=%3Cx-owned%3E%1B%5B2J%E2%80%AE%ED%A0%80",
)


@cache
def _site() -> ASGIApp:
    """Over two runs, in a folder that stays as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix="agent-eval-fuzz-"))
    run_of(folder / "runs", "one", stays=True, hides=True)
    run_of(folder / "runs", "other", model="another")
    folder.joinpath("cache").mkdir()
    return made(folder / "runs", PORT, {"token": ""}, folder / "cache")


def check(data: bytes) -> None:
    """An answer, no larger than a page may be, in which nothing that was asked acts."""
    path = PATHS[data[0] % 16 % len(PATHS)] if data else "/"
    query = quote_from_bytes(data[1:], safe="=&+%;!$'()*,-./:?@_~")
    status, body = anyio.run(_asked, path, query)
    assert status < 500, (path, query, status)
    assert len(body) < 1_000_000
    if path != "/run/one/event/1/raw" and any("<x-" in value for _, value in parse_qsl(query)):
        assert b"<x-" not in body


async def _asked(path: str, query: str) -> tuple[int, bytes]:
    said: list[Message] = []
    host = f"127.0.0.1:{PORT}"
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", host.encode()), (b"cookie", f"agent-eval-{PORT}=token".encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT), "state": {},
    }  # fmt: skip

    asked = iter(({"type": "http.request", "body": b"", "more_body": False},))

    async def receive() -> Message:
        for message in asked:
            return message
        await anyio.sleep_forever()  # who asked stays until the answer is whole
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    await _site()(scope, receive, send)
    body = b"".join(each.get("body", b"") for each in said)
    return int(said[0]["status"]), body
