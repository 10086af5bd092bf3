"""A person who may sit at another terminal: what is asked waits here until one is found.

Nobody is asked of their own accord. Whoever attaches to the run is told what waits, and the first
answer to a question is the one that counts.
"""

from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

import anyio
from pydantic import TypeAdapter, ValidationError

from agent_eval.person.oversight import Decision, Nobody, Question

_DECISION, _QUESTION = TypeAdapter(Decision), TypeAdapter(Question)


@dataclass
class _Waiting:
    question: Question
    decided: anyio.Event = field(default_factory=anyio.Event)
    decision: Decision | None = None


class Elsewhere(Nobody):
    """Nobody, until somebody attaches."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = count(1)

    async def decide(self, question: Question) -> Decision:
        """Wait until somebody decides."""
        number, one = next(self._numbers), _Waiting(question)
        self._waiting[number] = one
        try:
            await one.decided.wait()
        finally:
            del self._waiting[number]
        assert one.decision is not None
        return one.decision

    def first(self) -> dict[str, Any]:
        """The question that waits longest, as it goes over a wire; empty where none does."""
        for number, one in self._waiting.items():
            if one.decision is None:
                left = sum(each.decision is None for each in self._waiting.values())
                return {"number": number, "question": asdict(one.question), "others": left - 1}
        return {}

    def answer(self, number: object, decision: object, who: str) -> str | None:
        """Take somebody's decision; says why not, where it is none or none is wanted any more."""
        one = self._waiting.get(number) if type(number) is int else None  # no bool is a number
        if one is None or one.decision is not None:
            return "it was decided already, or is not asked any more"
        try:
            given = _DECISION.validate_python(decision)
        except ValidationError as error:
            return f"that is no decision: {error.errors()[0]['msg']}"
        one.decision = replace(given, who=who)
        one.decided.set()
        return None


def question_of(told: object) -> Question:
    """A question as it came over a wire; raises `ValueError` where it is none."""
    return _QUESTION.validate_python(told)
