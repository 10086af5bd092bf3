"""A conversation held within a window: what is shortened, what never is, and how it is rebuilt."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_eval.agent.asking import Asking
from agent_eval.agent.context import HEAD_CHARS, SMALLEST_VIEW_BYTES, TAIL_CHARS, Context
from agent_eval.agent.instructions import read_instructions
from agent_eval.agent.loop import Agent, converse
from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Reply, ToolCall, Usage
from agent_eval.errors import Blame, ContextFull
from agent_eval.models.base import ContextOverflow, Model
from agent_eval.models.choose import choose
from agent_eval.models.openai_chat import OpenAIChat
from agent_eval.record.budget import Account, limits_of
from agent_eval.record.reading import content_bytes, read_events, rebuild_request
from agent_eval.record.transcript import Transcript
from agent_eval.scenario.model import ModelArguments
from tests.helpers import (
    TEXTS,
    ModelInMemory,
    SandboxInMemory,
    executed,
    folder,
    loaded,
)
from tests.models.server import Answer, completion, point_at, serving

pytestmark = pytest.mark.anyio

PLENTY = {"usd": None, "tokens": None, "steps": 500, "tool_s": None, "output_bytes": None}
OBSERVATION = "a" * 300 + "b" * 3000 + "c" * 300


def context_of(window: int | None, *observations: str, **wanted: Any) -> Context:
    """A frame, a task, and one turn for each observation."""
    context = Context(window, ModelArguments(context_tokens=window, **wanted))
    context.conversation.add(words.system("frame"))
    context.conversation.add(words.user("t" * 1000))
    for number, text in enumerate(observations):
        call = ToolCall(f"c{number}", "bash", json.dumps({"command": "x" * 1000}))
        context.conversation.add(words.assistant("", [call]))
        context.conversation.add(words.tool_result(call.id, text))
    return context


def lengths(context: Context) -> list[int]:
    return [len(message.text) for message in context.conversation.messages]


def test_the_oldest_observations_are_shortened_first_and_to_their_edges() -> None:
    context = context_of(12_000, *[OBSERVATION] * 6, max_output_tokens=400)
    before = list(context.conversation.messages)
    assert context.fit() is None, "it fits"
    context.counted(11_590)
    assert context.fit() is None, "11590 and 400 are less than 12000"
    context.counted(11_600)
    event = context.fit()
    assert event is not None
    assert (event.reason, event.estimated_tokens) == ("estimate", 11_601)
    assert [one["index"] for one in event.shortened] == [3, 5, 7, 9]
    assert event.tokens_after == context.estimate() <= (12_000 - 400) * 0.75
    for one in event.shortened:
        old, new = before[one["index"]], context.conversation.messages[one["index"]]
        assert (one["bytes_before"], one["bytes_after"]) == (len(old.wire), len(new.wire))
        assert new.content == one["message"]
        assert new.text.startswith(OBSERVATION[:HEAD_CHARS] + "\n[... 3000 characters left out")
        assert new.text.endswith(OBSERVATION[-TAIL_CHARS:])
        assert new.content["tool_call_id"] == old.content["tool_call_id"]
    for index in (0, 1, 2, 4, 6, 8, 10, 11, 12, 13):
        assert context.conversation.messages[index] is before[index]
    wire = sum(len(message.wire) + 1 for message in context.conversation.messages)
    assert event.bytes_after == context.conversation.wire_bytes == wire


def test_then_they_are_taken_out_and_then_it_is_full() -> None:
    context = context_of(6096, *[OBSERVATION] * 3, max_output_tokens=96)
    context.counted(6100)
    event = context.fit()
    assert event is not None
    said = [context.conversation.messages[index].text for index in (3, 5, 7)]
    assert said[0] == "[... all 3600 characters left out later, to make room ...]"
    assert "3000 characters left out" in said[1]
    assert said[2] == OBSERVATION, "the latest turn is whole"
    context.counted(6100)
    event = context.fit()
    assert event is not None
    assert [one["index"] for one in event.shortened] == [5]
    assert event.tokens_after <= 6000, "enough, though not as much as it should be"
    context.counted(6100)
    kept = list(context.conversation.messages)
    with pytest.raises(ContextFull, match="the window of 6096 leaves 6000 beside a reply of 96"):
        context.fit()
    assert context.conversation.messages == kept


def test_what_was_shortened_before_can_be_shortened_again_and_says_how_long_it_was() -> None:
    context = context_of(8192, *[OBSERVATION] * 4, max_output_tokens=400)
    context.counted(7794)
    assert context.fit() is not None
    assert lengths(context)[3] > HEAD_CHARS
    context.refused("too long")
    assert "all 3600 characters" in context.conversation.messages[3].text


def test_a_scenario_may_say_stop() -> None:
    context = context_of(4096, *[OBSERVATION] * 3, when_full="stop", max_output_tokens=96)
    context.counted(4100)
    for act in (context.fit, lambda: context.refused("no")):
        with pytest.raises(ContextFull, match="when_full: stop") as caught:
            act()
        assert caught.value.blame is Blame.LIMIT
    assert lengths(context)[3] == 3600


def test_a_reply_has_its_room_and_never_more_than_half() -> None:
    assert context_of(None).reply_tokens == 4096
    assert context_of(None).prompt_tokens is None
    assert context_of(None).share_bytes(3) is None
    small = context_of(1000)
    assert (small.reply_tokens, small.prompt_tokens) == (500, 500)
    large = context_of(100_000)
    assert (large.reply_tokens, large.prompt_tokens) == (4096, 95_904)
    assert large.share_bytes(1) == 95_904 * 3 // 2
    assert small.share_bytes(100) == SMALLEST_VIEW_BYTES


def test_without_a_window_only_a_server_says_that_it_is_full() -> None:
    context = context_of(None, *[OBSERVATION] * 3)
    context.counted(10**6)
    assert context.fit() is None
    before = context.estimate()
    event = context.refused("full")
    assert event.reason == "server"
    assert context.estimate() < before
    for _ in range(3):
        with pytest.raises(ContextFull, match=r"server says: full again\..*not enough"):
            context.refused("full again")


@pytest.mark.parametrize("said", [0, 1, 10**11])
def test_counts_that_cannot_be_are_not_believed(said: int) -> None:
    context = context_of(100_000, *[OBSERVATION] * 3)
    context.counted(said)
    context.conversation.add(words.user("x" * 600))
    assert context.estimate() <= context.conversation.wire_bytes + 200
    assert context.fit() is None


@given(st.lists(TEXTS, max_size=8), st.integers(0, 10**5), st.integers(0, 8))
def test_the_most_a_prompt_can_have_is_never_less_than_what_was_counted_and_added(
    texts: list[str], tokens: int, at: int
) -> None:
    context = context_of(None, *[OBSERVATION] * 4)
    for number, text in enumerate(texts):
        if number == at:
            context.counted(tokens)
            context.refused("full")
        context.conversation.add(words.user(text))
    size = context.conversation.wire_bytes
    most = context.most_tokens(size)
    if at < len(texts):
        added = sum(len(words.user(text).wire) for text in texts[at:])
        assert min(tokens + added, size) <= most
    assert 0 <= most <= size


# --- whole conversations ----------------------------------------------------------------------


async def conversed(
    model: Model, outputs: list[bytes], parent: Path, run: Path, **wanted: Any
) -> tuple[str, list[dict[str, Any]]]:
    """Let a model act until it hands in or its context is full: what ended it, and all events."""
    scenario = loaded(parent, budget=PLENTY, model=wanted, actions={"view_bytes": 20_000})
    instructions = read_instructions(scenario)
    ended = "submitted"
    with Transcript.create(run) as transcript:
        part = scenario.scenario
        account = Account("0", limits_of(part.budget.model_dump()))
        asking = Asking("0", model, instructions.tools, part.model, account, transcript)
        sandbox = SandboxInMemory([executed(output) for output in outputs])
        agent = Agent(asking, part, instructions, sandbox)
        agent.begin()
        try:
            await converse(agent)
        except ContextFull:
            ended = "full"
        finally:
            await model.close()
    return ended, list(read_events(run))


def acting(turns: int, calls: int = 1, usage: Usage | None = None) -> list[Reply]:
    """Replies that run code, and then hand in."""
    replies = []
    for turn in range(turns):
        given = tuple(ToolCall(f"{turn}-{n}", "bash", '{"command": "x"}') for n in range(calls))
        replies.append(Reply(f"turn {turn}", given, usage=usage))
    done = ToolCall("end", "submit", '{"answer": "done"}')
    return [*replies, Reply("", (done,), usage=usage)]


def kinds(events: list[dict[str, Any]], *wanted: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] in wanted]


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What two runs of the same conversation have in common."""
    left_out = {"time", "elapsed_s", "prev", "seq", "duration_s", "settled", "request_sha256"}
    alike = kinds(events, "message", "model.replied", "context.compacted", "action.started")
    return [{name: event[name] for name in event if name not in left_out} for event in alike]


