"""Actions as fenced blocks."""

import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_eval.models.fenced import calls_in
from tests.helpers import TEXTS

TOOLS = ("bash", "python", "submit")
KEYS = {"bash": "command", "python": "code", "submit": "answer"}
LINES = st.text(st.characters(exclude_characters="\n\r"))
CODE = st.one_of(
    st.lists(LINES | st.sampled_from(["```", "```bash", "````", "  ```", "``` x"])).map("\n".join),
    TEXTS.map(lambda text: text.replace("\r", "")),
)
"""A carriage return before a line end is a part of it, as servers on other systems write it."""


def blocks(text: str, tools: tuple[str, ...] = TOOLS) -> list[tuple[str, str]]:
    """Name and content of each action."""
    return [
        (call.name, json.loads(call.arguments)[KEYS[call.name]]) for call in calls_in(text, tools)
    ]


def fence_for(code: str) -> str:
    """A fence that is longer than any in the code."""
    return "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))


@given(st.lists(st.tuples(st.sampled_from(TOOLS), CODE), max_size=4), LINES)
def test_any_code_survives_in_a_longer_fence(actions: list[tuple[str, str]], prose: str) -> None:
    assume(not prose.startswith("```"))
    text = prose + "\n"
    for name, code in actions:
        fence = fence_for(code)
        text += f"{fence}{name}\n{code}\n{fence}\n{prose}\n"
    found = blocks(text)
    assert [name for name, _ in found] == [name for name, _ in actions]
    assert [code for _, code in found] == [json.loads(json.dumps(code)) for _, code in actions]
    ids = [call.id for call in calls_in(text, TOOLS)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("no block at all", []),
        ("```bash\nls\n```", [("bash", "ls")]),
        ("```bash\n```", [("bash", "")]),
        ("``` bash \nls\n```  ", [("bash", "ls")]),
        ("```bash\r\nls\r\npwd\r\n```\r\n", [("bash", "ls\npwd")]),
        ("```bash\nls", [("bash", "ls")]),
        ("```bash\nls\n``", [("bash", "ls\n``")]),
        ("```bash\nls\n````", [("bash", "ls")]),
        ("````bash\n```\n````", [("bash", "```")]),
        ("````submit\n```bash\nls\n```\n````", [("submit", "```bash\nls\n```")]),
        (
            "```python\na\x0cb\x0bc\x1cd\u2028e\x85f\n```",
            [("python", "a\x0cb\x0bc\x1cd\u2028e\x85f")],
        ),
        ("a\n```bash\n1\n```\nb\n```python\n2\n```\n", [("bash", "1"), ("python", "2")]),
        ("```bash\n1\n```\n```bash\n2\n```", [("bash", "1"), ("bash", "2")]),
        ("```\nls\n```", []),
        ("```json\n{}\n```\n```bash\nls\n```", [("bash", "ls")]),
        ("```bash -x\nls\n```", []),
        ("say ```bash\nls\n```", []),
        ("  ```bash\nls\n  ```", []),
        ("~~~bash\nls\n~~~", []),
        # What is quoted inside a block of another name is not done.
        ("````markdown\n```bash\nrm -rf ~\n```\n````\n", []),
        ("````\n```submit\nno\n```\n````\n```submit\nyes\n```", [("submit", "yes")]),
    ],
)
def test_what_is_an_action_and_what_is_not(text: str, found: list[tuple[str, str]]) -> None:
    assert blocks(text) == found


def test_only_tools_of_the_scenario_are_actions() -> None:
    text = "```bash\nls\n```\n```python\n1\n```\n```submit\nx\n```"
    assert blocks(text, ("bash", "submit")) == [("bash", "ls"), ("submit", "x")]


@given(TEXTS)
def test_any_reply_is_read(text: str) -> None:
    for call in calls_in(text, TOOLS):
        assert call.name in TOOLS
        assert set(json.loads(call.arguments)) == {KEYS[call.name]}
