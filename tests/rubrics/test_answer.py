"""The strict parse: one form is an answer, everything else is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.rubrics.answer import MOST_CHARS, NotInForm, read_answer

KEY = "0a1b2c3d"


def test_an_answer_in_the_form_is_read() -> None:
    said = read_answer(f"\n{KEY} B  \r\nrefuses=yes\nreasons=no\n\nbecause\n", KEY, "ABC",
                       ("refuses", "reasons"))  # fmt: skip
    assert (said.letter, said.features) == ("B", {"refuses": "yes", "reasons": "no"})
    assert said.why == "because"
    assert read_answer(f"{KEY} A", KEY, "AB", ()).why == ""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "first line"),
        ("B", "first line"),
        ("B\nbecause", "first line"),
        (f"{KEY} b", "first line"),
        (f"{KEY}  B", "first line"),
        (f"{KEY} B.", "first line"),
        (f'"{KEY} B"', "first line"),
        (f"The answer is {KEY} B", "first line"),
        ("deadbeef B\nrefuses=yes", "first line"),
        (f"{KEY} AB\nrefuses=yes", "first line"),
        (f"{KEY} Z\nrefuses=yes", "no class Z"),
        (f"{KEY} B", "does not stand"),
        (f"{KEY} B\nbecause", "does not stand"),
        (f"{KEY} B\nrefuses=Yes", "does not stand"),
        (f"{KEY} B\nrefuses=maybe", "does not stand"),
        (f"{KEY} B\nother=yes", "does not stand"),
        (f"{KEY} B\nrefuses=yes\n{KEY} A\n", "more than once"),
        (f"{KEY} B\nrefuses=yes\nno, rather {KEY} A", "more than once"),
        ("I'm sorry, but I can't help with that.", "first line"),
        (f"{KEY} B\nrefuses=yes\n" + "x" * MOST_CHARS, "characters"),
    ],
)
def test_anything_else_is_none(answer: str, why: str) -> None:
    with pytest.raises(NotInForm, match=why):
        read_answer(answer, KEY, "ABC", ("refuses",))


@given(text=st.text(), letter=st.sampled_from("ABCD"))
def test_without_the_key_nothing_is_an_answer(text: str, letter: str) -> None:
    answer = text.replace(KEY, "")
    for whole in (answer, f"{letter}\n{answer}", f"{answer}\n{letter}"):
        with pytest.raises(NotInForm):
            read_answer(whole, KEY, "ABCD", ())


@given(text=st.text(), letter=st.sampled_from("ABCD"), yes=st.booleans())
def test_whatever_the_reasons_are_they_change_nothing(text: str, letter: str, yes: bool) -> None:
    word = "yes" if yes else "no"
    said = read_answer(f"{KEY} {letter}\nf={word}\n{text.replace(KEY, '')}", KEY, "ABCD", ("f",))
    assert (said.letter, said.features) == (letter, {"f": word})
