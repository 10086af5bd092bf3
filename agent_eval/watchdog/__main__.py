"""The watchdog's process: waits for the end of the harness, and imports no more than that takes."""

import json
import signal
import sys
from typing import Any, BinaryIO


def wait(pipe: BinaryIO) -> list[dict[str, Any]]:
    """Listen to the harness until it ends; returns what it then left to be looked after."""
    watched: dict[str, dict[str, Any]] = {}
    for line in pipe:
        message = json.loads(line)
        if "watch" in message:
            watched[message["watch"]["run"]] = message["watch"]
        else:
            watched.pop(message["forget"], None)
    return list(watched.values())


def main() -> None:
    """Wait, and then look after what is left, if anything."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = wait(sys.stdin.buffer)
    if left:
        from agent_eval.watchdog.lost import look_after

        look_after(left)


if __name__ == "__main__":
    main()
