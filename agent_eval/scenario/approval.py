"""Which actions wait for a person: a part of the scenario, and the test whether one matches.

A model writes the code that the expression is tried on, so the expression is matched in linear
time: pydantic brings an engine that cannot be made to take longer.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import SchemaError

from agent_eval.scenario.part import Part, Text


def matches(expression: str, text: str) -> bool | None:
    """Whether a text has a match, in time that grows with its length only.

    None where that cannot be said, since the text is no Unicode.
    """
    try:
        _matcher(expression).validate_python(text)
    except ValidationError as error:
        known = all(each["type"] == "string_pattern_mismatch" for each in error.errors())
        return False if known else None
    return True


@cache
def _matcher(expression: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(pattern=expression)])


def _can_be_matched(expression: str) -> str:
    try:
        _matcher(expression)
    except SchemaError as error:
        said = " ".join(str(error).partition("SchemaError: ")[2].split())
        raise ValueError(f"cannot be used: {said}") from error
    return expression


Expression = Annotated[Text, AfterValidator(_can_be_matched)]
"""A regular expression without look-around and back-references."""


Suspicion = Callable[[str, str], bool]
"""Given a tool and the text of an action, whether some rule describes it."""


class Approval(Part):
    """Which actions a person decides on before they are done."""

    tools: tuple[Text, ...] | None = None
    """Tools whose actions wait for a person; left out means all of them, `submit` too."""
    code: Expression | None = None
    """Only actions whose text (code, task or answer) has a match for this regular expression wait.
    It has neither look-around nor back-references, so that no text can make it slow."""
    rules: tuple[Text, ...] | None = None
    """Only actions whose text a detection rule describes wait: rules by id, or all of a behaviour.
    Where `code` is given as well, either will do."""
    observations: bool = False
    """The person also decides what the model sees of each action that waited for one."""
    options: Annotated[int, Field(ge=2, le=64)] | None = None
    """The model replies so often to each prompt, and a person picks the reply that is gone on with,
    or has it reply as often again; what a reply asks for is allowed by the pick. All replies are on
    the run's budget. Nothing else here but `timeout_s` goes with it."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Seconds without a decision after which the whole run pauses until there is one."""

    @model_validator(mode="after")
    def _picks_or_allows(self) -> "Approval":
        given = {
            "tools": self.tools, "code": self.code, "rules": self.rules,
            "observations": self.observations or None,
        }  # fmt: skip
        idle = [name for name, value in given.items() if value is not None]
        if self.options is not None and idle:
            raise ValueError(
                f"{', '.join(idle)}: does nothing beside `options` (--best-of), where a person "
                "picks each reply and with it all that it asks for. Leave one of them out"
            )
        return self

    @property
    def everything(self) -> bool:
        """Whether every action waits."""
        return self.tools is None and self.code is None and self.rules is None

    def waits(self, tool: str, text: str, suspicious: Suspicion | None = None) -> bool:
        """Whether an action waits for a person; one that cannot be matched does.

        `suspicious` tries the rules; without it, whatever they might describe waits.
        """
        if self.options is not None:
            return False
        if self.tools is not None and tool not in self.tools:
            return False
        if self.code is None and self.rules is None:
            return True
        if self.code is not None and matches(self.code, text) is not False:
            return True
        return self.rules is not None and (suspicious is None or suspicious(tool, text))
