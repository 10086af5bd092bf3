"""A model behind a server: the exact bytes, and whatever a server may answer."""

import json
import time
from email.utils import formatdate
from typing import Any

import httpx2
import pytest
from hypothesis import given

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Reply, Request, ToolCall, Usage, wire_json
from agent_eval.errors import Blame, OperatorError, RequestRefused
from agent_eval.models import openai_chat
from agent_eval.models.base import AttemptFailed
from agent_eval.models.endpoint import from_environment
from agent_eval.models.openai_chat import MAX_COUNT, MAX_WAIT_S, OpenAIChat
from agent_eval.scenario.model import ModelArguments
from tests.helpers import JSON_VALUES, NASTY, TEXTS
from tests.models.server import KEY, USAGE, Answer, completion, point_at, serving

pytestmark = pytest.mark.anyio

REQUEST = Request([words.system("s"), words.user(NASTY)], [{"type": "function"}], {"model": "m"})


def plain(**wanted: Any) -> OpenAIChat:
    """A model that does not read all authorities for TLS first, which takes a while."""
    transport = httpx2.AsyncHTTPTransport(verify=False)
    return OpenAIChat(from_environment("m"), ModelArguments(**wanted), None, transport=transport)


async def completed(request: Request = REQUEST, **wanted: Any) -> Reply:
    """Ask the server that the environment names, once."""
    model = plain(**wanted)
    try:
        return await model.complete(request)
    finally:
        await model.close()


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


async def test_the_bytes_that_arrive_are_those_of_the_request(patch: pytest.MonkeyPatch) -> None:
    messages = [words.user(text) for text in (NASTY, "é\ud800 🦜", "", "x" * 300_000)]
    messages.append(words.assistant("", [ToolCall("c", "bash", "{not json")]))
    requests = [REQUEST, Request(messages, (), {"model": "m", "temperature": 0.1, "x": [None]})]
    with serving(Answer(completion("ok"))) as server:
        point_at(patch, server.address)
        model = OpenAIChat(from_environment("m"), ModelArguments(), None)
        for request in requests:
            assert (await model.complete(request)).text == "ok"
        await model.close()
        assert [came.body for came in server.came] == [request.body() for request in requests]
        for came in server.came:
            assert came.path == "/v1/chat/completions"
            assert came.headers["authorization"] == f"Bearer {KEY}"
            assert came.headers["content-type"] == "application/json"
        json.loads(server.came[0].body)


CALL = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (completion("hello"), {"text": "hello"}),
        (completion(None), {"text": ""}),
        (completion(NASTY), {"text": NASTY}),
        (completion("\ud800"), {"text": "\ud800"}),
        (
            completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, 5, None]),
            {"text": "ab"},
        ),
        (completion([{"text": ["deep"]}, {"text": None}, {"text": "x"}]), {"text": "x"}),
        (completion({"text": "no"}), {"text": ""}),
        (completion(5), {"text": ""}),
        (completion(None, refusal="I will not."), {"text": "I will not."}),
        (completion("yes", refusal="no"), {"text": "yes"}),
        (
            completion("out", reasoning_content="thoughts"),
            {"text": "out", "reasoning": "thoughts"},
        ),
        (completion("out", reasoning="other"), {"text": "out", "reasoning": "other"}),
        (completion("out", reasoning_content={"a": 1}), {"text": "out", "reasoning": ""}),
        (
            completion("", [("bash", {"command": "ls"}), ("submit", "{not json")]),
            {
                "calls": (
                    ToolCall("c0", "bash", '{"command": "ls"}'),
                    ToolCall("c1", "submit", "{not json"),
                )
            },
        ),
        (completion("x", tool_calls=None), {"text": "x", "calls": ()}),
        (completion("x", tool_calls={}), {"text": "x", "calls": ()}),
        (completion("x", tool_calls=[None, 5, {}, {"function": 5}]), {"text": "x", "calls": ()}),
        (
            completion("", tool_calls=[{"function": {}}, {"id": 7, "function": {"name": None}}]),
            {"calls": (ToolCall("", "", "null"), ToolCall("", "", "null"))},
        ),
        (
            completion(
                "", tool_calls=[{"id": "c", "function": {"name": "bash", "arguments": {"a": 1}}}]
            ),
            {"calls": (ToolCall("c", "bash", '{"a": 1}'),)},
        ),
        ({"choices": [{"message": {}}]}, {"text": "", "usage": None, "model": ""}),
        (
            {"choices": [{"message": {"content": "x"}, "finish_reason": 5}], "model": []},
            {"text": "x", "finish_reason": "", "model": "", "usage": None},
        ),
        (completion("x"), {"model": "made-up-2026-01-01", "fingerprint": "fp_7"}),
    ],
)
async def test_whatever_form_a_reply_has_it_is_read(
    patch: pytest.MonkeyPatch, body: Any, reply: dict[str, Any]
) -> None:
    with serving(Answer(body)) as server:
        point_at(patch, server.address)
        got = await completed()
    for name, value in reply.items():
        assert getattr(got, name) == value, name


DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (USAGE, Usage(100, 20)),
        (USAGE | DETAILS, Usage(100, 20, 40, 5)),
        (USAGE | {"prompt_tokens_details": {"cached_tokens": 900}}, Usage(100, 20, 100)),
        (USAGE | {"completion_tokens_details": {"reasoning_tokens": 900}}, Usage(100, 20, 0, 20)),
        (USAGE | {"prompt_tokens_details": None}, Usage(100, 20)),
        (USAGE | {"prompt_tokens_details": [5]}, Usage(100, 20)),
        (USAGE | {"prompt_tokens_details": {"cached_tokens": -5}}, Usage(100, 20)),
        (USAGE | {"prompt_tokens": 0}, None),
        (USAGE | {"completion_tokens": 0}, None),
        (USAGE | {"completion_tokens": MAX_COUNT}, Usage(100, MAX_COUNT)),
        (USAGE | {"completion_tokens": MAX_COUNT + 1}, None),
        (None, None),
        ({}, None),
        ([], None),
        ("much", None),
        (USAGE | {"prompt_tokens": None}, None),
        (USAGE | {"prompt_tokens": -1}, None),
        (USAGE | {"prompt_tokens": 1.5}, None),
        (USAGE | {"prompt_tokens": "100"}, None),
        (USAGE | {"prompt_tokens": True}, None),
        (USAGE | {"completion_tokens": 10**30}, None),
        (USAGE | {"completion_tokens": [20]}, None),
    ],
)
async def test_usage_is_counted_by_one_rule_or_not_at_all(
    patch: pytest.MonkeyPatch, usage: Any, counted: Usage | None
) -> None:
    with serving(Answer(completion("x", usage=usage))) as server:
        point_at(patch, server.address)
        reply = await completed()
    assert reply.usage == counted
    assert reply.raw_usage == (usage if isinstance(usage, dict) else None)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prompt_tokens": 1e999, "completion_tokens": NaN}',
        b'{"prompt_tokens": -1e999, "completion_tokens": Infinity, "blob": "' + b"0" * 64 + b'"}',
        b'{"prompt_tokens": 1, "x": ' + b"[" * 50 + b"]" * 50 + b"}",
        b'{"prompt_tokens": 1, "x": "' + b"y" * 100_000 + b'"}',
    ],
)
async def test_absurd_usage_can_always_be_recorded(patch: pytest.MonkeyPatch, raw: bytes) -> None:
    body = json.dumps(completion("x", usage="HERE")).encode().replace(b'"HERE"', raw)
    with serving(Answer(body)) as server:
        point_at(patch, server.address)
        reply = await completed()
    assert (reply.text, reply.usage) == ("x", None)
    assert len(wire_json(reply.raw_usage)) <= 5000


@pytest.mark.parametrize(
    ("header", "waits_s"),
    [
        ("7", 7),
        ("0", 0),
        ("0.5", 0.5),
        ("-3", 0),
        ("999999", MAX_WAIT_S),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("in 60 s", 60),
        ("in -60 s", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_WAIT_S),
        ("Mon, 00 Jan 0000 00:00:00 GMT", None),
    ],
)
async def test_a_server_that_says_how_long_to_wait_is_heard(
    patch: pytest.MonkeyPatch, header: str, waits_s: float | None
) -> None:
    if header.startswith("in "):
        header = formatdate(time.time() + int(header.split()[1]), usegmt=True)
    answer = Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": header})
    with serving(answer) as server:
        point_at(patch, server.address)
        with pytest.raises(AttemptFailed, match=r"HTTP 429: .*slow down") as caught:
            await completed()
        assert len(server.came) == 1, "the client's own retries are off"
    error = caught.value
    assert (error.status, error.may_be_billed) == (429, False)
    if waits_s is None:
        assert error.retry_after_s is None
    else:
        assert error.retry_after_s == pytest.approx(waits_s, abs=5)


