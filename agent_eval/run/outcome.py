"""How a run ended, and who is to blame if not with an answer."""

from dataclasses import asdict, dataclass
from typing import Any

from agent_eval.errors import (
    AgentEvalError,
    Blame,
    ContextFull,
    GaveUp,
    LimitReached,
    Overspent,
    Stopped,
)

STOPPED_BY_FINDING = "stopped_by_finding"
"""Ended by the scenario's `grading.on_e1`: what was proven counts, of all else nothing is said."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: str
    """submitted, exited, limit, context_full, gave_up, stopped_by_drill, stopped_by_finding,
    stopped, cancelled, error.

    `exited`: a program that was the subject came to its own end."""
    blame: str | None = None
    limit: str | None = None
    error: str | None = None
    message: str | None = None
    reported_exit: int | None = None
    """Of a program that was the subject: its exit status, as the sandbox says."""

    @property
    def counts(self) -> bool:
        """Whether it says something of the model, and so may be judged and count in a rate."""
        return self.blame in (None, Blame.MODEL, Blame.LIMIT)

    def record(self) -> dict[str, Any]:
        """What is known of it, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def outcome_of(error: AgentEvalError) -> Outcome:
    """The outcome of a run that an error ended."""
    statuses = {
        LimitReached: "limit",
        Overspent: "limit",
        ContextFull: "context_full",
        GaveUp: "gave_up",
        Stopped: "stopped",
    }
    status = statuses.get(type(error), "error")
    limit = error.limit if isinstance(error, LimitReached) else None
    return Outcome(status, error.blame, limit, type(error).__name__, str(error))
