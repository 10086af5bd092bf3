"""The recorded replies of an earlier run, in their order, in the place of a model."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from agent_eval.basics.conversation import Message, Reply, Request, ToolCall, Usage
from agent_eval.errors import ModelUnavailable, TranscriptBroken
from agent_eval.models.base import ContextOverflow
from agent_eval.record.prices import FREE, PriceCard


class Replay:
    """Answers what the recorded model answered; the k-th call gets the k-th reply.

    Where the server had said that a request does not fit, so does this.
    """

    remote = False
    price: PriceCard | None = FREE

    def __init__(
        self,
        name: str,
        events: Iterable[dict[str, Any]],
        context_tokens: int | None = None,
        agent: str = "0",
    ) -> None:
        self.name = f"replay:{name}"
        self.context_tokens = context_tokens
        self._events = list(events)
        own = [event for event in self._events if event.get("agent", "0") == agent]
        self._replies = [_answer_of(event) for event in own]
        self._next = 0

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """Nothing is sent anywhere."""
        return {"model": self.name, "max_tokens": max_output_tokens}

    def about(self) -> dict[str, Any]:
        """How much there is to replay."""
        return {"replies": len(self._replies)}

    def of_copy(self, agent: str) -> "Replay":
        """What the copy of the same name was answered."""
        name = self.name.removeprefix("replay:")
        return Replay(name, self._events, self.context_tokens, agent)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Nobody else asks it."""
        return nullcontext()

    async def close(self) -> None:
        """Nothing to let go of."""

    def take_up(self, said: Sequence[Message], answered: int) -> None:  # noqa: ARG002
        """Those answers were given."""
        self._next = answered

    async def complete(self, request: Request) -> Reply:  # noqa: ARG002 - a recording does not look
        """The next recorded reply; raises `ModelUnavailable` when there is none left."""
        if self._next >= len(self._replies):
            raise ModelUnavailable(
                f"the recording has {len(self._replies)} replies and this run asks for another"
            )
        self._next += 1
        answer = self._replies[self._next - 1]
        if isinstance(answer, ContextOverflow):
            raise answer
        return answer


def _answer_of(event: dict[str, Any]) -> Reply | ContextOverflow:
    if event.get("context_full"):
        return ContextOverflow(str(event.get("error")))
    return reply_of(event)


def reply_of(event: dict[str, Any]) -> Reply:
    """A recorded reply as it was given; raises `TranscriptBroken` for what is none."""
    try:
        message = event["message"]
        given = event.get("calls_as_given") or [
            {"id": call["id"], **call["function"]} for call in message.get("tool_calls") or ()
        ]
        calls = tuple(ToolCall(call["id"], call["name"], call["arguments"]) for call in given)
        reply = Reply(
            text=message.get("content") or "",
            calls=calls,
            reasoning=event.get("reasoning", ""),
            usage=Usage(**event["usage"]),
            finish_reason=event.get("finish_reason", ""),
            model=event.get("model", ""),
            fingerprint=event.get("fingerprint", ""),
            raw_usage=event.get("raw_usage"),
        )
        _refuse_wrong_types(reply)
    except (KeyError, TypeError, AttributeError) as error:
        raise TranscriptBroken(f"event {event['seq']} is no reply of a model: {error!r}") from error
    return reply


def _refuse_wrong_types(reply: Reply) -> None:
    """A record may come from anyone: texts are texts, and no count takes anything off a budget."""
    texts = [reply.text, reply.reasoning, reply.finish_reason, reply.model, reply.fingerprint]
    texts += [text for call in reply.calls for text in vars(call).values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is none")
    if not all(isinstance(count, int) and count >= 0 for count in vars(reply.usage).values()):
        raise TypeError("a count is none")
