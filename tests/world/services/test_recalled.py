"""What was answered is given again where the same is asked, once each and in order."""

import json
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Message
from agent_eval.events.kinds import MessageAdded
from agent_eval.events.services import LmAnswered
from agent_eval.record.transcript import Transcript
from agent_eval.world.services.lm_wire import json_text
from agent_eval.world.services.recalled import Recalled

HELLO = [{"role": "user", "content": "Hellö"}]
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def answered(transcript: Transcript, messages: list[dict[str, Any]], **said: Any) -> None:
    reply = {"role": "assistant", "content": None, **said}
    transcript.write(
        LmAnswered(
            sandbox="0",
            account="main",
            key="first",
            call=1,
            model="chat-1",
            served_by="subject",
            status=200,
            messages=transcript.content(json_text(messages)),
            reply=transcript.content(json_text(reply)),
            results=[],
            proposed=[],
            usage=USAGE,
            charged_microusd=1,
            settled={},
            stream=False,
        )
    )


def messages_of(contents: list[dict[str, Any]]) -> list[Message]:
    return [Message(each) for each in contents]


def test_answers_come_in_order_and_once(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    long = [{"role": "user", "content": "x" * 100_000}]
    with Transcript.create(tmp_path / "run") as transcript:
        answered(transcript, HELLO, content="first")
        answered(transcript, long, tool_calls=[call])
        answered(transcript, HELLO, content="second")
        transcript.write(MessageAdded(0, {"role": "user", "content": "and then"}))
        answered(transcript, HELLO, content="third")
    recalled = Recalled(tmp_path / "run", last=3)
    assert recalled.take("stand-in", messages_of(HELLO)) is None, "somebody else was asked"
    texts = [recalled.take("subject", messages_of(HELLO)) for _ in range(3)]
    assert [each and each.text for each in texts] == ["first", "second", None]
    asked = recalled.take("subject", messages_of(json.loads(json_text(long))))
    assert asked is not None
    assert [(one.id, one.name, one.arguments) for one in asked.calls] == [("c1", "bash", "{}")]
    assert asked.usage is not None
    assert (asked.usage.input_tokens, asked.usage.output_tokens) == (3, 5)
    assert (asked.usage.cached_input_tokens, asked.usage.reasoning_tokens) == (2, 1)
