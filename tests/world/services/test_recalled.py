"""What was answered is given again where the same is asked, once each and in order."""

import json
import re
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Message
from agent_eval.events.folk import PeoplePlayed
from agent_eval.events.kinds import MessageAdded
from agent_eval.events.services import LmAnswered
from agent_eval.record.transcript import Transcript
from agent_eval.world.services.lm_wire import json_text
from agent_eval.world.services.recalled import PERSONS, Recalled

TIMES = [re.compile(rb"\d\d:\d\d")]
HELLO = [{"role": "user", "content": "Hellö"}]
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def answered(
    transcript: Transcript,
    messages: list[dict[str, Any]],
    finish_reason: str = "stop",
    **said: Any,
) -> None:
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
            finish_reason=finish_reason,
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
        answered(transcript, HELLO, content="second", finish_reason="length")
        transcript.write(MessageAdded(0, {"role": "user", "content": "and then"}))
        answered(transcript, HELLO, content="third")
    recalled = Recalled(tmp_path / "run", last=3)
    assert recalled.take("stand-in", messages_of(HELLO)) is None, "somebody else was asked"
    texts = [recalled.take("subject", messages_of(HELLO)) for _ in range(3)]
    assert [each and each.text for each in texts] == ["first", "second", None]
    assert [each and each.finish_reason for each in texts] == ["stop", "length", None]
    asked = recalled.take("subject", messages_of(json.loads(json_text(long))))
    assert asked is not None
    assert [(one.id, one.name, one.arguments) for one in asked.calls] == [("c1", "bash", "{}")]
    assert asked.usage is not None
    assert (asked.usage.input_tokens, asked.usage.output_tokens) == (3, 5)
    assert (asked.usage.cached_input_tokens, asked.usage.reasoning_tokens) == (2, 1)


def acted(number: int, id_: str, output: str) -> list[dict[str, Any]]:
    """One more turn of a loop: what it proposed, and what came of it."""
    given = {"name": "bash", "arguments": f'{{"command": "echo {number}"}}'}
    call = {"id": id_, "type": "function", "function": given}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id_, "content": output},
    ]


def test_a_question_is_the_same_whatever_its_calls_are_called(tmp_path: Path) -> None:
    task = [{"role": "user", "content": "Count."}]
    with Transcript.create(tmp_path / "run") as transcript:
        for turns in range(3):
            said = [each for n in range(turns) for each in acted(n, f"a{n}", f"{n} at 10:0{n}")]
            call = acted(turns, f"a{turns}", "")[0]
            answered(transcript, [*task, *said], tool_calls=call["tool_calls"])
    strict, lenient = Recalled(tmp_path / "run"), Recalled(tmp_path / "run", None, TIMES)
    for recalled, same in ((strict, False), (lenient, True)):
        assert recalled.take("subject", messages_of(task))
        said = acted(0, "b7", "0 at 22:22")
        assert bool(recalled.take("subject", messages_of([*task, *said]))) is same
    assert strict.take("subject", messages_of([*task, *said])) is None
    ((stranger, count),) = strict.strangers.items()
    assert count == 2, "who is refused asks again"
    assert (stranger.seq, stranger.later) == (1, False)
    assert (stranger.expected, stranger.got) == ("0 at 10:00", "0 at 22:22")
    assert [seq for seq, _ in strict.left()] == [1, 2]
    said = [each for n in range(2) for each in acted(n, f"c{n}", f"{n} at 10:0{n}")]
    assert lenient.take("subject", messages_of([*task, *said]))
    assert not list(lenient.left()) and not lenient.strangers
    said += acted(2, "c2", "on and on")
    assert lenient.take("subject", messages_of([*task, *said])) is None
    assert [each.later for each in lenient.strangers] == [True], "the record ends there"


def test_what_a_person_said_comes_again(tmp_path: Path) -> None:
    with Transcript.create(tmp_path / "run") as transcript:
        content = transcript.content
        transcript.write(
            PeoplePlayed("kim", "agent", content(json_text(HELLO)), {}, content(b"No.\n/report"))
        )
    recalled = Recalled(tmp_path / "run")
    said = recalled.take(PERSONS, messages_of(HELLO))
    assert said is not None and said.text == "No.\n/report"
    assert recalled.take(PERSONS, messages_of(HELLO)) is None