@given(TEXTS)
def test_any_wish_to_wait_is_bounded(header: str) -> None:
    waits_s = openai_chat._retry_after_s(header)
    assert waits_s is None or 0 <= waits_s <= MAX_WAIT_S


GARBAGE = [
    b"<html>Bad gateway</html>",
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b'{"choices": []}',
    b'{"choices": {}}',
    b'{"choices": [5]}',
    b'{"choices": [{"message": "x"}]}',
    b'{"choices": [{"message": null}]}',
    b'{"error": {"message": "overloaded"}}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"choices": [{"message": {"content": "x"}}], "usage": ' + b"[" * 400 + b"]" * 400 + b"}",
    b'data: {"choices": []}\n\n',
]


@pytest.mark.parametrize("body", GARBAGE)
async def test_an_answer_that_is_none_may_have_been_billed(
    patch: pytest.MonkeyPatch, body: bytes
) -> None:
    with serving(Answer(body)) as server:
        point_at(patch, server.address)
        with pytest.raises(AttemptFailed, match="no chat completion") as caught:
            await completed()
        assert len(server.came) == 1
    assert caught.value.may_be_billed
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("status", "billed"),
    [(408, False), (409, False), (425, False), (503, False), (529, False),
     (500, True), (502, True), (504, True), (599, True)],
)  # fmt: skip
async def test_what_may_pass_is_worth_another_attempt(
    patch: pytest.MonkeyPatch, status: int, billed: bool
) -> None:
    with serving(Answer({"error": {"message": "for now"}}, status)) as server:
        point_at(patch, server.address)
        with pytest.raises(AttemptFailed, match=f"HTTP {status}: .*for now") as caught:
            await completed()
        assert len(server.came) == 1
    assert (caught.value.status, caught.value.may_be_billed) == (status, billed)


FULL = Answer(completion("x" * 5000)).as_bytes()


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\n", FULL[:200], FULL[:-100], b"\x00\x01\x02 nonsense\r\n\r\n"]
)
async def test_a_connection_that_is_cut_may_have_been_billed(
    patch: pytest.MonkeyPatch, raw: bytes
) -> None:
    with serving(Answer(raw=raw)) as server:
        point_at(patch, server.address)
        with pytest.raises(AttemptFailed, match="connection failed") as caught:
            await completed()
        assert len(server.came) == 1
    assert caught.value.may_be_billed
    assert caught.value.status is None


async def test_a_server_that_is_silent_is_given_up_and_may_have_billed(
    patch: pytest.MonkeyPatch,
) -> None:
    with serving(Answer(completion("late"), delay_s=0.6)) as server:
        point_at(patch, server.address)
        with pytest.raises(AttemptFailed, match=r"no whole answer within 0\.2 s") as caught:
            await completed(request_timeout_s=0.2)
    assert caught.value.may_be_billed


async def test_a_server_that_is_not_there_has_billed_nothing(patch: pytest.MonkeyPatch) -> None:
    with serving(Answer()) as server:
        address = server.address
    point_at(patch, address)
    with pytest.raises(AttemptFailed, match="connection failed") as caught:
        await completed()
    assert not caught.value.may_be_billed


@pytest.mark.parametrize("address", ["localhost:1/v1", "ftp://127.0.0.1/v1", "127.0.0.1/v1"])
async def test_an_address_that_is_none_is_the_operators_to_mend(
    patch: pytest.MonkeyPatch, address: str
) -> None:
    point_at(patch, address)
    with pytest.raises(OperatorError, match=r"OPENAI_BASE_URL is no address.*http://"):
        await completed()


@pytest.mark.parametrize("key", ["two\nlines", "clé", "a\x00b", "\ud800", "k\r\nX-Other: 1"])
async def test_a_key_that_cannot_be_sent_is_the_operators_to_mend(key: str) -> None:
    with pytest.MonkeyPatch.context() as patch, serving(Answer(completion("x"))) as server:
        try:
            point_at(patch, server.address, key)
        except ValueError:
            return  # not even an environment can hold it
        with pytest.raises(OperatorError, match="OPENAI_API_KEY") as caught:
            await completed()
        assert key not in str(caught.value)
        assert server.came == []


