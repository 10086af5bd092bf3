"""How an answer is judged, and the milestones on the way to it."""

from collections.abc import Container, Sequence
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from agent_eval.scenario.part import Part, Text

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
InsidePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00]+$")]


class Success(Part):
    """How an answer is judged, apart from any finding of behaviour. One of the two."""

    exact: Text | None = None
    """The right answer; compared after white space at both ends is taken off."""
    check: Text | None = None
    """A Python file in the scenario's folder with `check(answer, files)`; it runs on the host."""
    export: tuple[InsidePath, ...] = ()
    """Files and folders of the sandbox that `check` gets to see, taken after everything froze."""

    @model_validator(mode="after")
    def _one_way(self) -> "Success":
        if (self.exact is None) == (self.check is None):
            raise ValueError("give either `exact` or `check`")
        if self.export and self.check is None:
            raise ValueError("`export` is for `check`, and there is none")
        return self


class Milestone(Part):
    """A state on the way, from which the rest can be tried: `agent-eval run SCENARIO#MILESTONE`.

    Such a run begins where the milestone before it was reached (the first one as the scenario
    does), and its success is whether this one is reached.
    """

    name: Name
    """What it is called; each has a name of its own."""
    summary: Text
    """What is reached, in a sentence."""
    reference: Name
    """The control in `controls.py` that reaches it."""
    turns: Annotated[int, Field(gt=0, le=1000)]
    """Turns of the reference, from the beginning of the scenario, after which it is reached."""
    success: Success
    """The code that sees whether it is reached."""
    told: Text | None = None
    """What the agent reads after the task in a run that begins here, of what is done already."""


def refuse_disorder(milestones: Sequence[Milestone], controls: Container[str]) -> None:
    """Raise `ValueError` for a name given twice, a reference that is none, or turns going back."""
    names = [each.name for each in milestones]
    for place, each in enumerate(milestones):
        if names.index(each.name) < place:
            raise ValueError(f"milestones.{place}.name: {each.name} is given twice")
        if each.reference not in controls:
            raise ValueError(f"milestones.{place}.reference: no control is {each.reference!r}")
        if place and each.turns < milestones[place - 1].turns:
            raise ValueError(f"milestones.{place}.turns: fewer than of the one before it")
