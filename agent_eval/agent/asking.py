"""Asking the model: what a call costs at worst is set aside, then it is recorded, then it leaves.

One `Asking` an agent. Each attempt is reserved, recorded, sent, settled and recorded again; one
whose usage never arrived is settled at all that was set aside for it.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agent_eval.agent.context import Context, window_of
from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Conversation, Message, Reply, Request, ToolCall
from agent_eval.basics.echo import sendable, sendable_text, told_apart
from agent_eval.errors import ContextFull
from agent_eval.events.event import Event
from agent_eval.events.kinds import (
    ModelCalled,
    ModelFailed,
    ModelOffered,
    ModelReplied,
    ModelRequest,
)
from agent_eval.models.base import AttemptFailed, ContextOverflow, Model
from agent_eval.models.paying import Paying, completed, cost_of_failure, usage_of
from agent_eval.models.retry import with_retries
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.rebuild import AgentState
from agent_eval.record.transcript import Transcript
from agent_eval.scenario.model import ModelArguments, digest_of

Put = Callable[[dict[str, Any]], None]
"""Puts a reply on record, as what was said or as one of several that may be."""


@dataclass(frozen=True)
class Offer:
    """A reply that was paid for and is on record, and what the record has of it."""

    reply: Reply
    recorded: dict[str, Any]


@dataclass
class Asking:
    """A model, who pays for it, where it is recorded, and what has been said."""

    name: str
    """The agent's path in the tree of copies; the first is `0`."""
    model: Model
    tools: Sequence[dict[str, Any]]
    wanted: ModelArguments
    account: Account
    transcript: Transcript
    steering: Steering = field(default_factory=Steering)
    """Of the whole run: no call is made while that is paused."""
    calls: int = 0
    """Calls so far; the last has this number."""
    _described: str = ""
    _attempt_started: float = 0.0
    _call_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        tools_bytes = len(words.wire_json(list(self.tools)))
        self.context = Context(window_of(self.wanted, self.model), self.wanted, tools_bytes)
        self._paying = Paying(self.account, self.model, self.wanted)

    @property
    def conversation(self) -> Conversation:
        """What the model is shown."""
        return self.context.conversation

    def take_up(self, state: AgentState) -> None:
        """Go on from where a record ends."""
        self.context.take_up(state)
        self.calls, self._described = state.calls, state.described
        self._call_ids |= state.call_ids
        self.model.take_up(state.as_said, state.answered)

    async def ask(self) -> Reply:
        """One reply to a prompt that fits; raises `ContextFull` if none can be made to."""
        return (await self._answered(self._said)).reply

    async def options(self, count: int) -> list[Offer]:
        """So many replies to the prompt, one after the other; none is part of what was said yet."""
        return [await self._answered(self._offered) for _ in range(count)]

    def pick(self, offer: Offer) -> Reply:
        """Have one of them be what the model said."""
        self._said(offer.recorded | {"settled": {}, "picked": True})
        return offer.reply

    async def _answered(self, put: Put) -> Offer:
        if shortened := self.context.fit():
            self.record(shortened)
        try:
            return await self._call(put)
        except ContextOverflow as error:
            self.record(self.context.refused(str(error)))
        try:
            return await self._call(put)
        except ContextOverflow as error:
            raise ContextFull(f"shortened, it still does not fit: {error}") from error

    async def _call(self, put: Put) -> Offer:
        """One reply, retried if need be; raises `LimitReached` if its worst cost does not fit."""
        request, worst = self._prepare()
        self.calls += 1

        async def attempt(number: int) -> Offer:
            async with self._turn():
                return await self._attempt(request, worst, number, put)

        def failed(number: int, error: AttemptFailed, retry_in_s: float | None) -> None:
            spent = worst if error.may_be_billed else Amounts()
            self._record_failure(number, error, spent, error.status, retry_in_s)

        return await with_retries(attempt, failed, self.wanted.attempts)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A place at the model's server, which a run that is paused leaves to others."""
        while True:
            await self.steering.going()
            async with self.model.turn():
                if not self.steering.paused:
                    yield
                    return

    async def _attempt(self, request: Request, worst: Amounts, number: int, put: Put) -> Offer:
        with self._paying.charged(worst) as charge:
            self._record_call(request, number, worst)
            given = await self._completed(request, worst, number)
            reply = replace(given, calls=told_apart(given.calls, self._call_ids))
            reply = self._with_usage(reply, request)
            assert reply.usage is not None
            charge.spent = self._paying.cost(reply.usage, worst)
            recorded = self._recorded(reply, given.calls, number, charge.spent)
            put(recorded)
        self._paying.refuse_overspending("the server")
        return Offer(reply, recorded)

    async def _completed(self, request: Request, worst: Amounts, number: int) -> Reply:
        """The model's answer; an end that no other attempt follows is put on record here."""
        try:
            reply = await completed(self.model, request)
        except AttemptFailed:
            raise
        except BaseException as error:
            self._record_failure(number, error, cost_of_failure(error, worst, worst))
            raise
        # Calls that were not offered would stand unanswered in the conversation.
        return self._without_secrets(reply if self.tools else replace(reply, calls=()))

    def _without_secrets(self, reply: Reply) -> Reply:
        """The reply as it may be shown to a model again, and be done."""
        take_out = self.transcript.redactor.text
        calls = tuple(
            ToolCall(take_out(call.id), take_out(call.name), take_out(call.arguments))
            for call in reply.calls
        )
        return replace(reply, text=take_out(reply.text), calls=calls)

    # --- what a call may cost -------------------------------------------------------------------

    def _prepare(self) -> tuple[Request, Amounts]:
        """The next request and its worst cost; its reply gets the room that the budget allows."""
        arguments = self.model.arguments(self.wanted.max_output_tokens)
        size = self.conversation.wire_bytes + len(words.wire_json([arguments, list(self.tools)]))
        reads = self.context.most_tokens(size)
        room = self._paying.room(reads, self.context.reply_tokens)
        request = Request(self.conversation.messages, self.tools, self.model.arguments(room), size)
        return request, self._paying.worst(reads, room)

    def _with_usage(self, reply: Reply, request: Request) -> Reply:
        """The reply with its usage, estimated from its size where the server gave none."""
        if reply.usage is not None and not reply.usage.estimated:
            self.context.counted(reply.usage.input_tokens)
        return replace(reply, usage=usage_of(reply, request))

    # --- what goes on record --------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Put an event of this agent on record."""
        self.transcript.write(event, self.name)

    def _record_call(self, request: Request, attempt: int, worst: Amounts) -> None:
        self._attempt_started = time.monotonic()
        digest = digest_of([request.arguments, list(request.tools)])
        if digest != self._described:
            self._described = digest
            self.record(ModelRequest(digest, request.arguments, list(request.tools)))
        event = ModelCalled(
            call=self.calls,
            attempt=attempt,
            sees=[[0, len(request.messages) - 1]],
            arguments=digest,
            reserved=worst.record(),
            request_sha256=request.sha256() if self.model.remote else None,
        )
        self.record(event)

    def _record_failure(
        self,
        attempt: int,
        error: BaseException,
        spent: Amounts,
        status: int | None = None,
        retry_in_s: float | None = None,
    ) -> None:
        event = ModelFailed(
            call=self.calls,
            attempt=attempt,
            error=str(error) or type(error).__name__,
            settled=spent.record(),
            duration_s=round(time.monotonic() - self._attempt_started, 6),
            status=status,
            retry_in_s=retry_in_s,
            context_full=True if isinstance(error, ContextOverflow) else None,
        )
        self.record(event)

    def _said(self, recorded: dict[str, Any]) -> None:
        index = self.conversation.add(Message(recorded["message"]))
        self.record(ModelReplied(index=index, **recorded))

    def _offered(self, recorded: dict[str, Any]) -> None:
        self.record(ModelOffered(**recorded))

    def _recorded(
        self, reply: Reply, given: tuple[ToolCall, ...], attempt: int, spent: Amounts
    ) -> dict[str, Any]:
        sent_back = [sendable(call) for call in reply.calls]
        message = words.assistant(sendable_text(reply.text, sent_back), sent_back)
        return {
            "call": self.calls,
            "attempt": attempt,
            "message": message.content,
            "usage": asdict(reply.usage) if reply.usage else {},
            "settled": spent.record(),
            "duration_s": round(time.monotonic() - self._attempt_started, 6),
            "reasoning": reply.reasoning or None,
            "finish_reason": reply.finish_reason or None,
            "model": reply.model or None,
            "fingerprint": reply.fingerprint or None,
            "raw_usage": reply.raw_usage,
            "calls_as_given": (
                None if list(given) == sent_back else [asdict(call) for call in given]
            ),
        }
