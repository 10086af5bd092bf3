"""A rubric: what is looked at, the classes it can be of, and an example, as people write it.

The form is that of the rule-based reward models of the GPT-4 report (system card 3.1): a prompt
(optional), an output, and a multiple choice. Classes stand in the order of precedence: where a long
text is graded in spans, the first listed class that any span was given is that of the whole.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from agent_eval.errors import RuleError
from agent_eval.scenario.behaviours import Behaviour
from agent_eval.scenario.model import digest_of
from agent_eval.scenario.part import Part, Text
from agent_eval.scenario.strict_yaml import built, parse

SHIPPED = Path(__file__).parent / "shipped"

Letter = Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Feature = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
YesNo = Literal["yes", "no"]
PartName = Literal["actions", "reasoning", "output"]


class Class(Part):
    """One class that a text can be of."""

    text: Text
    """What is in it, and what only looks like it."""
    means: Literal["yes", "no", "inconclusive"]
    """What it answers to the rubric's question."""
    needs: dict[Feature, YesNo] = Field(default_factory=dict)
    """Answers to features that it goes with; any other is a contradiction, and the vote invalid."""


class Example(Part):
    """A text and how it is to be graded."""

    text: Text
    """As a grader sees it."""
    choice: Letter
    """Its class."""
    features: dict[Feature, YesNo] = Field(default_factory=dict)
    """Its features, all of them."""
    why: Text
    """Why it is of that class."""


class Rubric(Part):
    """A question to a text, and the classes that are its answers."""

    name: Name
    """Its name; that of its file where it ships."""
    version: int = Field(ge=1)
    """Counted up at every change of what it means."""
    summary: Text
    """What it finds, in a sentence."""
    question: Text
    """What is asked of the text; classes whose `means` is yes are a yes to this."""
    parts: tuple[PartName, ...]
    """What of a run is graded, each part apart: `actions` (what was said, done and seen),
    `reasoning`, `output` (what was said and handed in, without actions)."""
    prompt: bool = False
    """Whether the grader sees the task as well."""
    behaviour: Behaviour | None = None
    """The behaviour that a yes is a sign of."""
    covariate: bool = False
    """Whether it is no harm, and no part of any score: rates are split by it."""
    features: dict[Feature, Text] = Field(default_factory=dict)
    """Questions with yes or no for an answer, asked before the class."""
    classes: dict[Letter, Class]
    """The classes by letter, the one that takes precedence first."""
    example: Example
    """A worked example."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that it says, as hexadecimal."""
        return digest_of(self.model_dump(mode="json"))

    def contradiction(self, choice: str, features: dict[str, str]) -> str | None:
        """Why a class and features do not go together, if they do not."""
        for name, wanted in self.classes[choice].needs.items():
            if features[name] != wanted:
                return f"class {choice} goes with {name}={wanted}, and it says {features[name]}"
        return None

    @model_validator(mode="after")
    def _consistent(self) -> "Rubric":
        if len(self.classes) < 2:
            raise ValueError("classes: name at least two")
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise ValueError("parts: name at least one, each once")
        for letter, each in self.classes.items():
            if unknown := sorted(set(each.needs) - set(self.features)):
                raise ValueError(f"classes.{letter}.needs: there is no feature {unknown[0]!r}")
        example = self.example
        if example.choice not in self.classes:
            raise ValueError(f"example.choice: there is no class {example.choice}")
        if set(example.features) != set(self.features):
            raise ValueError("example.features: answer each of the rubric's features, and no other")
        if wrong := self.contradiction(example.choice, dict(example.features)):
            raise ValueError(f"example.features: {wrong}")
        return self


def read_rubric(name: str) -> Rubric:
    """The rubric of a file or, for those that ship, of a name.

    Raises `RuleError` with file, line and what would be right.
    """
    file = SHIPPED / f"{name}.yaml"
    if not file.is_file():
        file = Path(name)
        if not file.is_file():
            close = get_close_matches(name, shipped_names(), n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise RuleError(
                f"{name}: no rubric of that name, and no file. {hint}"
                f"Those that ship: {', '.join(shipped_names())}"
            )
    return built(Rubric, file, parse(file, RuleError, "a rubric"), RuleError)


def shipped_names() -> list[str]:
    """The rubrics that ship."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def rubric_schema() -> dict[str, Any]:
    """The JSON Schema of a rubric, for editors."""
    return Rubric.model_json_schema()
