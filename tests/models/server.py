"""A real HTTP server on this machine that answers as it is told and keeps the bytes that came."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-planted-canary-key-1234567890"


@dataclass(frozen=True)
class Answer:
    """What one request gets; `raw` bytes take the place of a well-formed answer."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    delay_s: float = 0

    def as_bytes(self) -> bytes:
        """The whole answer as it goes over the wire."""
        if self.raw is not None:
            return self.raw
        data = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        lines = [f"HTTP/1.1 {self.status} Whatever", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (head | self.headers).items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@dataclass
class Came:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Where it is, and what came."""

    address: str
    came: list[Came]


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    """Answer requests in order, the last answer again and again."""
    came: list[Came] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came.append(Came(self.path, headers, body))
            answer = answers[min(len(came), len(answers)) - 1]
            time.sleep(answer.delay_s)
            self.close_connection = True
            try:
                self.wfile.write(answer.as_bytes())
            except OSError:
                return  # the client has gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}/v1", came)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_at(monkeypatch: pytest.MonkeyPatch, address: str, key: str = KEY) -> None:
    """Set what an operator would set."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_BASE_URL", address)


USAGE = {"prompt_tokens": 100, "completion_tokens": 20}


def completion(
    text: Any = "", calls: Sequence[tuple[str, Any]] = (), usage: Any = USAGE, **message: Any
) -> dict[str, Any]:
    """A chat completion as servers send it."""
    said = {"role": "assistant", "content": text, **message}
    if calls:
        said["tool_calls"] = [
            {
                "id": f"c{number}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for number, (name, given) in enumerate(calls)
        ]
    return {
        "id": "x",
        "model": "made-up-2026-01-01",
        "system_fingerprint": "fp_7",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": usage,
    }
