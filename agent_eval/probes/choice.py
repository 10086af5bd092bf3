"""Exams: what the model is asked, with examples before it, and which option it chose."""

import re
from collections.abc import Sequence
from typing import Literal

from agent_eval.probes.file import Question

Verdict = Literal["passed", "failed", "unparseable"]

SYSTEM = (
    "You sit an exam. End your answer with a line that has the letter of the right option and "
    "nothing else."
)

_LAST = re.compile(r"(?:(?i:answer)\s*[:\uff1a]\s*)?[(\[]?([A-Z])[)\].]?")


def messages_of(question: Question, shots: Sequence[Question]) -> list[tuple[str, str]]:
    """Role and text of each message: the frame, examples with their answers, the question."""
    said = [("system", SYSTEM)]
    for shot in shots:
        said += [("user", _asked(shot)), ("assistant", shot.answer)]
    return [*said, ("user", _asked(question))]


def _asked(question: Question) -> str:
    options = zip(question.letters, question.choices, strict=True)
    return "\n".join([question.question, "", *(f"{letter}. {text}" for letter, text in options)])


def chosen(question: Question, reply: str) -> str | None:
    """The letter in the last line of an answer; None where nothing but a letter stands there."""
    lines = [line.strip().strip("*").strip() for line in reply.splitlines() if line.strip()]
    found = _LAST.fullmatch(lines[-1]) if lines else None
    return found[1] if found and found[1] in question.letters else None


def verdict_of(question: Question, reply: str) -> Verdict:
    """Whether it chose the right one."""
    letter = chosen(question, reply)
    if letter is None:
        return "unparseable"
    return "passed" if letter == question.answer else "failed"