def check_pairing(body: dict[str, Any]) -> None:
    """Every call has its answer, in order, right after it."""
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert waiting == []
            waiting = [call["id"] for call in message.get("tool_calls", ())]


ANSWERS = st.lists(
    st.tuples(st.binary(max_size=3000), st.integers(0, 20), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(ANSWERS, st.integers(1200, 6000) | st.none())
async def test_whatever_is_shortened_each_request_is_rebuilt_and_a_replay_repeats_it(
    turns: list[tuple[bytes, int, bool, int]], window: int | None
) -> None:
    answers: list[Reply | BaseException] = []
    for (_, _, counts, refusals), reply in zip(turns, acting(len(turns), 2), strict=False):
        answers += [ContextOverflow("context_length_exceeded")] * (refusals == 1)
        usage = Usage(1500 + 40 * len(answers), 5) if counts else None
        answers.append(Reply(reply.text, reply.calls, usage=usage))
    answers.append(acting(0)[0])
    outputs = [text * (1 + times) for text, times, _, _ in turns for _ in range(2)]
    wanted: dict[str, Any] = {"context_tokens": window, "max_output_tokens": 300}
    with folder() as parent:
        model = ModelInMemory(answers)
        ended, events = await conversed(model, outputs, parent, parent / "run", **wanted)
        called = kinds(events, "model.called")
        bodies = [rebuild_request(parent / "run", event["call"]) for event in called]
        assert bodies == [request.body() for request in model.seen]
        whole = {event["index"]: event["message"] for event in kinds(events, "message")}
        for body in map(json.loads, bodies):
            check_pairing(body)
            seen = body["messages"]
            last = max((i for i, m in enumerate(seen) if m["role"] == "assistant"), default=0)
            for index, message in enumerate(seen):
                if index < 2 or index > last:
                    assert message == whole[index], "frame, task and the latest turn are whole"
                elif message["role"] != "assistant" and message != whole[index]:
                    assert "characters left out later, to make room" in message["content"]
        replayed = await conversed(
            choose(f"replay:{parent / 'run'}", loaded(parent), None),
            outputs, parent, parent / "again", **wanted,
        )  # fmt: skip
        assert replayed[0] == ended
        assert without_times(replayed[1]) == without_times(events)


async def test_a_long_run_goes_on_in_a_small_window(tmp_path: Path) -> None:
    outputs = [bytes([65 + turn]) * 3000 for turn in range(20)]
    model = ModelInMemory(acting(20))
    wanted = {"context_tokens": 6000, "max_output_tokens": 500}
    ended, events = await conversed(model, outputs, tmp_path, tmp_path / "run", **wanted)
    assert ended == "submitted"
    compacted = kinds(events, "context.compacted")
    assert 2 <= len(compacted) <= 12, "not at every call"
    assert all(len(request.body()) // 3 <= 5500 for request in model.seen)
    for event, output in zip(kinds(events, "action.ended"), outputs, strict=True):
        assert content_bytes(tmp_path / "run", event["output"]) == output, "all of it is on record"


async def test_one_observation_larger_than_the_window_is_shown_in_part(tmp_path: Path) -> None:
    outputs = [b"x" * 100_000, b"\x00" * 100_000, b"y" * 100_000]
    replies = [*acting(1)[:1], *acting(1, calls=2)]
    model = ModelInMemory(replies)
    wanted = {"context_tokens": 3000, "max_output_tokens": 100}
    ended, events = await conversed(model, outputs, tmp_path, tmp_path / "run", **wanted)
    assert ended == "submitted"
    told = [event["message"]["content"] for event in kinds(events, "message")][2:]
    assert all("bytes left out ...]" in text for text in told)
    assert len(json.dumps(told[0])) < 2900 * 3 // 2 + 100
    assert len(json.dumps(told[1:])) < 2900 * 3 // 2 + 200
    assert all(len(request.body()) // 3 <= 2900 for request in model.seen)


FULL = Answer({"error": {"code": "context_length_exceeded", "message": "maximum context"}}, 400)
BACK = Answer(completion("", [("bash", {"command": "x"})], usage=None))
DONE = Answer(completion("", [("submit", {"answer": "done"})], usage=None))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "wanted", "ended", "compacted"),
    [
        ([BACK, BACK, FULL, BACK, DONE], {}, "submitted", 1),
        ([BACK, BACK, FULL, BACK, FULL, DONE], {}, "submitted", 2),
        ([BACK, BACK, FULL, FULL], {}, "full", 1),
        ([FULL], {}, "full", 0),
        ([BACK, BACK, FULL], {"when_full": "stop"}, "full", 0),
        (
            [BACK, BACK, Answer({"error": "Context size has been exceeded."}, 500), DONE],
            {},
            "submitted",
            1,
        ),
        ([BACK, BACK, Answer({"error": "prompt is too long"}, 200), DONE], {}, "submitted", 1),
    ],
)
async def test_a_server_that_says_it_is_full_gets_one_shorter_prompt(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Answer],
    wanted: dict[str, Any],
    ended: str,
    compacted: int,
) -> None:
    with serving(*answers) as server:
        point_at(monkeypatch, server.address)
        model = choose("openai/m", loaded(tmp_path, budget=PLENTY), None)
        assert isinstance(model, OpenAIChat)
        outputs = [OBSERVATION.encode()] * 9
        got, events = await conversed(model, outputs, tmp_path, tmp_path / "run", **wanted)
        came = [request.body for request in server.came]
    assert got == ended
    assert len(came) == len(answers), "no other attempt"
    assert len(kinds(events, "context.compacted")) == compacted
    called = kinds(events, "model.called")
    assert [rebuild_request(tmp_path / "run", event["call"]) for event in called] == came
    failed = kinds(events, "model.failed")
    for event in failed:
        # Only a plain refusal is sure not to have been billed.
        sure = answers[event["call"] - 1].status == 400
        assert event["settled"] == ({} if sure else called[event["call"] - 1]["reserved"])
    assert all(event["context_full"] is True for event in failed)
