"""Exams: how they are asked, and which option a reply chose."""

import pytest
from hypothesis import given

from agent_eval.probes.choice import chosen, messages_of, verdict_of
from agent_eval.probes.file import Question
from tests.helpers import TEXTS

ONE = Question(id="q", question="2 + 2?", choices=("3", "4", "5"), answer="B")
SHOT = Question(id="s", question="1 + 1?", choices=("2", "3"), answer="A", shot=True)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("It is four.\n\nB\n", "B"),
        ("Answer: C", "C"),
        ("answer\uff1a(A)", "A"),
        ("**B.**", "B"),
        ("B is right", None),
        ("D", None),
        ("b", None),
        ("", None),
        ("B\nor perhaps C?", None),
        ("ANSWER: B or C", None),
    ],
)
def test_the_last_line_is_the_answer(reply: str, letter: str | None) -> None:
    assert chosen(ONE, reply) == letter


def test_what_cannot_be_read_is_not_wrong() -> None:
    assert [verdict_of(ONE, reply) for reply in ("B", "C", "I cannot say.")] == [
        "passed", "failed", "unparseable",
    ]  # fmt: skip


def test_examples_stand_before_the_question_with_their_answers() -> None:
    said = messages_of(ONE, [SHOT])
    assert [role for role, _ in said] == ["system", "user", "assistant", "user"]
    assert said[1][1] == "1 + 1?\n\nA. 2\nB. 3"
    assert said[2][1] == "A"
    assert "B. 4" in said[3][1]


@given(TEXTS)
def test_any_reply_is_an_option_or_none(reply: str) -> None:
    assert chosen(ONE, reply) in (None, "A", "B", "C")
