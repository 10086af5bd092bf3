"""The commands that every script here has done, ours or a peer's. Standard library only."""

import base64
import os
from pathlib import Path

NAMED = ("true", "echo")
ECHO_BYTES = 200


def command(kind: str) -> str:
    """The shell command of one step; `echo` prints other bytes each time."""
    return Path(kind).read_text(encoding="utf-8") if kind not in NAMED else " ".join(words(kind))


def words(kind: str) -> list[str]:
    """The same as a program and its arguments, for what starts one without a shell."""
    if kind == "true":
        return ["true"]
    if kind == "echo":
        return ["/bin/echo", _random_text()]
    return ["bash", "-c", command(kind)]


def _random_text() -> str:
    """Random bytes as a line of text that no shell changes, its line end counted."""
    return base64.b64encode(os.urandom(ECHO_BYTES)).decode()[: ECHO_BYTES - 1]
