"""What a model answered in the world of an earlier run, given again where the same is asked.

A world that is made again is asked the same questions by the same actions. Each answer is given
once, in the order in which such a question was asked; what was never asked is for the model, and
remembered by what it is. Ids of calls, which are drawn in the order in which a world is asked, and
what whoever asks wants to be ignored are no part of a question.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Message, Reply, ToolCall, Usage
from agent_eval.record.reading import content_bytes, read_events

PERSONS = "persons"
"""Who answers where a model plays simulated persons."""
TOLD_CHARACTERS = 300
"""How much of a question is told."""
_SECRET = re.compile(rb"\[secret:([A-Za-z0-9_]+):[0-9a-f]{8}\]")
Said = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Stranger:
    """What was asked and is not on record."""

    seq: int
    """The recorded question that stood in its place, as far as there is one."""
    expected: str
    """The end of that one; empty where the record has none that it can be held against."""
    got: str
    """The end of what was asked."""
    later: bool
    """Whether it only goes on where the record ends, and contradicts nothing in it."""


@dataclass(frozen=True)
class _Answer:
    seq: int
    sandbox: str
    reply: Reply


class Recalled:
    """The answers of models in one run's world, up to an event."""

    def __init__(
        self, run: Path, last: int | None = None, ignore: Sequence[re.Pattern[bytes]] = ()
    ) -> None:
        self._ignore = ignore
        self.strangers: Counter[Stranger] = Counter()
        """What was asked since and is not on record, and how often."""
        self._forget()
        for event in read_events(run):
            if last is not None and event["seq"] > last:
                break
            match event["kind"]:
                case "run.resumed":  # whose world was made anew from the beginning
                    self._forget()
                case "lm.answered":
                    asked = json.loads(content_bytes(run, event["messages"]))
                    said = json.loads(content_bytes(run, event["reply"]))
                    self._learn(event["served_by"], asked, said, event)
                case "people.played" if event.get("reply") is not None:
                    asked = json.loads(content_bytes(run, event["messages"]))
                    text = content_bytes(run, event["reply"]).decode("utf-8", "surrogatepass")
                    said = {"role": "assistant", "content": text}
                    self._learn(PERSONS, asked, said, event)

    def take(self, served_by: str, messages: Sequence[Message]) -> Reply | None:
        """The next answer to these messages, with what it used; None where there is no more."""
        said = [each.content for each in messages]
        answers = self._answers.get(self._key(served_by, said))
        if answers:
            return answers.popleft().reply
        self.strangers[self._stranger(served_by, said, known=answers is not None)] += 1
        return None

    def left(self) -> Iterator[tuple[int, str]]:
        """What was not asked again: where its answer stands, and which sandbox had asked."""
        for answers in self._answers.values():
            for each in answers:
                yield each.seq, each.sandbox

    def _forget(self) -> None:
        self._answers: dict[str, deque[_Answer]] = defaultdict(deque)
        self._went_on: dict[str, tuple[int, str]] = {}
        """By all that was said up to a reply, what was asked next."""
        self._ends: set[str] = set()
        """All that was said, each time there was a reply."""

    def _learn(self, served_by: str, asked: Said, said: dict[str, Any], event: Any) -> None:
        reply = _reply(said, event)
        known = self._answers[self._key(served_by, asked)]
        known.append(_Answer(event["seq"], event.get("sandbox", event["agent"]), reply))
        if before := _up_to_reply(asked):
            found = event["seq"], _end(asked)
            self._went_on.setdefault(self._key(served_by, before), found)
        self._ends.add(self._key(served_by, [*asked, said]))

    def _stranger(self, served_by: str, said: Said, *, known: bool) -> Stranger:
        before = _up_to_reply(said)
        key = self._key(served_by, before) if before else ""
        if key in self._went_on and not known:
            seq, expected = self._went_on[key]
            return Stranger(seq, expected, _end(said), later=False)
        return Stranger(0, "", _end(said), later=known or key in self._ends)

    def _key(self, served_by: str, messages: Said) -> str:
        names: dict[str, int] = {}
        plain = [self._plain(each, names) for each in messages]
        text = json.dumps([served_by, plain], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _plain(self, message: Mapping[str, Any], names: dict[str, int]) -> list[Any]:
        """What of a message makes it the same one."""
        text = str(message.get("content") or "").encode("utf-8", "surrogatepass")
        text = _SECRET.sub(rb"[secret:\1]", text)
        for pattern in self._ignore:
            text = pattern.sub(b"", text)
        calls = [
            [
                names.setdefault(call["id"], len(names)),
                call["function"]["name"],
                call["function"]["arguments"],
            ]
            for call in message.get("tool_calls") or ()
        ]
        answers = message.get("tool_call_id")
        return [message["role"], text.hex(), calls, names.get(str(answers), answers)]


def _up_to_reply(messages: Said) -> Said:
    """All of them up to the last reply; nothing where there is none."""
    for place in range(len(messages), 0, -1):
        if messages[place - 1]["role"] == "assistant":
            return messages[:place]
    return ()


def _end(messages: Said) -> str:
    """What was said since the last reply, to be shown."""
    new = messages[len(_up_to_reply(messages)) :]
    return "\n".join(str(each.get("content") or "") for each in new)[-TOLD_CHARACTERS:]


def _reply(said: dict[str, Any], event: dict[str, Any]) -> Reply:
    calls = tuple(
        ToolCall(each["id"], each["function"]["name"], each["function"]["arguments"])
        for each in said.get("tool_calls") or ()
    )
    ended = event.get("finish_reason", "stop")
    return Reply(said["content"] or "", calls, usage=_used(event), finish_reason=ended)


def _used(event: dict[str, Any]) -> Usage:
    """What an answer used; what a person said is paid by nobody in the world."""
    usage = event.get("usage")
    if usage is None:
        return Usage(0, 0)
    return Usage(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
    )
