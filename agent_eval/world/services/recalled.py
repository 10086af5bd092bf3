"""What a model answered in the world of an earlier run, given again where the same is asked.

A world that is made again is asked the same questions by the same actions. Each answer is given
once, in the order in which such a question was asked; what was never asked is for the model.
"""

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Message, Reply, ToolCall, Usage
from agent_eval.record.reading import content_bytes, read_events
from agent_eval.world.services.lm_wire import json_text


class Recalled:
    """The answers of one run's language-model API, up to an event."""

    def __init__(self, run: Path, last: int | None = None) -> None:
        self._answers: defaultdict[str, deque[Reply]] = defaultdict(deque)
        for event in read_events(run):
            if last is not None and event["seq"] > last:
                break
            if event["kind"] == "run.resumed":  # whose world was made anew from the beginning
                self._answers.clear()
            elif event["kind"] == "lm.answered":
                asked = _key(event["served_by"], content_bytes(run, event["messages"]))
                said = json.loads(content_bytes(run, event["reply"]))
                self._answers[asked].append(_reply(said, event["usage"]))

    def take(self, served_by: str, messages: Sequence[Message]) -> Reply | None:
        """The next answer to these messages, with what it used; None where there is no more."""
        answers = self._answers[_key(served_by, json_text([each.content for each in messages]))]
        return answers.popleft() if answers else None


def _key(served_by: str, messages: bytes) -> str:
    return f"{served_by} {hashlib.sha256(messages).hexdigest()}"


def _reply(said: dict[str, Any], usage: dict[str, Any]) -> Reply:
    calls = tuple(
        ToolCall(each["id"], each["function"]["name"], each["function"]["arguments"])
        for each in said.get("tool_calls") or ()
    )
    used = Usage(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
    )
    return Reply(said["content"] or "", calls, usage=used, finish_reason="stop")
