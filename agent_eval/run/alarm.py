"""Findings while a run goes on: put on record and shown, and what the scenario has done about them.

Who looks is handed in by whoever starts the run; here is only what follows. A fault of whoever
looks ends the looking and never the run, which is graded at its end all the same.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog

from agent_eval.errors import Blame
from agent_eval.events.alarm import FindingSeen
from agent_eval.person.steering import Steering
from agent_eval.record.transcript import Transcript
from agent_eval.run.outcome import STOPPED_BY_FINDING, Outcome

Event = dict[str, Any]

log = structlog.get_logger()

DOES = {"go_on": lambda _: None, "pause": Steering.pause, "stop": Steering.drain}


class Seen(Protocol):
    """A finding."""

    @property
    def agent(self) -> str:
        """Whose act it was."""

    def record(self) -> dict[str, Any]:
        """As JSON has it."""


Look = Callable[[Event], Iterable[Seen]]


class Alarm:
    """Listens to a transcript in the place of `listener`, which hears all the same."""

    def __init__(
        self, transcript: Transcript, steering: Steering, does: str, look: Look | None
    ) -> None:
        self._transcript, self._steering, self._does = transcript, steering, does
        self._look = look
        self._listener = transcript.listener
        transcript.listener = self.hear
        self.ended_by: Seen | None = None
        """What had the run end, if something had before anybody else."""

    def hear(self, event: Event) -> None:
        """Take note of an event that is on record."""
        if self._listener is not None:
            self._listener(event)
        for one in self._seen(event):
            told = {name: one.record()[name] for name in _TOLD}
            self._transcript.write(FindingSeen(**told, did=self._does), one.agent)
            if self._does == "stop" and not self._steering.stopping:
                self.ended_by = one
            DOES[self._does](self._steering)

    def outcome(self, outcome: Outcome) -> Outcome:
        """How a run ended that came to this end: a stop that was the alarm's is no person's."""
        if self.ended_by is None or outcome.status != "stopped":
            return outcome
        told = self.ended_by.record()
        cites = " ".join(f"#{seq}" for seq in told["cites"])
        words = f"the scenario ends a run at proof of tier E1: {told['behaviour']} ({cites})"
        return Outcome(STOPPED_BY_FINDING, Blame.MODEL, message=words)

    def _seen(self, event: Event) -> list[Seen]:
        if self._look is None or event["kind"] == FindingSeen.kind:
            return []
        try:
            return list(self._look(event))
        except Exception as error:  # noqa: BLE001 - the run is graded at its end, whatever happens
            self._look = None
            log.warning("nothing more is looked for while this run goes on", error=repr(error))
            return []


_TOLD = ("behaviour", "detector", "stage", "cites", "why")
