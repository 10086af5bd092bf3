"""What a probe can record."""

from dataclasses import dataclass
from typing import ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class ProbeJudged(Event):
    """One sample of a probe's task is done; its agent's name is that of the sample."""

    kind: ClassVar[str] = "probe.judged"
    task: str
    sample: int
    """Which one of the task, from 1."""
    verdict: str
    """passed, failed, timeout or unparseable; lost where the machine ended the sandbox."""
