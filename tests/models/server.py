"""A real HTTP server on this machine that answers as it is told and keeps the bytes that came."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-planted-canary-key-1234567890"


@dataclass(frozen=True)
class Answer:
    """What one request gets; `raw` takes the place of a well-formed answer.

    It is bytes, or bytes and seconds of silence in turn.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | Sequence[bytes | float] | None = None
    delay_s: float = 0

    def parts(self) -> Sequence[bytes | float]:
        """What goes over the wire, and the silence in between."""
        if self.raw is None:
            return [self.as_bytes()]
        return [self.raw] if isinstance(self.raw, bytes) else self.raw

    def as_bytes(self) -> bytes:
        """A well-formed answer as it goes over the wire."""
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
    busy: int = 0
    most_busy: int = 0
    """Requests that waited for an answer at the same time."""


@contextmanager
def serving(*answers: Answer | Callable[[Server], Answer]) -> Iterator[Server]:
    """Answer requests in order, the last answer again and again."""
    stopped, lock = threading.Event(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                there.came.append(Came(self.path, headers, body))
                there.busy += 1
                there.most_busy = max(there.busy, there.most_busy)
                answer = answers[min(len(there.came), len(answers)) - 1]
                answer = answer(there) if callable(answer) else answer
            self.close_connection = True
            stopped.wait(answer.delay_s)
            with lock:  # before the client can know of the answer, and ask again
                there.busy -= 1
            try:
                for part in answer.parts():
                    if isinstance(part, bytes):
                        self.wfile.write(part)
                    else:
                        stopped.wait(part)
            except OSError:
                return  # the client has gone

        def log_message(self, *_: object) -> None:
            pass

    class Listening(ThreadingHTTPServer):
        request_queue_size = 128

    server = Listening(("127.0.0.1", 0), Handler)
    there = Server(f"http://127.0.0.1:{server.server_port}/v1", [])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield there
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def deaf() -> Iterator[Server]:
    """A place that never takes a connection: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        try:
            yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", [])
        finally:
            for each in waiting:
                each.close()


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
