"""Which process a sandbox belongs to, written on it before it starts.

A process number alone is not enough: numbers are used again, and an engine can serve several
machines. Where the owner cannot be told dead for certain, it counts as alive.
"""

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "unknown"


def owner() -> str:
    """This process: machine boot, process number, and when it started."""
    return f"{boot()}:{os.getpid()}:{_started(os.getpid())}"


def owner_is_gone(label: str) -> bool:
    """Whether the process that wrote this label is known to have ended."""
    machine, _, rest = label.partition(":")
    pid, _, started = rest.partition(":")
    if machine != boot() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def owner_is_there(label: str) -> bool:
    """Whether the process that wrote this label is known to live, on this machine."""
    machine, _, _ = label.partition(":")
    return machine == boot() != _UNKNOWN and label.count(":") == 2 and not owner_is_gone(label)


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
