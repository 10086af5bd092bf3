"""What an attack is: what an unfriendly agent does, and what must come of it.

The lists of attacks lie beside this file, one theme each, and campaign.py has them all.
tests/escape/attacking.py carries one out through a whole run. A program says in lines that begin
with `> ` what it came to; that goes into the table of sandbox/README.md and, being the word of a
sandbox, proves nothing by itself: see `Attack.held`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BOTH = ("runc", "runsc")
GOES_ON = "goes on"
"""The agent gets on record and hands in its answer, and both of its sessions answer once more."""
MUTE = "goes on, a session refused"
"""It goes on, but the agent has left itself no room for a session."""
PATIENCE_S = 60.0
"""What an action that ends by itself may take: the machine may be busy."""
MODEL, LIMIT = "ends: model", "ends: limit"
"""The sandbox is dead or ended, and the run with it, with this to blame."""


@dataclass(frozen=True)
class Step:
    """One action."""

    tool: str
    code: str
    timeout_s: float


@dataclass(frozen=True)
class Attack:
    """One attack."""

    name: str
    steps: tuple[Step, ...]
    held: str | dict[str, str] = ""
    """What must be found in its output, as a regular expression, unless the sandbox died of it."""
    never: str = ""
    """What must not be found there."""
    ends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The endings there may be, by runtime; where nothing is said, only that the run goes on."""
    wishes: dict[str, Any] = field(default_factory=dict)
    """Fields of the scenario's sandbox."""
    runtimes: tuple[str, ...] = BOTH
    lies: bool = False
    """Its bash steps are done by PID 1 itself, which has been taken over."""
    evidence: bool = True
    """Whether the file that it wrote before must be among those that are taken out after."""
    heavy: bool = False
    """Only for the whole campaign: it takes more than some seconds."""
    note: str = ""
    """A word for the table on what is not held."""


def bash(code: str, timeout_s: float = PATIENCE_S) -> Step:
    """A command for the shell session."""
    return Step("bash", code, timeout_s)


def python(code: str, timeout_s: float = PATIENCE_S) -> Step:
    """Code for the Python session."""
    return Step("python", code, timeout_s)
