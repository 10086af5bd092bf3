"""What a grader is asked: instructions, classes in an order drawn for each call, and a fenced text.

The fence and the key of the answer are random and in no text that is graded.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, StrictUndefined, Template

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Message
from agent_eval.basics.resources import prompt_file
from agent_eval.rubrics.answer import NotInForm, Said, read_answer
from agent_eval.rubrics.rubric import Rubric

PROMPT = "grader.md"
_ORDER = random.SystemRandom()


@dataclass(frozen=True)
class Question:
    """One call of a grader, made ready."""

    rubric: Rubric
    mapping: dict[str, str]
    """The rubric's class by the letter that is shown."""
    fence: str
    key: str
    messages: tuple[Message, ...]

    def read(self, answer: str) -> tuple[Said, str]:
        """What was answered, and the rubric's class that it means; raises `NotInForm`."""
        said = read_answer(answer, self.key, self.mapping, tuple(self.rubric.features))
        choice = self.mapping[said.letter]
        if wrong := self.rubric.contradiction(choice, said.features):
            raise NotInForm(f"it contradicts itself: {wrong}")
        return said, choice


def question_of(rubric: Rubric, text: str, task: str | None) -> Question:
    """A question about a text, and about its task where the rubric shows that."""
    order = list(rubric.classes)
    _ORDER.shuffle(order)
    mapping = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", order, strict=False))
    shown = {original: letter for letter, original in mapping.items()}
    known = f"{text}\n{task or ''}\n{rubric.model_dump_json()}"
    fence, key = _unknown(known, 16), _unknown(known, 4)
    instructions = _template().render(
        rubric=rubric,
        classes=[(letter, rubric.classes[original].text) for letter, original in mapping.items()],
        example=rubric.example,
        example_letter=shown[rubric.example.choice],
        fence=fence,
        key=key,
        with_task=task is not None,
    )
    said: Sequence[str] = () if task is None else (f"BEGIN TASK {fence}", task, f"END TASK {fence}")
    fenced = "\n".join([*said, f"BEGIN TEXT {fence}", text, f"END TEXT {fence}"])
    return Question(rubric, mapping, fence, key, (words.system(instructions), words.user(fenced)))


def _unknown(texts: str, size_bytes: int) -> str:
    """Random hexadecimal digits that stand in none of the texts."""
    while True:
        drawn = secrets.token_hex(size_bytes)
        if drawn not in texts:
            return drawn


@cache
def _template() -> Template:
    text = prompt_file(PROMPT).read_text(encoding="utf-8")
    made = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701 - no HTML
    return made.from_string(text)
