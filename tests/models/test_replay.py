"""A recording in the place of a model."""

from typing import Any

import pytest

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Reply, Request, ToolCall, Usage
from agent_eval.errors import ModelUnavailable, TranscriptBroken
from agent_eval.events.kinds import ModelReplied
from agent_eval.models.replay import Replay
from agent_eval.record.prices import FREE
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import Transcript
from tests.helpers import NASTY, folder

pytestmark = pytest.mark.anyio

REQUEST = Request((), (), {})
REPLIES = [
    Reply("hello", usage=Usage(10, 5, 3, 2)),
    Reply(NASTY, (ToolCall("c1", "bash", "{not json"),), "thoughts", Usage(1, 1, estimated=True)),
    Reply("", (ToolCall("c2", "submit", "{}"),), "", Usage(0, 0), "stop", "m", "fp", {"a": 1}),
]


def recorded(reply: Reply, index: int) -> ModelReplied:
    message = words.assistant(reply.text, reply.calls)
    return ModelReplied(
        call=index,
        attempt=1,
        index=index,
        message=message.content,
        usage=dict(vars(reply.usage)) if reply.usage else {},
        settled={},
        duration_s=0.1,
        reasoning=reply.reasoning or None,
        finish_reason=reply.finish_reason or None,
        model=reply.model or None,
        fingerprint=reply.fingerprint or None,
        raw_usage=reply.raw_usage,
    )


async def test_what_was_recorded_is_said_again_in_its_order() -> None:
    with folder() as parent:
        with Transcript.create(parent / "run") as transcript:
            for index, reply in enumerate(REPLIES):
                transcript.write(recorded(reply, index))
        replay = Replay("a run", read_events(parent / "run"))
    assert [await replay.complete(REQUEST) for _ in REPLIES] == REPLIES
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="has 3 replies and this run asks for another"):
            await replay.complete(REQUEST)
    assert replay.about() == {"replies": 3}
    assert (replay.name, replay.remote, replay.price) == ("replay:a run", False, FREE)
    assert replay.arguments(5) == {"model": "replay:a run", "max_tokens": 5}
    await replay.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"message": None},
        {"message": 5},
        {"message": {"tool_calls": 5}},
        {"message": {"tool_calls": [{}]}},
        {"message": {"tool_calls": [{"id": "x", "function": None}]}},
        {"usage": None},
        {"usage": {}},
        {"usage": {"input_tokens": 1, "output_tokens": 1, "later": 5}},
        {"usage": {"input_tokens": -(10**6), "output_tokens": 1}},
        {"usage": {"input_tokens": "1", "output_tokens": 1}},
        {"message": {"content": ["a list"]}},
        {"message": {"tool_calls": [{"id": 1, "function": {"name": "x", "arguments": "{}"}}]}},
        {"reasoning": {"a": 1}},
    ],
)
def test_a_recording_of_something_else_is_refused(changes: dict[str, Any]) -> None:
    event = {"seq": 7, **recorded(REPLIES[0], 0).fields(), **changes}
    with pytest.raises(TranscriptBroken, match="event 7 is no reply of a model"):
        Replay("x", [event])
