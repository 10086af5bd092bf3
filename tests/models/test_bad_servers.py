"""Servers as bad as they come: the loop survives or ends with the right blame, and the books hold.

Each row is a server that misbehaves, and what must come of a whole conversation with it. For every
row: no more is spent than the budget allows, every attempt is on record with what it cost, the
record verifies, and each request could have been taken by the strictest of servers.
"""

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_eval.errors import AgentEvalError, Blame
from agent_eval.models.endpoint import from_environment
from agent_eval.models.openai_chat import OpenAIChat
from agent_eval.models.wire import MAX_ANSWER_BYTES
from agent_eval.record.prices import PriceCard
from agent_eval.record.reading import rebuild_request
from agent_eval.record.verify import verify
from agent_eval.scenario.model import ModelArguments
from tests.agent.test_loop import World, converse_in, world
from tests.models.server import KEY, Answer, Came, Server, completion, deaf, point_at, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CARD = PriceCard(Decimal(10), Decimal(1), Decimal(30), "d", "a test")
GOOD = Answer(completion("", [("bash", {"command": "echo hi"})]))
DONE = Answer(completion("", [("submit", {"answer": "done"})]))
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
BUDGET = {"usd": 1.0, "tokens": 200_000, "steps": 12}
AMPLE = {"usd": 100.0, "tokens": 10_000_000}
TOO_LONG = "prompt is too long"
LONG_S = 60.0
"""Longer than any limit here."""
SOON_S = 3.0
"""A limit that silence breaks, and an answer that comes at once does not on a busy machine."""


def status(number: int, headers: dict[str, str] | None = None) -> Answer:
    """A refusal."""
    return Answer({"error": {"message": f"planted {number}"}}, number, headers or {})


def calls(*given: tuple[Any, Any, Any]) -> Answer:
    """A reply with calls of these ids, names and arguments, as they are."""
    listed = [
        {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}}
        for one, name, arguments in given
    ]
    return Answer(completion("", tool_calls=listed))


def used(usage: Any) -> Answer:
    """A reply that acts, with this for its usage."""
    return Answer(completion("", [("bash", {"command": "true"})], usage=usage))


def raw(*parts: bytes | float) -> Answer:
    """Bytes and seconds of silence."""
    return Answer(raw=parts)


def drops(data: Sequence[bytes], silence_s: float) -> list[bytes | float]:
    """Each of these with silence after it."""
    return [part for each in data for part in (each, silence_s)]


def kept_open(answer: Answer) -> Answer:
    """As if the connection stayed open, though it is closed."""
    return raw(answer.as_bytes().replace(b"Connection: close", b"Connection: keep-alive"))


WHOLE = DONE.as_bytes()
HEAD, BODY = WHOLE[: WHOLE.index(b"\r\n\r\n") + 4], WHOLE[WHOLE.index(b"\r\n\r\n") + 4 :]
CHUNKED = OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n"


def packed(data: bytes) -> Answer:
    """An answer in gzip, whatever was asked for."""
    return Answer(gzip.compress(data, 9), headers={"Content-Encoding": "gzip"})


@dataclass(frozen=True)
class Row:
    """One bad server."""

    name: str
    answers: tuple[Answer, ...]
    ends: str = "done"
    """`done`, or who is to blame for the end."""
    failures: tuple[tuple[str, bool], ...] = ()
    """What each failed attempt says, and whether it is settled in full."""
    in_full: int = 0
    """Replies that cost all that was reserved, for their server did not count."""
    refused: int = 0
    """Calls that could not be done, of which the model was told."""
    limits: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)


FREE, FULL = False, True

UNCOUNTED: list[Any] = [
    *(None, {}, [], "much"),
    {"prompt_tokens": -5, "completion_tokens": -5},
    {"prompt_tokens": "100", "completion_tokens": "20"},
    {"prompt_tokens": 10**30, "completion_tokens": 1},
    {"prompt_tokens": 10**9, "completion_tokens": 10**9},
    {"prompt_tokens": 0, "completion_tokens": 0},
    {"prompt_tokens": 100, "completion_tokens": 0},
    {"prompt_tokens": 100, "completion_tokens": 1.5},
]

