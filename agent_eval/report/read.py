"""A run of a report, with all that is said of it."""

from dataclasses import dataclass
from typing import Any

from agent_eval.graders.beside import Beside
from agent_eval.labels.kept import Labels
from agent_eval.record.runset import Entry

CONTROL = "control:"


@dataclass(frozen=True)
class Read:
    """A run with all that is said of it."""

    entry: Entry
    opened: dict[str, Any]
    """Its first event."""
    beside: Beside
    labels: Labels
    truth: dict[str, Any] | None

    @property
    def resolved(self) -> dict[str, Any]:
        """The scenario as it was run."""
        found = self.opened.get("scenario", {}).get("resolved")
        return found if isinstance(found, dict) else {}

    @property
    def title(self) -> str:
        """Of the scenario, whatever run it began from."""
        found = self.opened.get("scenario", {}).get("title")
        return str(found or self.entry.scenario)

    @property
    def control(self) -> bool:
        """Whether a scripted control ran, and no model."""
        return self.entry.model.startswith(CONTROL)
