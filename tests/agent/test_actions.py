"""What a reply asks for, and what the model sees of it: both from hostile hands."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.agent.actions import (
    MAX_CODE_BYTES,
    Malformed,
    Run,
    Submit,
    action_of,
    head_and_tail,
)
from agent_eval.basics.conversation import ToolCall
from tests.helpers import JSON_VALUES, TEXTS

TOOLS = ("bash", "python")
NO_TIMES: tuple[Any, ...] = (0, -1, True, "5", {}, float("nan"), float("inf"), -(10**400))


def call(name: str, arguments: Any) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall("c1", name, text)


@pytest.mark.parametrize(
    ("name", "given_", "action"),
    [
        ("bash", {"command": "ls"}, ("bash", "ls", None)),
        ("bash", {"command": ""}, ("bash", "", None)),
        ("bash", {"command": "ls", "timeout_s": None}, ("bash", "ls", None)),
        ("bash", {"command": "ls", "timeout_s": 5}, ("bash", "ls", 5)),
        ("python", {"code": "é\ud800", "timeout_s": 0.5}, ("python", "é\ud800", 0.5)),
        ("python", '{"code": "1", "code": "2"}', ("python", "2", None)),
        ("bash", {"command": "x", "timeout_s": 10**400}, ("bash", "x", 10**400)),
        ("bash", {"command": "x" * MAX_CODE_BYTES}, ("bash", "x" * MAX_CODE_BYTES, None)),
    ],
)
def test_what_is_well_formed_is_run(
    name: str, given_: Any, action: tuple[str, str, float | None]
) -> None:
    asked = call(name, given_)
    assert action_of(asked, TOOLS) == Run(asked, *action)


def test_an_answer_may_be_any_text() -> None:
    for answer in ("42", "", "\x00\x1b[2J\ud800", "x" * 10**5):
        asked = call("submit", {"answer": answer})
        assert action_of(asked, ()) == Submit(asked, answer)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("rm", {}, "no tool 'rm'; there are bash, python, submit"),
        ("", {}, "no tool ''"),
        ("x" * 10_000, {}, "no tool 'xxx"),
        ("bash", "", "not JSON"),
        ("bash", '{"command": "ls"', "not JSON"),
        ("bash", "[" * 100_000, "not JSON"),
        ("bash", "1" * 5000, "not JSON"),
        ("bash", [], "needs 'command', a string"),
        ("bash", '"ls"', "needs 'command', a string"),
        ("bash", "null", "needs 'command', a string"),
        ("bash", {}, "needs 'command', a string"),
        ("bash", {"command": None}, "needs 'command', a string"),
        ("bash", {"command": ["ls"]}, "needs 'command', a string"),
        ("bash", {"code": "ls"}, "needs 'command', a string"),
        ("python", {"command": "ls"}, "needs 'code', a string"),
        ("submit", {}, "needs 'answer', a string"),
        ("submit", {"answer": 42}, "needs 'answer', a string"),
        ("submit", {"answer": "a", "timeout_s": 1}, "submit knows no 'timeout_s'"),
        ("bash", {"command": "ls", "cwd": "/", "as": 1}, "bash knows no 'as', 'cwd'"),
        ("bash", {"command": "ls", "k" * 10**6: 1}, "bash knows no 'kkk"),
        ("bash", {"command": "ls"} | dict.fromkeys(map(str, range(9999))), "bash knows no"),
        ("bash", {"command": "a\x00b"}, "contains a NUL"),
        ("bash", {"command": "x" * (MAX_CODE_BYTES + 1)}, "is longer than"),
        ("bash", {"command": "é" * (MAX_CODE_BYTES // 2 + 1)}, "is longer than"),
        *[
            ("bash", {"command": "ls", "timeout_s": wrong}, "must be a number of seconds")
            for wrong in NO_TIMES
        ],
        ("bash", '{"command": "ls", "timeout_s": 1e999}', "must be a number of seconds"),
    ],
)
def test_what_does_not_fit_is_answered_with_a_reason(name: str, arguments: Any, words: str) -> None:
    asked = call(name, arguments)
    action = action_of(asked, TOOLS)
    assert isinstance(action, Malformed)
    assert action.call is asked
    assert words in action.reason
    assert len(action.reason) < 1500, "a reason is short, whatever was asked for"


def test_a_tool_that_the_scenario_does_not_have_is_refused() -> None:
    action = action_of(call("python", {"code": "1"}), ("bash",))
    assert isinstance(action, Malformed)
    assert "there are bash, submit" in action.reason


@given(
    st.sampled_from(["bash", "python", "submit"]) | TEXTS,
    TEXTS
    | st.dictionaries(
        st.sampled_from(["command", "code", "answer", "timeout_s"]) | TEXTS, JSON_VALUES
    ).map(json.dumps)
    | JSON_VALUES.map(json.dumps),
)
def test_no_call_whatever_it_holds_is_an_error(name: str, arguments: str) -> None:
    action = action_of(ToolCall("c", name, arguments), TOOLS)
    if isinstance(action, Run):
        assert action.program == name
        assert action.timeout_s is None or action.timeout_s > 0
        assert "\0" not in action.code


@given(st.binary(max_size=600), st.integers(0, 700))
def test_a_view_is_all_or_head_and_tail(data: bytes, limit: int) -> None:
    view = head_and_tail(data, limit)
    if len(data) <= limit:
        assert view == data.decode("utf-8", "backslashreplace")
        return
    found = re.fullmatch(r"(.*)\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n(.*)", view, re.DOTALL)
    assert found is not None
    head, tail = data[: limit * 3 // 5], data[len(data) - limit * 2 // 5 :]
    assert int(found[2]) == len(data) - len(head) - len(tail)
    assert 0 <= limit - len(head) - len(tail) <= 1
    assert found[1] == head.decode("utf-8", "backslashreplace")
    assert found[3] == tail.decode("utf-8", "backslashreplace")


def test_a_view_is_not_much_larger_than_its_limit() -> None:
    assert len(head_and_tail(b"\xff" * 10**6, 1000)) < 4 * 1000 + 100
    assert head_and_tail(b"", 256) == ""
    assert head_and_tail("é".encode() * 1000, 999).startswith("éé")
