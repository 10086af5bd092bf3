"""A model that answers programs in the world, and who pays for it in real money.

As the agent's own calls do, each attempt sets aside what it can cost at worst before it leaves and
is settled after; one whose usage never arrived is settled at all of it. The account is the run's
for the model under test, and one of its own for a stand-in: neither is ever spent beyond its limit,
however many call at once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from agent_eval.basics.conversation import Message, Reply, Request, ToolCall, Usage, wire_json
from agent_eval.errors import ModelUnavailable, OperatorError, Overspent, ScenarioError
from agent_eval.models.base import AttemptFailed, ContextOverflow, Model
from agent_eval.models.control import tokens_in
from agent_eval.models.overflow import says_full
from agent_eval.models.retry import with_retries
from agent_eval.record.budget import Account, Amounts, plain
from agent_eval.record.redact import NOTHING, Redactor
from agent_eval.scenario.model import ModelArguments
from agent_eval.world.services.chat import Call

BILLED = ("usd", "tokens", "output_tokens")
"""Limits that a server's bill can break."""

SMALLEST_REPLY_TOKENS = 256
"""A reply gets less room than wished while the budget still allows this much."""


async def _always() -> None:
    """A run that is never paused."""


@dataclass(frozen=True)
class Wanted:
    """A call made ready: what goes to the model and what that can cost at worst."""

    request: Request
    worst: Amounts


@dataclass
class Bill:
    """What a call has cost so far, failed attempts included."""

    spent: Amounts
    usage: Usage | None = None


@dataclass
class Thinking:
    """A model and who pays for it."""

    served_by: str
    """`subject`, the model under test, or `stand-in`."""
    model: Model
    wanted: ModelArguments
    account: Account
    redactor: Redactor = NOTHING
    """Takes the host's secrets out of what goes to a model and of what comes from it."""
    going: Callable[[], Awaitable[None]] = _always
    """Returns when the run is not paused."""

    def ready(self, call: Call, most_output_tokens: int) -> Wanted:
        """The request for a call, with room for a reply as the budget allows."""
        wish = min(call.max_output_tokens or most_output_tokens, most_output_tokens)
        messages = [Message(self.redactor.value(each)) for each in call.messages]
        tools = self.redactor.value(list(call.tools))
        sampling = self.redactor.value(call.sampling)
        head = len(wire_json([self.model.arguments(wish) | sampling, tools]))
        size = head + sum(len(message.wire) + 1 for message in messages)
        room = self._room(size, wish)
        arguments = self.model.arguments(room) | sampling
        price = self.model.price
        usd = price.worst(size, room) if price else Decimal(0)
        # No text has more tokens than bytes.
        worst = Amounts(input_tokens=size, output_tokens=room, usd=usd, steps=1)
        return Wanted(Request(messages, tools, arguments, size), worst)

    def _room(self, reads: int, wish: int) -> int:
        price = self.model.price
        takes = {"tokens": (Decimal(reads), Decimal(1)), "output_tokens": (Decimal(0), Decimal(1))}
        if price:
            takes["usd"] = (price.worst(reads, 0), price.worst(0, 1))
        room = wish
        for name, (prompt, each) in takes.items():
            free = self.account.free(name)
            if free is not None and each:
                room = min(room, int((free - prompt) / each))
        return max(room, min(SMALLEST_REPLY_TOKENS, wish))

    async def answer(self, wanted: Wanted, bill: Bill) -> Reply:
        """One reply, retried if need be; what it cost is on the bill, however it ends.

        Raises `LimitReached`, `ContextOverflow`, and what a model raises.
        """

        async def attempt(_: int) -> Reply:
            async with self._turn():
                return await self._attempt(wanted, bill)

        def failed(_: int, error: AttemptFailed, retry_in_s: float | None) -> None:
            """Its cost is on the bill already."""

        return await with_retries(attempt, failed, self.wanted.attempts)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A place at the model's server; none is kept while the run is paused."""
        await self.going()
        async with self.model.turn():
            yield

    async def _attempt(self, wanted: Wanted, bill: Bill) -> Reply:
        hold = self.account.reserve(wanted.worst)
        spent = wanted.worst
        try:
            given = await self._completed(wanted.request)
            usage = given.usage or _estimated(given, wanted.request)
            reply = replace(self._without_secrets(given, wanted.request), usage=usage)
            spent = self._cost(usage, wanted.worst)
        except (AttemptFailed, ContextOverflow) as error:
            spent = wanted.worst if error.may_be_billed else Amounts()
            raise
        except (OperatorError, ModelUnavailable, ScenarioError):
            spent = Amounts()
            raise
        finally:
            hold.settle(spent)
            bill.spent += spent
        bill.usage = usage
        self._refuse_overspending()
        return reply

    def _refuse_overspending(self) -> None:
        limit = self.account.overspent(*BILLED)
        if limit is not None:
            raise Overspent(
                limit,
                f"{limit}: the server of the world's {self.served_by} billed more than it was "
                f"asked for, and {plain(self.account.used(limit)):g} of "
                f"{plain(self.account.limits[limit]):g} is used now",
            )

    async def _completed(self, request: Request) -> Reply:
        """The answer of the model, which is told the conversation from its beginning each time."""
        model = self.model.of_copy(self.served_by)
        said = list(request.messages)
        model.take_up(said, sum(each.content["role"] == "assistant" for each in said))
        try:
            return await model.complete(request)
        except (AttemptFailed, OperatorError) as error:
            if says_full(str(error)):
                billed = isinstance(error, AttemptFailed) and error.may_be_billed
                raise ContextOverflow(str(error), may_be_billed=billed) from error
            raise

    def _without_secrets(self, reply: Reply, request: Request) -> Reply:
        out = self.redactor.text
        calls = tuple(
            ToolCall(call.id, out(call.name), out(call.arguments)) for call in reply.calls
        )
        return replace(reply, text=out(reply.text), calls=calls if request.tools else ())

    def _cost(self, usage: Usage, worst: Amounts) -> Amounts:
        if usage.estimated and self.model.remote and self.wanted.missing_usage == "reserved":
            return worst
        return Amounts(
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            usd=self.model.price.cost(usage) if self.model.price else Decimal(0),
            steps=1,
        )


def _estimated(reply: Reply, request: Request) -> Usage:
    """Usage by size, where a server gave none."""
    written = len(reply.text) + len(reply.reasoning)
    written += sum(len(call.arguments) for call in reply.calls)
    return Usage(tokens_in(request.size_bytes), tokens_in(written), estimated=True)
