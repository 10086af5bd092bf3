"""Which kernel record a sandbox can have: decided before it is made, and never in silence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.errors import EngineUnavailable
from agent_eval.sandbox.engine import runtime_for
from agent_eval.sandbox.gvisor import GvisorSource
from agent_eval.sandbox.kernel import MEETING_PLACE, Source
from agent_eval.sandbox.seccomp_record import SeccompRecord, unavailable
from agent_eval.sandbox.settings import GVISOR
from agent_eval.scenario.model import Sandbox

WRAPPER = "runsc-recorded"


@dataclass(frozen=True)
class Choice:
    """A runtime, and who tells what happens in it."""

    runtime: str
    source: Source | None
    why: str | None = None
    """Why there is no source."""


def chosen(wishes: Sandbox, facts: dict[str, Any]) -> Choice:
    """The runtime and the source for a scenario's wishes; `facts` are the engine's.

    Raises `EngineUnavailable` where they cannot be had.
    """
    runtime = runtime_for(wishes.runtime, facts)
    if wishes.record == "off":
        return Choice(runtime, None, "it is switched off")
    why = _hindrance(runtime, facts)
    if why is None and runtime == GVISOR:
        return Choice(runtime, GvisorSource(wishes.marked))
    if why is None:
        return Choice(runtime_for(wishes.runtime, facts, recorded=True), SeccompRecord())
    if wishes.record == "required":
        raise EngineUnavailable(f"the scenario requires the kernel record, but {why}")
    return Choice(runtime, None, why)


def _hindrance(runtime: str, facts: dict[str, Any]) -> str | None:
    """Why there can be no record with this runtime, or None."""
    if not facts["local"]:
        return "the engine is on another machine, and its kernel cannot report to this one"
    if runtime != GVISOR:
        return unavailable(facts)
    if Path(facts["runtimes"][runtime]["path"] or "").name != WRAPPER or not MEETING_PLACE.is_dir():
        return f"{runtime} is registered without it; `agent-eval setup --runtimes` renews that"
    return None
