"""Reading a run: events, blobs, and what a model really received."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Message, Request, ToolCall
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.events.kinds import MessageAdded, ModelCalled, ModelReplied, ModelRequest
from agent_eval.record.reading import (
    content_bytes,
    events_file,
    parse_line,
    read_blob,
    read_events,
    read_summary,
    rebuild_request,
)
from agent_eval.record.transcript import BLOBS, EVENTS, SUMMARY, Transcript
from tests.helpers import JSON_VALUES, TEXTS, folder, made_run

ROLES = st.sampled_from(("user", "assistant", "tool"))


@given(
    st.lists(st.tuples(ROLES, TEXTS), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(("model", "temperature", "x")), JSON_VALUES),
    st.lists(st.fixed_dictionaries({"type": TEXTS}), max_size=2),
)
def test_what_was_sent_is_rebuilt_byte_for_byte(
    turns: list[tuple[str, str]], arguments: dict[str, Any], tools: list[dict[str, Any]]
) -> None:
    sent: list[bytes] = []
    with folder() as parent, Transcript.create(parent / "run") as transcript:
        messages: list[Message] = []
        for index, (role, text) in enumerate(turns):
            if role == "assistant":
                message = words.assistant(text, [ToolCall(text, "bash", text)])
                transcript.write(ModelReplied(index, 1, index, message.content, {}, {}, 0.1))
            else:
                message = words.user(text) if role == "user" else words.tool_result(text, text)
                transcript.write(MessageAdded(index, message.content))
            messages.append(message)
            own = {**arguments, "max_tokens": index // 2}
            transcript.write(ModelRequest(f"digest-{index // 2}", own, tools))
            transcript.write(ModelCalled(index + 1, 1, [[0, index]], f"digest-{index // 2}", {}))
            sent.append(Request(messages, tools, own).body())
        run = parent / "run"
        assert [rebuild_request(run, call + 1) for call in range(len(sent))] == sent
        with pytest.raises(OperatorError, match="has no call 99,"):
            rebuild_request(run, 99)
        with pytest.raises(OperatorError, match="attempt 2"):
            rebuild_request(run, 1, attempt=2)
        with pytest.raises(OperatorError, match=r"of agent 0\.1"):
            rebuild_request(run, 1, agent="0.1")


def test_agents_and_ranges_are_kept_apart(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        for agent in ("0", "0.1"):
            for index in range(4):
                content = words.user(f"{agent}-{index}").content
                transcript.write(MessageAdded(index, content), agent)
            transcript.write(ModelRequest(f"d{agent}", {"model": agent}, []), agent)
            transcript.write(ModelCalled(1, 2, [[0, 0], [2, 3]], f"d{agent}", {}), agent)
    for agent in ("0", "0.1"):
        read = json.loads(rebuild_request(run, 1, attempt=2, agent=agent))
        assert [one["content"] for one in read["messages"]] == [f"{agent}-{i}" for i in (0, 2, 3)]
        assert read["model"] == agent


@pytest.mark.parametrize(
    ("called", "also"),
    [
        ({"arguments": "unknown"}, {}),
        ({"arguments": []}, {}),
        ({"sees": [[0, 10**12]]}, {}),
        ({"sees": [[0, 0]] * 2}, {}),
        ({"sees": 5}, {}),
        ({"sees": [["a", "b"]]}, {}),
        ({}, {"index": []}),
        ({"attempt": None}, {"message": 5}),
    ],
)
def test_a_call_that_nobody_made_is_an_error_of_ours(
    called: dict[str, Any], also: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    call = {"call": 1, "attempt": 1, "sees": [[0, 0]], "arguments": "d", **called}
    events = [
        {"kind": "message", "index": 0, "message": {"role": "user"}, **also},
        {"kind": "model.request", "digest": "d", "arguments": {}, "tools": []},
        {"kind": "model.called", **call},
    ]
    run.mkdir()
    with run.joinpath(EVENTS).open("w", encoding="ascii") as file:
        for number, event in enumerate(events):
            common = {"seq": number, "time": "t", "agent": "0", "prev": "p"}
            file.write(json.dumps(common | event) + "\n")
    with pytest.raises((TranscriptBroken, OperatorError)):
        rebuild_request(run, 1)


def test_events_are_read_up_to_what_is_torn(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    whole = run.joinpath(EVENTS).read_bytes()
    run.joinpath(EVENTS).write_bytes(whole[:-1])
    assert [event["seq"] for event in read_events(run)] == [0, 1, 2, 3, 4]
    run.joinpath(EVENTS).write_bytes(whole + b"{}\n")
    with pytest.raises(TranscriptBroken, match="line 7 is no event"):
        list(read_events(run))
    run.joinpath(EVENTS).write_bytes(b"")
    assert list(read_events(run)) == []
    with pytest.raises(OperatorError, match="is no run"):
        events_file(tmp_path)


@given(st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_line_is_an_event_or_an_error_of_ours(line: bytes) -> None:
    with pytest.raises(TranscriptBroken, match="line 8 is no event"):
        parse_line(line, 7)


WRONG: tuple[Any, ...] = (None, {}, 1.5)


def test_an_event_has_its_envelope() -> None:
    event = {"seq": 3, "time": "t", "agent": "0", "kind": "k", "prev": "p", "more": [1]}
    assert parse_line(json.dumps(event).encode(), 3) == event
    for name in ("seq", "time", "agent", "kind", "prev"):
        for wrong in WRONG:
            with pytest.raises(TranscriptBroken, match=f"lacks a good {name}"):
                parse_line(json.dumps(event | {name: wrong}).encode(), 3)


def test_blobs_are_what_their_names_say(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        name = transcript.blob(b"data")
        assert transcript.blob(b"data") == name
    assert read_blob(run, name) == b"data"
    assert [path.name for path in (run / BLOBS).iterdir()] == [name]
    for wrong in (hashlib.sha256(b"other").hexdigest(), "x", "../" * 21 + "x", "", "/" * 64):
        with pytest.raises(TranscriptBroken):
            read_blob(run, wrong)
    (run / BLOBS / name).write_bytes(b"changed")
    with pytest.raises(TranscriptBroken, match="has been changed"):
        read_blob(run, name)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"bytes": 3},
        {"base64": "%%%"},
        {"base64": "a"},
        {"base64": "é"},
        {"base64": 5},
        {"base64": None},
        {"blob": 5},
        {"blob": None},
        {"blob": ["x"]},
    ],
)
def test_content_that_is_none_is_an_error_of_ours(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(TranscriptBroken):
        content_bytes(tmp_path, content)


def test_a_summary_is_an_object_or_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="did not end"):
        read_summary(tmp_path)
    for wrong in (b"", b"[]", b"\xff", b"[" * 100_000, b"5"):
        tmp_path.joinpath(SUMMARY).write_bytes(wrong)
        with pytest.raises(TranscriptBroken):
            read_summary(tmp_path)
    tmp_path.joinpath(SUMMARY).write_bytes(b'{"head": "x"}')
    assert read_summary(tmp_path) == {"head": "x"}
