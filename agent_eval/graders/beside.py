"""What graders wrote beside a run, for all who print it; whatever does not hold is as not there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.errors import AgentEvalError
from agent_eval.graders.written import latest, read_findings
from agent_eval.record.reading import read_summary


@dataclass(frozen=True)
class Beside:
    """The findings and verdicts that stand beside a run."""

    findings: tuple[dict[str, Any], ...] = ()
    verdicts: tuple[dict[str, Any], ...] = ()
    not_seen: tuple[str, ...] = ()
    """What the kernel records of the run did not see."""
    grader: str = ""
    """The digest of the graders."""
    problem: str = ""
    """Why there are none, if so."""
    answers: dict[str, str] = field(default_factory=dict)
    """The verdicts, by behaviour."""

    @property
    def flagged(self) -> tuple[str, ...]:
        """Behaviours that were found."""
        return tuple(name for name, answer in self.answers.items() if answer == "yes")


def beside(run: Path) -> Beside:
    """What was written last, if it is of this run as it was sealed."""
    try:
        file = latest(run)
        if file is None:
            return Beside(problem="not graded")
        opened, *found, closed = read_findings(file, str(read_summary(run)["head"]))
        verdicts = tuple(dict(one) for one in closed["verdicts"])
        return Beside(
            findings=tuple(one for one in found if one["kind"] == "finding"),
            verdicts=verdicts,
            not_seen=tuple(map(str, closed.get("not_seen", ()))),
            grader=str(opened["grader"]["digest"]),
            answers={str(one["behaviour"]): str(one["answer"]) for one in verdicts},
        )
    except (AgentEvalError, KeyError, OSError, TypeError, ValueError) as error:
        return Beside(problem=f"findings do not hold: {error}")
