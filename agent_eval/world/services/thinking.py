"""A model that answers programs in the world, and who pays for it in real money.

As the agent's own calls do, each attempt sets aside what it can cost at worst before it leaves and
is settled after; one whose usage never arrived is settled at all of it. The account is the run's
for the model under test, and one of its own for a stand-in: neither is ever spent beyond its limit,
however many call at once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from agent_eval.basics.conversation import Message, Reply, Request, ToolCall, wire_json
from agent_eval.errors import AgentEvalError, LimitReached, ModelUnavailable
from agent_eval.models.base import AttemptFailed, Model
from agent_eval.models.paying import Bill, Paying, completed, usage_of
from agent_eval.models.retry import with_retries
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.redact import NOTHING, Redactor
from agent_eval.scenario.model import ModelArguments
from agent_eval.world.services.chat import Call
from agent_eval.world.services.recalled import Recalled

SUBJECT = "subject"
"""Who answers where the model under test does."""
STAND_IN = "lm"
"""The role of a stand-in at the language-model API."""


async def _always() -> None:
    """A run that is never paused."""


@dataclass(frozen=True)
class Wanted:
    """A call made ready: what goes to the model and what that can cost at worst."""

    request: Request
    worst: Amounts


@dataclass
class Thinking:
    """A model and who pays for it."""

    served_by: str
    """`subject`, the model under test, `stand-in`, or `persons`."""
    model: Model
    wanted: ModelArguments
    account: Account
    redactor: Redactor = NOTHING
    """Takes the host's secrets out of what goes to a model and of what comes from it."""
    going: Callable[[], Awaitable[None]] = _always
    """Returns when the run is not paused."""
    told: Callable[[AgentEvalError], None] = lambda _: None
    """Told of limits that calls reach, and of a model that cannot be asked."""

    recalled: Recalled | None = None
    """Answers of an earlier run whose actions are done again; they are free."""

    def __post_init__(self) -> None:
        self._paying = Paying(self.account, self.model, self.wanted)

    @property
    def role(self) -> str | None:
        """Whose account pays; None where that is the run's."""
        return {SUBJECT: None, "stand-in": STAND_IN}.get(self.served_by, self.served_by)

    def ready(self, call: Call, most_output_tokens: int) -> Wanted:
        """The request for a call, with room for a reply as the budget allows."""
        wish = min(call.max_output_tokens or most_output_tokens, most_output_tokens)
        messages = [Message(self.redactor.value(each)) for each in call.messages]
        tools = self.redactor.value(list(call.tools))
        sampling = self.redactor.value(call.sampling)
        head = len(wire_json([self.model.arguments(wish) | sampling, tools]))
        size = head + sum(len(message.wire) + 1 for message in messages)
        room = self._paying.room(size, wish)  # no text has more tokens than bytes
        arguments = self.model.arguments(room) | sampling
        worst = self._paying.worst(size, room)
        return Wanted(Request(messages, tools, arguments, size), worst)

    async def answer(self, wanted: Wanted, bill: Bill) -> Reply:
        """One reply, retried if need be; what it cost is on the bill, however it ends.

        Raises `LimitReached`, `ContextOverflow`, and what a model raises.
        """
        messages = wanted.request.messages
        if self.recalled and (again := self.recalled.take(self.served_by, messages)):
            bill.usage = again.usage
            return again

        async def attempt(_: int) -> Reply:
            async with self._turn():
                return await self._attempt(wanted, bill)

        def failed(_: int, error: AttemptFailed, retry_in_s: float | None) -> None:
            """Its cost is on the bill already."""

        try:
            return await with_retries(attempt, failed, self.wanted.attempts)
        except (LimitReached, ModelUnavailable) as error:
            self.told(error)
            raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A place at the model's server; none is kept while the run is paused."""
        await self.going()
        async with self.model.turn():
            yield

    async def _attempt(self, wanted: Wanted, bill: Bill) -> Reply:
        with self._paying.charged(wanted.worst, bill) as charge:
            given = await self._completed(wanted.request)
            usage = usage_of(given, wanted.request)
            reply = replace(self._without_secrets(given, wanted.request), usage=usage)
            charge.spent = self._paying.cost(usage, wanted.worst)
        bill.usage = usage
        self._paying.refuse_overspending(f"the server of the world's {self.served_by}")
        return reply

    async def _completed(self, request: Request) -> Reply:
        """The answer of the model, which is told the conversation from its beginning each time."""
        model = self.model.of_copy(self.served_by)
        said = list(request.messages)
        model.take_up(said, sum(each.content["role"] == "assistant" for each in said))
        return await completed(model, request)

    def _without_secrets(self, reply: Reply, request: Request) -> Reply:
        out = self.redactor.text
        calls = tuple(
            ToolCall(call.id, out(call.name), out(call.arguments)) for call in reply.calls
        )
        return replace(reply, text=out(reply.text), calls=calls if request.tools else ())
