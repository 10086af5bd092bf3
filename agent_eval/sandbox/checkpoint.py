"""A sandbox under gVisor with all its memory, saved while it runs and restored into another.

gVisor itself does both; `sandbox/runsc-recorded` lets it restore where the engine says start. What
passes between the two lies in the sandbox's folder in the meeting place, on the host; nothing of it
can be seen inside.
"""

import os
import subprocess
from pathlib import Path

import anyio

from agent_eval.errors import NoSnapshot
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.settings import Asked

RUNSC = "/usr/bin/runsc"
ROOT, IMAGE = "root", "snapshot"
"""In a sandbox's folder: where gVisor keeps what it knows, and what it is to be restored from."""

AT_MOST_S = 300.0
"""Seconds that gVisor may take for one thing."""


def hindrance(asked: Asked, container: str) -> str | None:
    """Why the memory of a sandbox cannot be saved, and what to type; None if it can."""
    if not asked.gvisor:
        return "only gVisor can save the memory of a sandbox, and this one runs under runc"
    if os.geteuid() != 0:
        return "saving the memory of a sandbox takes root: run the same with sudo"
    if not (MEETING_PLACE / container).is_dir() or not Path(RUNSC).exists():
        return "the engine is on another machine, or was set up by hand: `agent-eval setup`"
    if not (MEETING_PLACE / container / ROOT).exists():
        return "gVisor is registered by another version; type `agent-eval setup --runtimes`"
    return None


async def save(container: str, folder: Path) -> None:
    """Save a sandbox, which goes on; raises `NoSnapshot` where gVisor cannot.

    As it is, since to compress it the sandbox would stand still ten times as long.
    """
    how = ("--leave-running", "--compression=none", "--image-path", str(folder))
    await _runsc(container, "checkpoint", *how, container)


async def name_host(container: str, hostname: str) -> None:
    """Give a copy a host name of its own, which PID 1 has not the power to do."""
    python = ["python3", "-ISc", "import socket, sys; socket.sethostname(sys.argv[1])", hostname]
    await _runsc(container, "exec", "--user", "0:0", "--cap", "CAP_SYS_ADMIN", container, *python)


async def _runsc(container: str, *words: str) -> None:
    """Have gVisor do something, whatever becomes of us; raises `NoSnapshot` where it cannot."""
    root = (MEETING_PLACE / container / ROOT).read_text(encoding="utf-8")
    what = words[0]
    with anyio.CancelScope(shield=True), anyio.move_on_after(AT_MOST_S):
        done = await anyio.run_process(
            [RUNSC, "--root", root, *words], stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode == 0:
            return
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise NoSnapshot(f"gVisor refused to {what}: {said}")
    raise NoSnapshot(f"gVisor did not {what} within {AT_MOST_S:g} s")


def knows(container: str) -> bool:
    """Whether the runtime of a container that has started knows what to restore it from."""
    return (MEETING_PLACE / container / ROOT).exists()


def offer(place: Path, folder: Path) -> None:
    """Let the sandbox whose folder that is be restored instead of started."""
    place.joinpath(IMAGE).symlink_to(folder.resolve())
