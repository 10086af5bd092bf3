"""The recorded replies of an earlier run, in their order, in the place of a model."""

from typing import Any

from agent_eval.conversation import Reply, Request, ToolCall, Usage
from agent_eval.errors import ModelUnavailable
from agent_eval.prices import FREE, PriceCard


class Replay:
    """Answers what the recorded model answered; the k-th call gets the k-th reply."""

    remote = False
    price: PriceCard | None = FREE

    def __init__(self, name: str, replies: list[dict[str, Any]]) -> None:
        self.name = f"replay:{name}"
        self._replies = replies
        self._next = 0

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """Nothing is sent anywhere."""
        return {"model": self.name, "max_tokens": max_output_tokens}

    def about(self) -> dict[str, Any]:
        """How much there is to replay."""
        return {"replies": len(self._replies)}

    async def close(self) -> None:
        """Nothing to let go of."""

    async def complete(self, request: Request) -> Reply:  # noqa: ARG002 - a recording does not look
        """The next recorded reply; raises `ModelUnavailable` when there is none left."""
        if self._next >= len(self._replies):
            raise ModelUnavailable(
                f"the recording has {len(self._replies)} replies and this run asks for another"
            )
        event = self._replies[self._next]
        self._next += 1
        message = event["message"]
        calls = tuple(
            ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        )
        return Reply(
            text=message["content"] or "",
            calls=calls,
            reasoning=event.get("reasoning", ""),
            usage=Usage(**event["usage"]),
            finish_reason=event.get("finish_reason", ""),
            model=event.get("model", ""),
            fingerprint=event.get("fingerprint", ""),
            raw_usage=event.get("raw_usage"),
        )