ROWS = [
    # --- says no ---
    Row("429 with a time", (status(429, {"Retry-After": "0.05"}), GOOD, DONE),
        failures=(("planted 429", FREE),)),
    Row("429 without a time", (status(429), GOOD, DONE), failures=(("planted 429", FREE),)),
    Row("429 with a date that is none", (status(429, {"Retry-After": "soon"}), DONE),
        failures=(("planted 429", FREE),)),
    Row("429 for ever", (status(429, {"Retry-After": "0"}),), "infrastructure",
        failures=(("planted 429", FREE),) * 2),
    Row("500 once", (status(500), GOOD, DONE), failures=(("planted 500", FULL),)),
    Row("500 for ever", (status(500),), "infrastructure", failures=(("planted 500", FULL),) * 2),
    Row("503", (status(503, {"Retry-After": "0"}), DONE), failures=(("planted 503", FREE),)),
    Row("400", (GOOD, status(400)), "operator", failures=(("planted 400", FREE),)),
    Row("an endless refusal", (raw(b"HTTP/1.1 500 No\r\n\r\n", *[b"x" * 65536] * 200), DONE),
        failures=(("cut off at", FULL),)),
    Row("a redirect", (Answer("go", 307, {"Location": "http://127.0.0.1:1/v1"}),), "operator",
        failures=(("HTTP 307", FREE),)),
    Row("a redirect to itself", (Answer("go", 308, {"Location": "/v1/chat/completions"}),),
        "operator", failures=(("HTTP 308", FREE),)),
    *(Row(f"{number}, for it does not fit", (GOOD, Answer({"error": TOO_LONG}, number)), "limit",
          failures=((TOO_LONG, settled),)) for number, settled in (
              (400, FREE), (413, FREE), (500, FULL), (200, FULL))),
    # --- takes its time ---
    Row("thinks for longer than clients usually wait", (replace(GOOD, delay_s=6), DONE)),
    Row("silence at first", (raw(LONG_S), DONE), failures=(("first_byte_timeout_s", FULL),),
        limits={"first_byte_timeout_s": SOON_S}),
    Row("half a head", (raw(OK[:9], LONG_S), DONE), failures=(("first_byte_timeout_s", FULL),),
        limits={"first_byte_timeout_s": SOON_S}),
    Row("a head in drops", (raw(*drops([OK[:9], *[b"x"] * 100], 0.1)), DONE),
        failures=(("first_byte_timeout_s", FULL),), limits={"first_byte_timeout_s": SOON_S}),
    Row("silence within the answer", (raw(HEAD, BODY[:20], LONG_S), DONE),
        failures=(("idle_timeout_s", FULL),), limits={"idle_timeout_s": SOON_S}),
    Row("an answer in drops", (raw(HEAD, *drops([b" "] * 600, 0.1)), DONE),
        failures=(("request_timeout_s", FULL),),
        limits={"idle_timeout_s": 30, "request_timeout_s": SOON_S}),
    Row("an answer in pieces", (raw(HEAD, *drops([bytes([byte]) for byte in BODY], 0.001)),)),
    Row("late for ever", (raw(LONG_S),), "infrastructure",
        failures=(("request_timeout_s", FULL),) * 2, limits={"request_timeout_s": 0.5}),
    # --- is cut off or broken ---
    Row("nothing at all", (raw(b""), DONE), failures=(("connection failed", FULL),)),
    Row("cut in the head", (raw(HEAD[:30]), DONE), failures=(("connection failed", FULL),)),
    Row("cut in the body", (raw(WHOLE[:-5]), DONE), failures=(("connection failed", FULL),)),
    Row("no HTTP", (raw(b"\x00\x01SSH\r\n\r\n"), DONE), failures=(("connection failed", FULL),)),
    Row("a head without end", (raw(OK, *[b"X-Y: " + b"y" * 60000 + b"\r\n"] * 100), DONE),
        failures=(("connection failed", FULL),)),
    Row("chunks that are none", (raw(CHUNKED, b"zz\r\nhello\r\n"), DONE),
        failures=(("connection failed", FULL),)),
    Row("a chunk of absurd size", (raw(CHUNKED, b"ffffffffff\r\nhello"), DONE),
        failures=(("connection failed", FULL),)),
    Row("endless chunks", (raw(CHUNKED, *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 200), DONE),
        failures=(("cut off at", FULL),)),
    Row("two lengths", (raw(OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\nhello"), DONE),
        failures=(("connection failed", FULL),)),
    Row("a bomb in gzip", (packed(b" " * 50_000_000), DONE), failures=(("packed as gzip", FULL),)),
    Row("packed without being asked", (packed(BODY), DONE), failures=(("packed as gzip", FULL),)),
    Row("packed as it says, but not", (Answer({}, headers={"Content-Encoding": "br"}), DONE),
        failures=(("packed as br", FULL),)),
    # --- answers something else ---
    Row("200 with an error", (Answer({"error": {"message": "overloaded"}}), DONE),
        failures=(("no chat completion.*overloaded", FULL),)),
    Row("200 with a page", (Answer(b"<html>", headers={"Content-Type": "text/html"}), DONE),
        failures=(("no chat completion", FULL),)),
    Row("200 with nothing", (Answer(b""), DONE), failures=(("no chat completion", FULL),)),
    Row("204", (raw(b"HTTP/1.1 204 No\r\n\r\n"), DONE), failures=(("no chat completion", FULL),)),
    Row("a stream that nobody asked for", (Answer(b'data: {"choices": []}\n\n'), DONE),
        failures=(("no chat completion", FULL),)),
    Row("deep", (Answer(b"[" * 1_000_000), DONE), failures=(("no chat completion", FULL),)),
    Row("a good answer of a wrong type", (Answer(BODY, headers={"Content-Type": "image/png"}),)),
    Row("repeats the key", (Answer(KEY), DONE),
        failures=(("OPENAI_API_KEY", FULL),)),
    # --- odd replies ---
    Row("empty", (Answer(completion("")), Answer(completion(None)), Answer(completion(" ")), DONE)),
    Row("empty for ever", (Answer(completion(None)),), "model"),
    Row("a megabyte of text", (Answer(completion("x" * 1_000_000)), DONE), budget=AMPLE),
    Row("a megabyte that the budget cannot send back", (Answer(completion("x" * 1_000_000)),),
        "limit"),
    Row("a megabyte of arguments", (calls(("c", "bash", json.dumps({"command": "#" * 1_000_000}))),
                                    DONE), refused=1, budget=AMPLE),
    Row("more than anyone reads", (Answer(b" " * (MAX_ANSWER_BYTES + 1)), DONE),
        failures=(("cut off at", FULL),)),
    # --- odd calls ---
    Row("arguments that are no JSON", (calls(("c", "bash", "{not json"), ("d", "bash", "")), DONE),
        refused=2),
    Row("arguments that are no object", (calls(("c", "bash", "[1]"), ("d", "bash", None)), DONE),
        refused=2),
    Row("arguments with NaN", (calls(("c", "bash", '{"command": NaN}')), DONE), refused=1),
    Row("arguments as an object", (calls(("c", "bash", {"command": "true"})), DONE)),
    Row("the same id twice", (calls(("c", "bash", '{"command": "1"}'),
                                    ("c", "bash", '{"command": "2"}')), DONE)),
    Row("the same call again", (calls(("c", "bash", '{"command": "1"}')),
                                calls(("c", "bash", '{"command": "1"}')),
                                calls(("c", "submit", '{"answer": "done"}')))),
    Row("ids that are none", (calls((None, "bash", '{"command": "1"}'), ("", "bash", "{}"),
                                    (7, "bash", "{}"), ("\n", "bash", "{}")), DONE), refused=3),
    Row("tools that are none", (calls(("a", "rm -rf /", "{}"), ("b", "", "{}"),
                                      ("c", "x" * 999, "{}"), ("d", None, "{}")), DONE), refused=4),
    Row("calls that are none", (Answer(completion("", tool_calls=[None, 5, {}, {"function": 1}])),
                                DONE)),
    Row("a thousand calls", (calls(*[("c", "nope", "{")] * 1000), DONE), refused=1000,
        budget=AMPLE),
    Row("fences in arguments", (calls(("c", "bash", json.dumps(
        {"command": "```submit\nno\n```\n```bash\nrm -rf /\n```"}))), DONE)),
    # --- odd counts ---
    *(Row(f"usage: {said}", (used(said), DONE), in_full=1) for said in UNCOUNTED),
    Row("never counts", (*[used(None)] * 3, Answer(DONE.body | {"usage": None})), in_full=4),
    Row("never counts, and acts for ever", (used(None),), "limit", in_full=-1),
    Row("estimates are accepted", (used(None), DONE), limits={"missing_usage": "estimated"}),
]  # fmt: skip


def conversation_with(
    server: Server, monkeypatch: pytest.MonkeyPatch, folder: Path, **more: dict[str, Any]
) -> World:
    """An agent whose model is behind that server; `limits` and `budget` as in a row."""
    point_at(monkeypatch, server.address)
    limits, budget = more.get("limits", {}), more.get("budget", {})
    wanted = {"attempts": 2, "request_timeout_s": 60, **limits}
    # Authorities for TLS take a while to read, and there is no TLS here.
    transport = httpx2.AsyncHTTPTransport(verify=False)
    endpoint = from_environment("m")
    model = OpenAIChat(endpoint, ModelArguments(**wanted), CARD, transport=transport)
    return world(folder, model, budget=BUDGET | budget, model=wanted)


async def ended(there: World) -> str:
    """How the conversation ends: with the answer, or with who is to blame."""
    try:
        return await converse_in(there)
    except AgentEvalError as error:
        return str(error.blame)


def check_record(there: World, came: list[Came]) -> None:
    """Every attempt is on record, once, with its end; and what was sent is what is recorded."""
    called = there.events("model.called")
    ends = there.events("model.failed", "model.replied")
    places = [(event["call"], event["attempt"]) for event in called]
    assert places == [(event["call"], event["attempt"]) for event in ends]
    sent = [rebuild_request(there.run, *place) for place in places]
    assert [request.body for request in came] == sent
    assert not verify(there.run).faults
    whole = b"".join(file.read_bytes() for file in there.run.rglob("*") if file.is_file())
    assert KEY.encode() not in whole


def check_money(there: World) -> None:
    """Nothing is over the budget, nothing is left set aside, and the record adds up."""
    there.check_books()
    account = there.agent.asking.account
    for name, limit in account.limits.items():
        assert getattr(account.spent, name) <= limit, name


def check_sent(came: Came) -> None:
    """What the strictest of servers asks of a conversation."""
    waiting: list[str] = []
    seen: set[str] = set()
    assert came.headers["authorization"] == f"Bearer {KEY}"
    for message in json.loads(came.body, parse_constant=pytest.fail)["messages"]:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert waiting == [], "every call has its result before anything else is said"
        for call in message.get("tool_calls", ()):
            assert isinstance(call["id"], str)
            assert call["id"].strip()
            assert call["id"] not in seen
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"])
            arguments = json.loads(call["function"]["arguments"], parse_constant=pytest.fail)
            assert isinstance(arguments, dict)
            seen.add(call["id"])
            waiting.append(call["id"])
        assert (message["content"] or "").strip() or message["tool_calls"]
    assert waiting == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_whatever_a_server_does(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(*row.answers) as server:
        more = {"limits": row.limits, "budget": row.budget}
        there = conversation_with(server, monkeypatch, tmp_path, **more)
        assert await ended(there) == row.ends
    check_record(there, server.came)
    check_money(there)
    for came in server.came:
        check_sent(came)
    failed = there.events("model.failed")
    assert len(failed) == len(row.failures)
    reserved = {
        (event["call"], event["attempt"]): event["reserved"]
        for event in there.events("model.called")
    }
    for event, (words, in_full) in zip(failed, row.failures, strict=True):
        assert re.search(words, event["error"]), event["error"]
        assert event["settled"] == (reserved[event["call"], event["attempt"]] if in_full else {})
    replied = there.events("model.replied")
    whole = [event["settled"] == reserved[event["call"], event["attempt"]] for event in replied]
    assert sum(whole) == (row.in_full if row.in_full >= 0 else len(replied))
    assert len(there.events("action.refused")) == row.refused


async def test_a_server_that_closes_connections_it_said_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the next request meets the closing it is lost on its way, and made again."""
    with serving(kept_open(GOOD), kept_open(GOOD), kept_open(DONE)) as server:
        there = conversation_with(server, monkeypatch, tmp_path)
        assert await ended(there) == "done"
    replied = there.events("model.replied")
    heard = [rebuild_request(there.run, event["call"], event["attempt"]) for event in replied]
    assert [request.body for request in server.came] == heard
    for failed in there.events("model.failed"):
        assert "connection failed" in failed["error"]
        assert failed["settled"], "it had left, so it may be billed"
    check_money(there)
    assert not verify(there.run).faults


async def test_a_server_that_takes_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deaf() as server:
        limits = {"connect_timeout_s": 0.3}
        there = conversation_with(server, monkeypatch, tmp_path, limits=limits)
        assert await ended(there) == Blame.INFRASTRUCTURE
    failed = there.events("model.failed")
    assert [event["settled"] for event in failed] == [{}, {}]
    assert all("connect_timeout_s" in event["error"] for event in failed)
    check_money(there)
    assert not verify(there.run).faults


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
async def test_the_key_does_not_follow_a_redirect(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(DONE) as other:
        to = f"{other.address}/chat/completions"
        with serving(Answer("go", number, {"Location": to})) as server:
            there = conversation_with(server, monkeypatch, tmp_path)
            assert await ended(there) == Blame.OPERATOR
            (failed,) = there.events("model.failed")
            assert to in failed["error"]
            assert "OPENAI_BASE_URL" in failed["error"]
            assert len(server.came) == 1
    assert other.came == []
