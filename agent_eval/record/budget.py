"""The ledger: who may spend what, what is set aside, what is gone.

One tree of accounts per run. What a model call could cost at worst is reserved before it is made
and settled after; a child's grant leaves its parent's account before the child exists. Nothing
here waits, so every move is atomic. Amounts are exact: integers, and decimals for dollars.

    limit = spent + reserved + granted + free        for every limit of every account, at all times
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Self

from agent_eval.errors import LimitReached

ZERO = Decimal(0)
INFINITE = Decimal("Infinity")


@dataclass(frozen=True)
class Amounts:
    """A sum of everything that can be spent."""

    input_tokens: int = 0
    """Tokens the model read, those from a cache included."""
    cached_input_tokens: int = 0
    """The part of them that came from a cache."""
    output_tokens: int = 0
    """Tokens the model wrote, reasoning included."""
    reasoning_tokens: int = 0
    """The part of them that was reasoning."""
    usd: Decimal = ZERO
    steps: int = 0
    tool_s: Decimal = ZERO
    wall_s: Decimal = ZERO
    output_bytes: int = 0
    record_bytes: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Self) -> "Amounts":
        return Amounts(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def __sub__(self, other: Self) -> "Amounts":
        return Amounts(*(getattr(self, name) - getattr(other, name) for name in _NAMES))

    def record(self) -> dict[str, Any]:
        """What is not zero, as JSON values."""
        values = {name: getattr(self, name) for name in _NAMES}
        return {name: plain(value) for name, value in values.items() if value}


_NAMES = tuple(field.name for field in fields(Amounts))

LIMITED = (
    *("usd", "tokens", "output_tokens", "steps", "tool_s", "wall_s"),
    *("output_bytes", "record_bytes"),
)
"""What a budget can limit, in the order in which limits are checked."""

SHARED = {"wall_s"}
"""What passes for all agents at once: the first one's holds for all, and no child has its own."""

Limits = dict[str, Decimal]
"""The most of each of `LIMITED` that may be spent; what is missing is not limited."""


def plain(value: Decimal | int) -> float | int:
    """A JSON number, whole where it is."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def limits_of(budget: dict[str, float | int | None]) -> Limits:
    """The limits that a scenario's budget sets."""
    return {name: Decimal(str(value)) for name, value in budget.items() if value is not None}


class Account:
    """What one agent may spend: limits, and what became of them."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.spent = Amounts()
        self.reserved = Amounts()
        self.granted: dict[str, Limits] = {}
        """Limits handed to children that are still open, by the child's name."""

    def free(self, name: str) -> Decimal | None:
        """What is left of one limit; None where there is no limit. Never below zero."""
        limit = self.limits.get(name)
        if limit is None:
            return None
        used = Decimal(getattr(self.spent, name)) + Decimal(getattr(self.reserved, name))
        granted = sum((grant.get(name, ZERO) for grant in self.granted.values()), ZERO)
        return max(limit - used - granted, ZERO)

    def reserve(self, amounts: Amounts) -> "Hold":
        """Set an amount aside; raises `LimitReached` and changes nothing if it does not fit."""
        if any(getattr(amounts, name) < 0 for name in _NAMES):
            raise ValueError("an amount below zero cannot be set aside")
        for name in LIMITED:
            wanted, free = Decimal(getattr(amounts, name)), self.free(name)
            if free is not None and wanted > free:
                raise LimitReached(
                    name,
                    f"{name}: the next step could take {plain(wanted):g} and {plain(free):g} is "
                    f"left of {plain(self.limits[name]):g}",
                )
        self.reserved += amounts
        return Hold(self, amounts)

    def spend(self, amounts: Amounts) -> None:
        """Book what was used without having been reserved."""
        self.spent += amounts

    def used(self, name: str) -> Decimal:
        """What was spent of one limit."""
        return Decimal(getattr(self.spent, name))

    def overspent(self, *names: str) -> str | None:
        """The first of these limits of which more was spent than there is, if any."""
        limits = self.limits
        return next((name for name in names if self.used(name) > limits.get(name, INFINITE)), None)

    def exhausted(self) -> str | None:
        """The first limit of which nothing is left, if any."""
        return next((name for name in LIMITED if self.free(name) == 0), None)

    def grant(self, name: str, limits: Limits) -> "Account":
        """Take a child's limits out of this account; raises `LimitReached` if they do not fit.

        A limit that this account has and the child asks nothing of is a grant of nothing.
        """
        if SHARED & set(limits):
            raise ValueError("time on the wall is nobody's to give away")
        full = {each: limits.get(each, ZERO) for each in self.limits if each not in SHARED} | limits
        if name in self.granted or any(wanted < 0 for wanted in full.values()):
            raise ValueError(f"a grant for {name} that is open already, or below zero")
        for each, wanted in full.items():
            free = self.free(each)
            if free is not None and wanted > free:
                raise LimitReached(each, f"{each}: {wanted} asked for {name}, {free} is left")
        self.granted[name] = full
        return Account(name, full)

    def close(self, child: "Account") -> None:
        """Take back what a child did not spend; what it spent is spent here too."""
        if child.name not in self.granted:
            raise ValueError(f"account {child.name} has no open grant here")
        if child.reserved != Amounts() or child.granted:
            raise ValueError(f"account {child.name} still has reservations or open grants")
        del self.granted[child.name]
        self.spent += child.spent

    def record(self) -> dict[str, Any]:
        """What was spent, as JSON values."""
        return self.spent.record() | {"tokens": self.spent.tokens}


class Hold:
    """An amount set aside; ends exactly once, by `settle` or `release`."""

    def __init__(self, account: Account, amounts: Amounts) -> None:
        self._account = account
        self.amounts = amounts
        self._open = True

    def settle(self, spent: Amounts) -> None:
        """Book what was really used, more or less than was set aside."""
        self.release()
        self._account.spent += spent

    def release(self) -> None:
        """Give all of it back."""
        if not self._open:
            raise ValueError("this reservation has ended already")
        self._open = False
        self._account.reserved -= self.amounts


class Roles:
    """Accounts of models that are not under test: graders, simulated people, stand-ins.

    They lie beside the run's tree: what they spend is none of the agents', and each has a cap of
    its own.
    """

    def __init__(self, usd: float | None, spent: Mapping[str, Amounts] | None = None) -> None:
        """So many dollars for each role; None does not limit them.

        `spent` is what each has spent before, where a run is gone on with.
        """
        self._spent = dict(spent or {})
        self._limits = limits_of({"usd": usd})
        self._accounts: dict[str, Account] = {}

    def of(self, role: str, own: Limits | None = None) -> Account:
        """The account of a role; where it has limits of its `own` as well, the smaller one holds.

        They are taken from whoever names the role first.
        """
        limits = self._limits | (own or {})
        for name in limits.keys() & self._limits.keys():
            limits[name] = min(limits[name], self._limits[name])
        if role not in self._accounts:
            account = self._accounts[role] = Account(f"role {role}", limits)
            account.spend(self._spent.get(role, Amounts()))
        return self._accounts[role]

    def record(self) -> dict[str, Any]:
        """What each role spent, as JSON values; those that spent nothing are left out."""
        spent = {role: one.record() for role, one in sorted(self._accounts.items())}
        return {role: one for role, one in spent.items() if any(one.values())}
