"""Hostile text on its way to a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.display import many, one_line, printable
from tests.helpers import NASTY, TEXTS

ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def acting(text: str, kept: str = "\n\t") -> list[str]:
    """Characters that could act on a terminal."""
    return [char for char in text if unicodedata.category(char) in ACTING and char not in kept]


@given(TEXTS)
def test_nothing_that_acts_on_a_terminal_comes_out(text: str) -> None:
    shown = printable(text)
    assert acting(shown) == []
    assert shown.count("\n") == text.count("\n")
    assert printable(shown) == shown, "what is safe stays as it is"
    shown.encode("utf-8")
    if not acting(text):
        assert shown == text


@given(TEXTS, st.integers(1, 200))
def test_one_line_is_one_line_of_at_most_that_width(text: str, width: int) -> None:
    shown = one_line(text, width)
    assert len(shown) <= width
    assert acting(shown, kept="") == []
    assert len(shown.splitlines()) <= 1
    assert one_line(shown, width) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode ✓ 漢字 🦜", "plain text, ünïcode ✓ 漢字 🦜"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb\x08\x7f", "a\\x0db\\x08\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("keeps\n\ttabs", "keeps\n\ttabs"),
        ("a\u2028b", "a\\u2028b"),
        ("a\x85b", "a\\x85b"),
        ("\ufeffx\u200b", "\\ufeffx\\u200b"),
    ],
)
def test_what_acts_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_left_out_of_a_line_is_shown_to_be(tmp_path: object) -> None:
    assert one_line("a  b\n c\t d", 20) == "a b c d"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line(" " * 1000 + "rm -rf /", 20).endswith("…"), "white space hides nothing"
    assert one_line("x" + " " * 1000 + "y", 20) == "x…"
    assert one_line("", 10) == ""
    assert len(one_line(NASTY * 1000, 50)) == 50


@pytest.mark.parametrize(("number", "said"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_one_stands_without_an_s(number: int, said: str) -> None:
    assert many(number, "run") == said
