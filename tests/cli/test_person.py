"""The person at the terminal: every key does what it says, and nothing a model writes gets out."""

import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.cli.person import (
    FIRST_LINES,
    GOES_ON,
    MARK,
    at_hand,
    keys_for,
    lines_hidden,
    picture,
    quoted,
)
from agent_eval.cli.watch import Watch
from agent_eval.person.oversight import CHOICES, Nobody, Question
from agent_eval.record.reading import read_events
from agent_eval.scenario.approval import Approval
from agent_eval.scenario.model import Budget
from tests.cli.screen import WIDTH, Screen, at_terminal
from tests.helpers import TEXTS

PROGRAM = str(Path(__file__).with_name("asking_at_terminal.py"))

EDITOR = """
import sys
file = open(sys.argv[1], encoding="utf-8")
text = file.read()
open(sys.argv[1], "w", encoding="utf-8").write(text.replace("\\n", " ").strip() + " as edited")
"""
"""Stands for the editor that a person has."""

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Kinds of characters that can act on a terminal, or that it cannot show."""


def decisions_in(run: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(run) if event["kind"] == "intervened"]


def press_at(screen: Screen, keys: str, *lines: str) -> None:
    """At the next menu, press a key, and type what is asked for then."""
    screen.wait_for("\n> ")
    screen.press(keys)
    for line in lines:
        screen.wait_for(": ")
        screen.press(f"{line}\n")


@pytest.mark.slow
def test_every_key_does_what_it_says(tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(EDITOR)
    environment = {"EDITOR": f"{sys.executable} {editor}"}
    with at_terminal([PROGRAM, str(tmp_path), "every_key", "1"], tmp_path, **environment) as screen:
        press_at(screen, "x")
        screen.wait_for("no such key")
        press_at(screen, "l")
        screen.wait_for("would see this of bash")
        press_at(screen, "e")
        press_at(screen, "r", "not two")
        press_at(screen, "e")
        press_at(screen, "h", "look about")
        press_at(screen, "s")
        screen.wait_for("did nothing")
        press_at(screen, "o", "go on")
        screen.wait_for("There is no tool 'shell'")
        press_at(screen, "f", "bash")
        screen.wait_for("hand in its answer")
        press_at(screen, "a")
        assert screen.end() == 0, screen.shown
    done = decisions_in(tmp_path / "0" / "run")
    assert [(event["type"], next(iter(reversed(event["after"].values())))) for event in done] == [
        ("approve", "one"),
        ("edit_observation", "one [exit status 0] as edited"),
        ("reject", "[not done: not two]"),
        ("edit_action", "three as edited"),
        ("hint", "look about"),
        ("simulate", "[exit status 0] as edited"),
        ("override_refusal", "go on"),
        ("fix_tool", '{"cmd": "ls"} as edited'),
        ("approve", done[-1]["before"]["answer"]),
    ]
    ran = [e["input"]["code"] for e in read_events(tmp_path / "0" / "run") if "input" in e]
    assert ran == ["one", "three as edited", '{"cmd": "ls"} as edited']


@pytest.mark.slow
def test_agents_that_wait_at_once_are_asked_about_one_after_the_other(tmp_path: Path) -> None:
    with at_terminal([PROGRAM, str(tmp_path), "small", "3"], tmp_path) as screen:
        heads = []
        for _ in range(6):
            head = screen.wait_for(r"agent (0[.12]*), call (\d): wants to [^\r]*")
            heads.append(head[0])
            rejects = head[1] == "0.1" and head[2] == "1"
            press_at(screen, "r" if rejects else "a", *[""] * rejects)
        assert screen.end() == 0, screen.shown
    assert "more waiting" in heads[1]
    decided = [
        [event["type"] for event in decisions_in(tmp_path / str(place) / "run")]
        for place in range(3)
    ]
    assert decided == [["approve", "approve"], ["reject", "approve"], ["approve", "approve"]]


def rows_of(shown: str) -> list[str]:
    """The rows of a screen as a terminal would break them."""
    rows, column = [""], 0
    for char in shown.replace("\r\n", "\n"):
        wide = 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
        if char == "\n" or column + wide > WIDTH:
            rows.append("")
            column = 0
        if char != "\n":
            rows[-1] += char
            column += wide
    return rows


@pytest.mark.slow
def test_a_model_can_neither_draw_a_question_nor_act_on_the_terminal(tmp_path: Path) -> None:
    with at_terminal([PROGRAM, str(tmp_path), "evil", "1"], tmp_path) as screen:
        screen.press("aaaa\na")  # as somebody might who pressed a key too often
        press_at(screen, "r", "")
        screen.wait_for("more lines; w shows the whole")
        press_at(screen, "a")
        screen.wait_for("no such key")
        press_at(screen, "w")
        screen.wait_for("echo 199 EVIL")
        press_at(screen, "a")
        screen.wait_for("hand in its answer")
        press_at(screen, "a")
        assert screen.end() == 0, screen.shown
    acting = {char for char in screen.shown if unicodedata.category(char) in HIDDEN}
    assert acting <= {"\r", "\n"}
    rows = [row for row in rows_of(screen.shown) if "EVIL" in row]
    assert len(rows) > 200
    assert [row for row in rows if not row.startswith((MARK, GOES_ON))] == []
    types = [event["type"] for event in decisions_in(tmp_path / "0" / "run")]
    assert types == ["reject", "approve", "approve"], "keys pressed too early decide nothing"


@given(text=TEXTS, said=TEXTS, width=st.integers(10, 200), about=st.sampled_from(sorted(CHOICES)))
def test_what_others_wrote_stays_behind_the_mark(
    text: str, said: str, width: int, about: str
) -> None:
    question = Question("0.1", about, 3, text, said, tool=said, detail=text, note=text)
    for line in picture(question, width, others=2):
        assert not {unicodedata.category(char) for char in line.plain.strip("\n")} & HIDDEN
    for line in quoted(text, width):
        columns = sum(1 if char.isascii() else 2 for char in line.plain)
        assert line.plain.startswith((MARK, GOES_ON)) and "\n" not in line.plain
        assert columns < max(width, 23)
    lines = [line.plain for line in quoted(f"{'x' * 50}\nmore", 22)]
    assert lines == ["| " + "x" * 20, "|+" + "x" * 20, "|+" + "x" * 10, "| more"]


def test_nothing_is_approved_of_which_a_part_was_not_shown() -> None:
    long = Question("0", "action", 1, "x\n" * (FIRST_LINES + 5), "", tool="bash")
    hidden = lines_hidden(long, WIDTH)
    assert hidden == 5
    assert {"approve", "look"} & set(keys_for(long, hidden).values()) == set()
    assert {"approve", "look"} <= set(keys_for(long, 0).values())


def test_without_a_terminal_nobody_is_asked_and_nothing_passes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert isinstance(at_hand(Approval(), Watch("a run", Budget())), Nobody)
    assert "nobody can be asked" in capsys.readouterr().err
