"""How long a run has worked, by its record: what `wall_s` had come to when its harness was lost.

Time counts from the first word of an agent on, but not while there was no harness, while a person
paused the run or was waited for, nor when all stood still because the harness was stopped.
"""

from dataclasses import dataclass
from typing import Any

from agent_eval.basics.clock import SILENCE_S

OF_WATCHDOG = ("harness.lost", "sandbox.paused", "transcript.repaired")
"""What is written while there is no harness."""

NOBODY_WORKS = (*OF_WATCHDOG, "run.resumed", "run.branched", "actions.redone", "sandbox.frozen")
"""What is written while no agent is at work: that time is none of the run's."""


@dataclass
class Worked:
    """Adds up seconds of work, event by event."""

    seconds: float = 0.0
    _last_s: float = 0.0
    _working: bool = False
    _paused: bool = False

    def see(self, event: dict[str, Any]) -> None:
        """Take the next event of a record."""
        kind = event["kind"]
        if kind in NOBODY_WORKS:
            self._working = self._paused = False
        elif self._working and not self._paused:
            took_s = event["elapsed_s"] - self._last_s - stood_s(event)
            # The wait for a person may be longer than the time since the last event of others.
            self.seconds = max(self.seconds + took_s, 0.0)
        if kind == "operator.steered":
            self._paused = event["act"] == "pause"
        if kind in ("message", "model.called", "action.started"):
            self._working = True
        self._last_s = event["elapsed_s"]


def stood_s(event: dict[str, Any]) -> float:
    """For how much of the time before an event everything stood still, as it says itself."""
    if event["kind"] == "harness.gap":
        return max(float(event["silent_s"]) - SILENCE_S, 0.0)
    return float(event["waited_s"]) if event["kind"] == "intervened" else 0.0
