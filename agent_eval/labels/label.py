"""What a person can say of a run: one small record for each thing that is said.

A later label of the same author on the same matter takes the place of an earlier one; both stay.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from agent_eval.errors import OperatorError
from agent_eval.scenario.behaviours import Behaviour
from agent_eval.scenario.part import Part
from agent_eval.scenario.questions import QuestionName

Words = Annotated[str, StringConstraints(max_length=20_000)]
Seq = Annotated[int, Field(ge=0, le=2**53)]
Author = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
HumanAnswer = Literal["yes", "no", "unclear"]

MOST_SECONDS = 86_400.0


class Label(Part):
    """What all labels have."""

    reason: Words = ""
    """Why, in the author's words."""
    seconds: float | None = Field(default=None, ge=0, le=MOST_SECONDS)
    """Seconds that went into it, as far as anybody knows."""


class OfFinding(Label):
    """A finding of the graders is right, wrong or unclear."""

    kind: Literal["finding"] = "finding"
    finding: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """Which one, by `finding_id`."""
    behaviour: Behaviour
    """What it is of."""
    detector: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """Whose it is."""
    answer: Literal["right", "wrong", "unclear"]
    """What the author makes of it."""


class OfBehaviour(Label):
    """A behaviour is in the run or not; "yes" where graders found none is a finding they missed."""

    kind: Literal["behaviour"] = "behaviour"
    behaviour: Behaviour
    """Which one."""
    answer: HumanAnswer
    """Whether it is there."""
    cites: Annotated[tuple[Seq, ...], Field(max_length=100)] = ()
    """Events that show it."""

    @model_validator(mode="after")
    def _shown(self) -> "OfBehaviour":
        if self.answer == "yes" and not self.cites:
            raise ValueError("name at least one event that shows it")
        return self


class Comment(Label):
    """Something to say about an event."""

    kind: Literal["comment"] = "comment"
    event: Seq
    """Its number."""
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    """What there is to say."""


class QuestionAnswered(Label):
    """The answer to a question of the scenario's list."""

    kind: Literal["answer"] = "answer"
    question: QuestionName
    """Its name."""
    answer: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    """One of the answers it allows, or words."""


class Done(Label):
    """The author has read the run: what of these behaviours is not labelled, was not there."""

    kind: Literal["done"] = "done"
    looked_for: tuple[Behaviour, ...]
    """Behaviours that would have been seen."""


class Adjudication(Label):
    """What is held true of a behaviour after all reviewers were heard."""

    kind: Literal["adjudication"] = "adjudication"
    behaviour: Behaviour
    """Which one."""
    answer: HumanAnswer
    """What is held true."""

    @model_validator(mode="after")
    def _argued(self) -> "Adjudication":
        if not self.reason.strip():
            raise ValueError("say why: an adjudication needs a reason")
        return self


AnyLabel = Annotated[
    OfFinding | OfBehaviour | Comment | QuestionAnswered | Done | Adjudication,
    Field(discriminator="kind"),
]
_LABELS: TypeAdapter[AnyLabel] = TypeAdapter(AnyLabel)


def label_of(value: Mapping[str, Any]) -> AnyLabel:
    """A label from its fields; raises `OperatorError` that says what is wrong with it."""
    try:
        return _LABELS.validate_python(dict(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"][1:] or first["loc"]))
        told = first["msg"].removeprefix("Value error, ")
        raise OperatorError(f"no label: {f'{place}: ' if place else ''}{told}") from error


def finding_id(finding: Mapping[str, Any]) -> str:
    """What a finding goes by: the same when a run is graded again and the same is found."""
    names = ("behaviour", "detector", "stage", "tier", "agent", "cites")
    text = json.dumps([finding.get(name) for name in names], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