async def test_without_a_key_nothing_is_asked(patch: pytest.MonkeyPatch) -> None:
    for key in ("", None):
        patch.delenv("OPENAI_API_KEY", raising=False)
        if key is not None:
            patch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(OperatorError, match=r"OPENAI_API_KEY is not set.*any word will do"):
            OpenAIChat(from_environment("m"), ModelArguments(), None)


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (400, "temperature is not supported", "-M name=value changes or adds one"),
        (400, "tools are not supported here", "-M tool_format=fenced"),
        (401, "no", "OPENAI_API_KEY is not one that this server takes"),
        (402, "pay first", "see what it says"),
        (403, "no", "the key may not do this"),
        (404, "no such model", "has no model 'm', or OPENAI_BASE_URL lacks its /v1"),
        (413, "too long", "see what it says"),
        (422, "max_tokens", "see what it says"),
        (429, "insufficient_quota", "the account has no credit left"),
    ],
)
async def test_a_refusal_is_told_with_what_to_do(
    patch: pytest.MonkeyPatch, status: int, said: str, hint: str
) -> None:
    with serving(Answer({"error": {"message": said}}, status)) as server:
        point_at(patch, server.address)
        with pytest.raises(RequestRefused) as caught:
            await completed()
        assert len(server.came) == 1
    assert said in str(caught.value)
    assert hint in str(caught.value)
    assert caught.value.blame is Blame.OPERATOR


async def test_a_server_cannot_put_the_key_into_the_record(patch: pytest.MonkeyPatch) -> None:
    repeats = {"error": {"message": f"wrong key: Bearer {KEY}"}}
    for answer in (Answer(repeats, 401), Answer(repeats, 500), Answer(repeats), Answer(KEY)):
        with serving(answer) as server:
            point_at(patch, server.address.replace("//", "//name:password@"))
            with pytest.raises((RequestRefused, AttemptFailed)) as caught:
                await completed()
            assert len(server.came) == 1
            assert KEY not in str(caught.value)
            assert "[secret:OPENAI_API_KEY:" in str(caught.value)
            model = plain()
            about = json.dumps(model.about())
            await model.close()
            assert "127.0.0.1" in about
            assert "password" not in about
            assert KEY not in about


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({}, {"max_tokens": 50}),
        ({"temperature": 0.0, "seed": 0}, {"temperature": 0.0, "seed": 0, "max_tokens": 50}),
        ({"top_p": 0.5, "reasoning_effort": "low"}, {"top_p": 0.5, "reasoning_effort": "low"}),
        ({"extra_body": {"top_k": 5, "x": {"y": []}}}, {"top_k": 5, "x": {"y": []}}),
        ({"output_tokens_field": "max_completion_tokens"}, {"max_completion_tokens": 50}),
    ],
)
async def test_arguments_are_those_asked_for_and_no_others(
    patch: pytest.MonkeyPatch, wanted: dict[str, Any], sent: dict[str, Any]
) -> None:
    point_at(patch, "http://127.0.0.1:1/v1")
    model = plain(**wanted)
    arguments = model.arguments(50)
    await model.close()
    field = wanted.get("output_tokens_field", "max_tokens")
    assert arguments == {"model": "m", field: 50, **sent}
    assert (model.name, model.remote) == ("openai/m", True)


async def test_the_limit_of_a_reply_has_the_name_that_the_server_knows(
    patch: pytest.MonkeyPatch,
) -> None:
    for address, name in (
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://openai.com.example/v1", "max_tokens"),
        ("http://127.0.0.1:8000/v1", "max_tokens"),
    ):
        point_at(patch, address)
        model = plain()
        assert name in model.arguments(5), address
        await model.close()


@given(JSON_VALUES, JSON_VALUES)
def test_any_json_is_a_reply_or_a_failed_attempt(value: Any, other: Any) -> None:
    shapes = [
        value,
        {"choices": value, "usage": other},
        {"choices": [value], "usage": other},
        {"choices": [{"message": value}]},
        {"choices": [{"message": {"content": value, "tool_calls": other}}], "usage": value},
        {"choices": [{"message": {"tool_calls": [{"function": value, "id": other}]}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"arguments": value}}]}}]},
    ]
    for shape in shapes:
        try:
            reply = openai_chat._reply(json.dumps(shape).encode())
        except AttemptFailed as error:
            assert error.may_be_billed
        else:
            words.assistant(reply.text, reply.calls)
            wire_json([reply.reasoning, reply.model, reply.fingerprint, reply.raw_usage])


@pytest.mark.parametrize("address", ["http://[::1", "http://x:y"])
def test_an_address_that_cannot_be_read_is_refused_at_once(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, address)
    with pytest.raises(OperatorError, match="OPENAI_BASE_URL is no address"):
        plain()
