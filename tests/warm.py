"""The command line in a process that has imported it already: the same without its first second.

Half of what a short run costs is importing. A server that did so, and nothing else, forks for every
call; what is forked gets the arguments, the environment, the folder and the streams of the call,
runs `agent_eval/__main__.py`, and ends as any interpreter does. Tests that kill, signal or type at
the command start the real one, and so do some of each kind.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

HERE = Path(__file__).parents[1]
MOST_BYTES = 200_000
"""Of what is said of a call; environments are a few thousand."""

COMMANDS = ("run", "replay", "branch", "resume", "show", "grade", "verify", "status", "reap",
            "calibrate", "probe", "steer", "approve")  # fmt: skip


def call(
    arguments: list[str], env: Mapping[str, str] | None = None, *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Have a process forked for this call, and wait for it as `subprocess.run` does."""
    said = {
        "arguments": arguments,
        "env": dict(os.environ if env is None else env),
        "cwd": str(Path.cwd()),
    }
    told, telling = socket.socketpair()
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    with (
        told,
        os.fdopen(out, encoding="utf-8") as output,
        os.fdopen(err, encoding="utf-8") as errors,
    ):
        given = [0, out_end, err_end, telling.fileno()]
        socket.send_fds(_server(), [json.dumps(said).encode()], given)
        telling.close()
        os.close(out_end)
        os.close(err_end)
        with told.makefile() as lines, ThreadPoolExecutor(2) as readers:
            pid = int(lines.readline())
            late = threading.Timer(timeout_s, os.kill, (pid, signal.SIGKILL))
            late.start()
            text = [readers.submit(stream.read) for stream in (output, errors)]
            code = int(lines.readline())
            was_late = not late.is_alive()
            late.cancel()
            stdout, stderr = (each.result() for each in text)
    if was_late:
        raise subprocess.TimeoutExpired(arguments, timeout_s, stdout, stderr)
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


@cache
def _server() -> socket.socket:
    """The way to the server of this process; it ends when nobody can ask it any more."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(there.fileno())],
            cwd=HERE,
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    atexit.register(server.wait)
    atexit.register(here.close)
    return here


def serve(asked: socket.socket) -> None:
    """Fork for every call; who returns from here is the call's own process, ready to begin."""
    for command in COMMANDS:
        importlib.import_module(f"agent_eval.cli.{command}")
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "what has threads cannot be forked"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for a call ends unheard
    while True:
        said, given, _, _ = socket.recv_fds(asked, MOST_BYTES, 4)
        if not said:
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in given:
            os.close(descriptor)
    asked.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, telling = given
    if pid := os.fork():
        _wait(pid, streams, telling)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, max(given) + 1)
    become(json.loads(said))


def _wait(pid: int, streams: list[int], telling: int) -> None:
    """Say which process it is, and then what its exit code is."""
    for descriptor in streams:
        os.close(descriptor)
    os.write(telling, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(telling, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(said: dict[str, object]) -> None:
    """Be in the folder, with the environment and the arguments of a call."""
    environment, arguments, folder = said["env"], said["arguments"], str(said["cwd"])
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv[1:] = arguments


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("agent_eval", run_name="__main__", alter_sys=True)
