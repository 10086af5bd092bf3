"""The review site on a port of this machine, and a reader that speaks HTTP with it."""

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import uvicorn

from agent_eval.review.site import made

TOKEN = "token-of-a-reader"


@dataclass
class Answer:
    """What the site said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Its body."""
        return self.body.decode()


@dataclass
class Reader:
    """Asks a site that listens at a port."""

    port: int
    cookie: str = ""

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, on a connection of its own."""
        talk = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {"Cookie": self.cookie} if self.cookie else {}
        if body is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        talk.request(method, path, urlencode(body or {}), given | dict(headers or {}))
        answer = talk.getresponse()
        got = Answer(answer.status, dict(answer.getheaders()), answer.read())
        talk.close()
        return got

    def enter(self, token: str = TOKEN) -> Answer:
        """Come in by the printed address, and keep the cookie."""
        got = self.ask(f"/?token={token}")
        self.cookie = got.headers.get("set-cookie", "").partition(";")[0]
        return got


@contextmanager
def served(folder: Path, cache: Path, readers: Mapping[str, str] | None = None) -> Iterator[Reader]:
    """A site over a folder of runs; its reader has come in."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    cache.mkdir(exist_ok=True)
    site = made(folder, port, readers or {TOKEN: ""}, cache)
    server = uvicorn.Server(uvicorn.Config(site, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    reader = Reader(port)
    reader.enter(next(iter(readers or {TOKEN: ""})))
    try:
        yield reader
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
