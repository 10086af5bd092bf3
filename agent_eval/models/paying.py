"""What a call of a model costs: set aside at its worst before it leaves, settled after.

One rule for all who ask a model: agents, the services of a world, graders. A call whose usage never
arrived is settled at all that was set aside for it; one that cannot have been billed, at nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal

from agent_eval.basics.conversation import Reply, Request, Usage
from agent_eval.errors import (
    ModelUnavailable,
    OperatorError,
    Overspent,
    RequestRefused,
    ScenarioError,
)
from agent_eval.models.base import AttemptFailed, ContextOverflow, Model
from agent_eval.models.control import tokens_in
from agent_eval.models.overflow import says_full
from agent_eval.record.budget import Account, Amounts, plain
from agent_eval.scenario.model import ModelArguments

BILLED = ("usd", "tokens", "output_tokens")
"""Limits that a server's bill can break."""

SMALLEST_REPLY_TOKENS = 256
"""A reply gets less room than wished while the budget still allows this much."""


@dataclass
class Charge:
    """What one call costs, as far as that is known by now."""

    spent: Amounts


@dataclass
class Bill:
    """What a call has cost so far, failed attempts included."""

    spent: Amounts
    usage: Usage | None = None


@dataclass(frozen=True)
class Paying:
    """An account that pays for the calls of a model."""

    account: Account
    model: Model
    wanted: ModelArguments

    def room(self, reads: int, wish: int) -> int:
        """Tokens that a reply may have, after a prompt of so many."""
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

    def worst(self, reads: int, room: int) -> Amounts:
        """What a call can cost that reads so many tokens and may write so many."""
        price = self.model.price
        usd = price.worst(reads, room) if price else Decimal(0)
        return Amounts(input_tokens=reads, output_tokens=room, usd=usd, steps=1)

    def cost(self, usage: Usage, worst: Amounts) -> Amounts:
        """What a reply costs: all that was set aside, where a server does not say."""
        if usage.estimated and self.model.remote and self.wanted.missing_usage == "reserved":
            return worst
        counted = {name: value for name, value in asdict(usage).items() if name != "estimated"}
        usd = self.model.price.cost(usage) if self.model.price else Decimal(0)
        return Amounts(**counted, usd=usd, steps=1)

    @contextmanager
    def charged(self, worst: Amounts, bill: Bill | None = None) -> Iterator[Charge]:
        """Make one call within the block; whoever does says on the charge what it cost.

        That is put on the bill, however the call ends. Raises `LimitReached`, and changes nothing,
        where the worst does not fit.
        """
        hold = self.account.reserve(worst)
        charge = Charge(worst)
        try:
            yield charge
        except BaseException as error:
            charge.spent = cost_of_failure(error, charge.spent, worst)
            raise
        finally:
            hold.settle(charge.spent)
            if bill is not None:
                bill.spent += charge.spent

    def refuse_overspending(self, whose: str) -> None:
        """Raise `Overspent` where a server billed more than it was allowed and a limit is broken.

        `whose` server it was stands in the message.
        """
        limit = self.account.overspent(*BILLED)
        if limit is not None:
            raise Overspent(
                limit,
                f"{limit}: {whose} billed more than it was asked for, and {self.account.name} has "
                f"now used {plain(self.account.used(limit)):g} of "
                f"{plain(self.account.limits[limit]):g}",
            )


def cost_of_failure(error: BaseException, known: Amounts, worst: Amounts) -> Amounts:
    """What a call cost that ended in an error; `known` is what was known of it until then."""
    if isinstance(error, AttemptFailed | ContextOverflow):
        return worst if error.may_be_billed else Amounts()
    if isinstance(error, OperatorError | ModelUnavailable | ScenarioError):
        return Amounts()
    return known  # cancelled, or a fault: the server may have worked


async def completed(model: Model, request: Request) -> Reply:
    """The model's answer; a server's words for a full window raise `ContextOverflow`."""
    try:
        return await model.complete(request)
    except (AttemptFailed, RequestRefused) as error:
        if says_full(str(error)):
            billed = isinstance(error, AttemptFailed) and error.may_be_billed
            raise ContextOverflow(str(error), may_be_billed=billed) from error
        raise


def usage_of(reply: Reply, request: Request) -> Usage:
    """The usage that came with a reply, or one by its size where the server gave none."""
    if reply.usage is not None:
        return reply.usage
    written = len(reply.text) + len(reply.reasoning)
    written += sum(len(call.arguments) for call in reply.calls)
    return Usage(tokens_in(request.size_bytes), tokens_in(written), estimated=True)
