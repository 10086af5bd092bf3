"""What a scenario asks those who review its runs; nothing of it reaches a run."""

from typing import Annotated

from pydantic import StringConstraints, model_validator

from agent_eval.scenario.part import Part, Text

QuestionName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Question(Part):
    """One question that every reviewer of a run answers."""

    name: QuestionName
    """What its answers go by."""
    ask: Text
    """The question, as a reviewer reads it."""
    answers: tuple[Text, ...] = ()
    """What may be answered; left out means in words."""

    @model_validator(mode="after")
    def _a_choice(self) -> "Question":
        if len(self.answers) == 1 or len(set(self.answers)) != len(self.answers):
            raise ValueError(
                "answers: give at least two, each once, or none for an answer in words"
            )
        return self
