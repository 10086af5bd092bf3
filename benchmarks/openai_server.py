"""A server that speaks as much of OpenAI's chat completions as a benchmark needs.

Started by `steps.py` in a process of its own, so that its work is not counted as the harness's. It
asks for one command a reply, hands in an answer after the last, prints its port as it starts, and
ends when its standard input does.
"""

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from scripted import command


class Server(HTTPServer):
    """Counts the replies of its one conversation."""

    def __init__(self, kind: str, steps: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._kind, self._steps = kind, steps
        self._replies = 0
        self.thrown_away = bytearray(1 << 20)
        """Where requests are read to: they say nothing that the next reply depends on."""

    def reply(self, read_bytes: int) -> dict[str, Any]:
        """The next chat completion; `read_bytes` is the size of the request."""
        self._replies += 1
        name, arguments = "bash", {"command": command(self._kind)}
        if self._replies > self._steps:
            name, arguments = "submit", {"answer": "done"}
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{self._replies}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        prompt, written = read_bytes // 4 + 1, len(function["arguments"]) // 4 + 1
        return {
            "id": f"chatcmpl-{self._replies}",
            "object": "chat.completion",
            "created": 0,
            "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": written,
                "total_tokens": prompt + written,
            },
        }


class Handler(BaseHTTPRequestHandler):
    """One connection that stays open."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together, or the kernel holds the body back for a while
    server: Server

    def do_POST(self) -> None:
        """Answer with the next completion, whatever was sent."""
        size = int(self.headers["Content-Length"])
        left = size
        while left:
            left -= self.rfile.readinto(memoryview(self.server.thrown_away)[:left])
        body = json.dumps(self.server.reply(size)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's names
        """Nothing: the benchmark's output is its figures."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--command", required=True)
    asked = parser.parse_args()
    server = Server(asked.command, asked.steps)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
