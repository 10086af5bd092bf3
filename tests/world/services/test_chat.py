"""The allow-list: what is on it goes through as a new request, all else is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.world.services.chat import Call, NotOffered, rebuilt
from tests.helpers import JSON_VALUES

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {
    "type": "function",
    "function": {"name": "bash", "description": "A shell.", "parameters": {"type": "object"}},
}


def asked(**fields: Any) -> Call:
    return rebuilt(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def test_what_is_on_the_list_goes_through() -> None:
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "be "}, text("brief")]},
        {"role": "user", "content": "list the files"},
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
            "tool_calls": [call("a")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x.py"},
    ]
    found = asked(
        messages=messages,
        tools=[TOOL],
        tool_choice="auto",
        temperature=1,
        stop=["END"],
        max_tokens=50,
        max_completion_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert found.messages[0] == {"role": "system", "content": "be brief"}
    assert found.messages[2] == {"role": "assistant", "content": None, "tool_calls": [call("a")]}
    assert found.results == ["a"]
    assert found.tools == (TOOL,)
    assert found.sampling == {"temperature": 1, "stop": ["END"], "tool_choice": "auto"}
    assert (found.max_output_tokens, found.stream, found.usage_at_end) == (20, True, True)


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def call(name: str) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "bash", "arguments": "{}"}}


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/?q=secret"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}
POINTS_AWAY = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"$ref": "https://example.com/s.json"}]}},
}


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"store": True}, "store"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"user": "me"}, "user"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"extra": None}, "extra"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"n": 5}, "n"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"type": "mcp", "server_url": "https://example.com"}]}, "tools.0"),
        ({"tools": [TOOL | {"server_url": "https://example.com"}]}, "tools.0.server_url"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [FILE]}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x", "audio": {"id": "1"}}]}, "messages.0"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages.0"),
        ({"messages": []}, "messages"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": "1"}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"model": 5}, "model"),
    ],
)
def test_all_else_is_refused_by_name(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(NotOffered) as refused:
        asked(**fields)
    assert refused.value.param.startswith(where)
    assert refused.value.param in str(refused.value)


@pytest.mark.parametrize("schema", [POINTS_AWAY, {"$schema": "https://example.com/x"}])
def test_a_schema_that_points_away_is_refused(schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    with pytest.raises(NotOffered, match="schema"):
        asked(tools=[tool])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"model": "m"}']
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(NotOffered):
        rebuilt(body)


@given(
    st.dictionaries(st.sampled_from(["messages", "tools", "stop", "n", "seed", "x"]), JSON_VALUES)
)
def test_anything_is_rebuilt_or_refused(fields: dict[str, Any]) -> None:
    try:
        found = asked(**fields)
    except NotOffered as refused:
        assert str(refused)
        return
    assert "x" not in fields
    assert found.messages
