"""What this machine can do: each feature on or off, why, and how to turn it on.

`doctor` prints them. A part of the program that has a feature of the machine's adds a line here.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.basics.resources import shipped
from agent_eval.sandbox.checkpoint import RUNSC
from agent_eval.sandbox.engine import HOW_TO_GET_ONE
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.seccomp_record import unavailable
from agent_eval.sandbox.settings import GVISOR
from agent_eval.sandbox.sources import WRAPPER, Choice

ADD_RUNTIMES = "`agent-eval setup --runtimes` adds it where gVisor is installed"

_LIMITS = {
    "memory_bytes, no swap": "memory limit",
    "processes": "process limit",
    "writable folders": "disk limit",
}
"""Rows of the audit that are limits of a run, and what they are called here."""


@dataclass(frozen=True)
class Feature:
    """One thing that is on or off."""

    name: str
    on: bool
    why: str
    how: str = ""
    """What to do to turn it on, where something can be done."""
    needed: bool = False
    """Whether no scenario runs without it."""

    def lines(self) -> list[str]:
        """For a person to read."""
        first = f"{'on ' if self.on else 'OFF'}  {self.name}: {self.why}"
        return [first] if self.on or not self.how else [first, f"     to turn it on: {self.how}"]


def engine(facts: dict[str, Any]) -> list[Feature]:
    """The engine, and how it counts what sandboxes use; `facts` are the engine's."""
    words = f"Docker {facts['engine']} on {facts['system']}, kernel {facts['kernel']}"
    version = facts["cgroup_version"]
    return [
        Feature("engine", True, words, needed=True),
        Feature("control groups", True, f"version {version}; what they hold is measured below"),
    ]


def failed(name: str, error: Exception, *, needed: bool) -> Feature:
    """A feature that could not be brought up; how to get it stands in a line of its own."""
    why = str(error).removesuffix(f". {HOW_TO_GET_ONE}")
    return Feature(name, False, why, HOW_TO_GET_ONE, needed)


def packages(client: str, names: Collection[str]) -> Feature:
    """What `pip` or `apt-get` finds in a world, by name, of what set-up fetched."""
    name = f"packages of {client} for worlds"
    if not names:
        how = f"`agent-eval setup` fetches them where {client} reaches its index"
        return Feature(name, False, "none are there: it finds nothing", how)
    return Feature(name, True, f"{len(set(names))}, each by its pinned digest")


def limits(runtime: str, rows: Iterable[Row]) -> list[Feature]:
    """What an audited sandbox on a runtime is limited in."""
    found = []
    for row in rows:
        if row.setting in _LIMITS:
            name = f"{_LIMITS[row.setting]} under {runtime}"
            what = row.measured if row.measured is not None else row.stated
            how = "choose the other runtime, with --runtime or in the scenario's sandbox part"
            why = f"{_amount(row.asked)} asked for, {_amount(what)} found"
            why = row.note.removeprefix("absent: ") or why
            found.append(Feature(name, row.ok and not row.note, why, how))
    return found


def _amount(value: Any) -> str:
    """One number, or the numbers of several folders together."""
    if isinstance(value, dict) and all(isinstance(each, int) for each in value.values()):
        return f"{sum(value.values()):,} bytes in {len(value)} folders"
    return f"{value:,}" if isinstance(value, int) else str(value)


def kernel_record(facts: dict[str, Any]) -> Feature:
    """Whether sandboxes under runc can have a kernel record."""
    why = unavailable(facts)
    what = "programs that start and addresses they connect to, as the kernel sees them"
    return Feature("kernel record under runc", why is None, why or what)


def gvisor_record(choice: Choice) -> Feature:
    """Whether a sandbox under gVisor had a kernel record while it came up."""
    name = "kernel record under gVisor"
    if choice.source is None:
        return Feature(name, False, choice.why or "", "agent-eval setup --runtimes")
    told, lost = len(choice.source.drain()), choice.source.lost
    return Feature(name, True, f"{told} facts while a sandbox came up, {lost} lost")


def checkpoints(facts: dict[str, Any]) -> Feature:
    """Whether a running sandbox can be saved with its memory, and copied."""
    name, runtime = "checkpoints", facts["runtimes"].get(GVISOR)
    if runtime is None:
        return Feature(name, False, "only gVisor can save memory", ADD_RUNTIMES)
    if not facts["local"] or not Path(RUNSC).exists():
        return Feature(name, False, "gVisor runs where the engine is, and that is not here")
    if os.geteuid() != 0:
        return Feature(name, False, "saving memory takes root", "the same with sudo")
    if not _is_current(Path(runtime["path"] or "")):
        why = f"{GVISOR} is registered by another version, or by hand"
        return Feature(name, False, why, "agent-eval setup --runtimes")
    return Feature(name, True, "a running sandbox is saved with its memory, and others begin as it")


def _is_current(wrapper: Path) -> bool:
    """Whether what the engine calls is what this version brings."""
    try:
        return wrapper.read_bytes() == shipped("sandbox").joinpath(WRAPPER).read_bytes()
    except OSError:
        return False
