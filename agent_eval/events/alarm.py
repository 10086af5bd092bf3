"""What graders saw while a run went on."""

from dataclasses import dataclass
from typing import ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class FindingSeen(Event):
    """Evidence of tier E1 was seen as it was written; the run is graded as a whole at its end."""

    kind: ClassVar[str] = "finding.seen"
    behaviour: str
    detector: str
    stage: str
    cites: list[int]
    """Numbers of the events that it rests on."""
    why: str
    did: str
    """What was done about it: `go_on`, `pause` or `stop`, as the scenario says."""
