"""What a model asked for goes back to its server in a form that every server takes."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.conversation import ToolCall
from agent_eval.basics.echo import NOTHING, sendable, sendable_text, told_apart
from tests.helpers import JSON_VALUES, NASTY, TEXTS


@pytest.mark.parametrize(
    "arguments",
    ["", "{", "[]", "null", "5", '"x"', '{"a": NaN}', '{"a": -Infinity}', "{'a': 1}", '{"a": 1} x',
     "[" * 100_000, "9" * 5000, NASTY, "\ud800"],
)  # fmt: skip
def test_what_is_no_json_object_is_held_in_one(arguments: str) -> None:
    sent = sendable(ToolCall("c", "bash", arguments))
    assert json.loads(sent.arguments) == {"not_a_json_object": arguments}
    assert sendable(sent) == sent


@given(st.dictionaries(TEXTS, JSON_VALUES))
def test_a_json_object_is_left_as_it_is(value: dict[str, object]) -> None:
    call = ToolCall("c", "bash", json.dumps(value))
    assert sendable(call) == call


@pytest.mark.parametrize(
    ("name", "sent"),
    [("bash", "bash"), ("", "unnamed"), ("a b", "a_b"), ("é\0.", "___"), ("x" * 99, "x" * 64),
     ("functions.bash", "functions_bash")],
)  # fmt: skip
def test_a_name_has_only_what_names_may_have(name: str, sent: str) -> None:
    assert sendable(ToolCall("c", name, "{}")).name == sent


@given(TEXTS, TEXTS)
def test_whatever_was_given_can_be_sent(name: str, arguments: str) -> None:
    sent = sendable(ToolCall("c", name, arguments))
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", sent.name)
    assert isinstance(json.loads(sent.arguments), dict)


def test_a_reply_that_says_nothing_is_sent_back_as_such() -> None:
    call = ToolCall("c", "bash", "{}")
    assert sendable_text(" \n", []) == sendable_text("", []) == NOTHING
    assert sendable_text("", [call]) == ""
    assert sendable_text(" x", []) == " x"


IDS = st.sampled_from(["", "c", "call_1", "call_2", "a b", "\n", "x" * 65, "functions.bash:0"])


@given(st.lists(st.lists(IDS | TEXTS, max_size=5), max_size=5))
def test_no_id_comes_twice_in_a_conversation(turns: list[list[str]]) -> None:
    taken: set[str] = set()
    seen: list[str] = []
    for turn in turns:
        calls = told_apart([ToolCall(name, "bash", "{}") for name in turn], taken)
        for name, call in zip(turn, calls, strict=True):
            fine = re.fullmatch(r"[!-~]{1,64}", name) and name not in seen
            assert call.id == name or not fine, "a good id is the server's and stays"
            assert re.fullmatch(r"[!-~]{1,64}", call.id)
            assert call.id not in seen
            seen.append(call.id)
    assert taken == set(seen)
