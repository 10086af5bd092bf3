"""Messages and requests: JSON in, the same JSON out, byte for byte."""

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import (
    MAX_DEPTH,
    Conversation,
    Message,
    Request,
    ToolCall,
    untrusted_json,
    wire_json,
)
from tests.helpers import JSON_VALUES, TEXTS, as_json

CALLS = st.lists(st.builds(ToolCall, id=TEXTS, name=TEXTS, arguments=TEXTS), max_size=3)
OBJECTS = st.dictionaries(TEXTS.filter(lambda key: key not in ("messages", "tools")), JSON_VALUES)
MESSAGES = st.one_of(
    st.builds(words.system, TEXTS),
    st.builds(words.user, TEXTS),
    st.builds(words.assistant, TEXTS, CALLS),
    st.builds(words.tool_result, TEXTS, TEXTS),
)


@given(st.lists(MESSAGES), st.lists(OBJECTS, max_size=2), OBJECTS)
def test_a_body_is_what_json_gives_back(
    messages: list[Message], tools: list[dict[str, Any]], arguments: dict[str, Any]
) -> None:
    body = Request(messages, tools, arguments).body()
    assert body.isascii()
    assert b"\n" not in body
    read = json.loads(body)
    whole = arguments | ({"tools": tools} if tools else {})
    whole["messages"] = [message.content for message in messages]
    assert read == json.loads(json.dumps(whole))
    assert list(read)[-1] == "messages", "what changes from call to call stands last"
    again = Request([Message(one) for one in read["messages"]], tools, arguments)
    assert again.body() == body, "what was read back makes the same bytes"
    assert again.sha256() == hashlib.sha256(body).hexdigest()


@given(TEXTS, CALLS)
def test_what_the_model_said_survives(text: str, calls: list[ToolCall]) -> None:
    read = json.loads(words.assistant(text, calls).wire)
    assert (read["content"] or "") == as_json(text)
    assert read["content"] is not None or calls, "without calls there is always a text"
    found = [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in read.get("tool_calls", [])
    ]
    assert found == [
        ToolCall(as_json(call.id), as_json(call.name), as_json(call.arguments)) for call in calls
    ]
    assert ("tool_calls" in read) == bool(calls)
    assert all(call["type"] == "function" for call in read.get("tool_calls", []))


@given(st.lists(MESSAGES))
def test_a_conversation_knows_its_size_and_order(messages: list[Message]) -> None:
    conversation = Conversation()
    assert [conversation.add(message) for message in messages] == list(range(len(messages)))
    assert conversation.messages == messages
    bare = len(Request((), (), {}).body())
    size = len(Request(conversation.messages, (), {}).body())
    assert abs(conversation.wire_bytes - (size - bare)) <= 1


def test_every_role_is_as_a_server_wants_it() -> None:
    assert words.system("s").content == {"role": "system", "content": "s"}
    assert words.user("u").content == {"role": "user", "content": "u"}
    assert words.tool_result("c1", "seen").content == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": "seen",
    }
    assert words.assistant("", []).text == ""
    assert words.assistant("", [ToolCall("a", "b", "{}")]).content["content"] is None
    assert words.assistant("x", []).text == "x"


def test_a_request_without_anything_is_still_json() -> None:
    assert Request((), (), {}).body() == b'{"messages":[]}'
    assert Request((), (), {"model": "m"}).body() == b'{"model":"m","messages":[]}'
    assert Request((), ({"t": 1},), {}).body() == b'{"tools":[{"t":1}],"messages":[]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        wire_json(float("nan"))


@given(JSON_VALUES)
def test_untrusted_json_can_always_be_written_again(value: Any) -> None:
    text = json.dumps(value)
    assert wire_json(untrusted_json(text)) == wire_json(json.loads(text))
    assert wire_json(untrusted_json(text.encode())) == wire_json(json.loads(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[NaN, Infinity, -Infinity]", [None, None, None]),
        ("1e999", None),
        ("[-1e999, 1e308]", [None, 1e308]),
        ('"\\ud800"', "\ud800"),
        ("10" * 100, int("10" * 100)),
    ],
)
def test_numbers_that_json_cannot_hold_are_nothing(text: str, value: Any) -> None:
    assert untrusted_json(text) == value
    wire_json(untrusted_json(text))


@pytest.mark.parametrize("text", ["", "{", "nul", "[" * 100_000, b"\xff", "1" * 5000, '{"a":1}}'])
def test_what_is_no_json_is_one_kind_of_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json has many words for it
        untrusted_json(text)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_is_no_deeper_than_what_is_done_with_it_can_follow(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = opening * (MAX_DEPTH - 1) + "1" + closing * (MAX_DEPTH - 1)
    copy.deepcopy(untrusted_json(text))
    for more in (1, 900 - MAX_DEPTH):
        with pytest.raises(ValueError, match="too deep"):
            untrusted_json(opening * more + text + closing * more)
