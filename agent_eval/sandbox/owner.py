"""Which process of which user a sandbox belongs to, written on it before it starts.

A process number alone is not enough: numbers are used again, and an engine can serve several
machines. Where the owner cannot be told dead for certain, it counts as alive.
"""

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "unknown"


def owner() -> str:
    """This process: machine boot, process number, when it started, and its user's number."""
    return f"{boot()}:{os.getpid()}:{_started(os.getpid())}:{os.getuid()}"


def owner_is_gone(label: str) -> bool:
    """Whether the process that wrote this label is known to have ended."""
    machine, pid, started, _ = _parts(label)
    return machine == boot() and pid.isdigit() and _started(int(pid)) != started


def owner_lives(label: str) -> bool:
    """Whether the process that wrote this label is known to be there."""
    machine, pid, started, _ = _parts(label)
    here = machine == boot() != _UNKNOWN and pid.isdigit()
    return here and _started(int(pid)) == started != ""


def is_ours(label: str) -> bool:
    """Whether this user wrote the label; one that names no user is nobody's."""
    return _parts(label)[3] == str(os.getuid())


def _parts(label: str) -> list[str]:
    return (label.split(":") + [""] * 4)[:4]


def boot() -> str:
    """Which start of this machine it is."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return _UNKNOWN


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks since boot; empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
