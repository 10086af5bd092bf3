"""The harness's end of the watchdog."""

import atexit
import json
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import agent_eval

END_S = 60.0
"""Seconds the watchdog has to end when there is nothing left for it to do."""


class Leash:
    """Holds one watchdog for all runs of this process; it is started when the first is watched."""

    def __init__(self) -> None:
        self._watched: dict[str, dict[str, Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, run: str, folder: Path, lease_s: float) -> None:
        """Have a run looked after from now on; to be called before it has any sandbox."""
        self._watched[run] = {"run": run, "folder": str(folder.resolve()), "lease_s": lease_s}
        self._say({"watch": self._watched[run]})

    def forget(self, run: str) -> None:
        """The run has ended and its sandboxes are gone."""
        self._watched.pop(run, None)
        self._say({"forget": run})

    def _say(self, message: dict[str, Any]) -> None:
        """Tell the watchdog; where it has ended itself, tell a new one all there is."""
        if self._process is not None and _told(self._process, [message]):
            return
        self.close()
        self._process = _started()
        _told(self._process, [{"watch": each} for each in self._watched.values()])

    def close(self) -> None:
        """Let go; the watchdog then looks after whatever is still watched."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.stdin:
            process.stdin.close()
        if not self._watched:
            process.wait(END_S)
        process.returncode = process.poll() or 0  # one that has work to do is nobody's to wait for


def _told(process: "subprocess.Popen[bytes]", messages: list[dict[str, Any]]) -> bool:
    """Whether the watchdog took it; each message is one write that no death can tear."""
    assert process.stdin
    try:
        for message in messages:
            os.write(process.stdin.fileno(), json.dumps(message).encode() + b"\n")
    except OSError:
        return False
    return True


def _started() -> "subprocess.Popen[bytes]":
    """A watchdog in a session of its own, which nothing that ends this process reaches."""
    here = str(Path(agent_eval.__file__).resolve().parents[1])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return subprocess.Popen(
        [sys.executable, "-m", "agent_eval.watchdog"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


@cache
def leash() -> Leash:
    """The one of this process."""
    held = Leash()
    atexit.register(_let_go, held)
    return held


def _let_go(held: Leash) -> None:
    """As this process ends; a Ctrl-C now would only change what it says of its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    held.close()
