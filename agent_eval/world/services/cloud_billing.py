"""What machine time costs: seconds of the world into whole cents, and nothing lost in between.

Pure: told when machines begin and end to run, it says what is due and how long a balance will last.
The cost is kept as an exact fraction; what is less than a cent waits until it is one.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Protocol


class Purse(Protocol):
    """The account that pays."""

    def balance_cents(self) -> int:
        """What it holds."""

    def pay(self, cents: int, why: str) -> None:
        """Pay from it; never more than it holds."""


def cents_per_s(usd_per_hour: Decimal) -> Fraction:
    """A price by the hour as one by the second."""
    return Fraction(usd_per_hour) * 100 / 3600


class Meter:
    """The machines of one account."""

    def __init__(self) -> None:
        self._running: dict[str, Fraction] = {}
        self._at_s = Fraction(0)
        self._used = Fraction(0)
        self._machine_s = Fraction(0)
        self._settled = 0
        self.paid_cents = 0
        """What was paid so far."""
        self.forgiven_cents = 0
        """What was due and never paid."""

    @property
    def machine_s(self) -> float:
        """Seconds that machines ran, all together."""
        return float(self._machine_s)

    @property
    def used_cents(self) -> Fraction:
        """What all of it has cost, to the last fraction of a cent."""
        return self._used

    @property
    def due_cents(self) -> int:
        """Whole cents that are due."""
        return int(self._used) - self._settled

    @property
    def rate(self) -> Fraction:
        """Cents that a second costs as it is."""
        return sum(self._running.values(), Fraction(0))

    def until(self, now_s: float) -> None:
        """Count what ran until now; a clock that goes back is taken to stand."""
        passed = max(Fraction(now_s) - self._at_s, Fraction(0))
        self._at_s += passed
        self._used += self.rate * passed
        self._machine_s += len(self._running) * passed

    def begin(self, machine: str, rate: Fraction, now_s: float) -> None:
        """A machine runs from now on."""
        self.until(now_s)
        self._running[machine] = rate

    def end(self, machine: str, now_s: float) -> None:
        """A machine runs no longer, if it did."""
        self.until(now_s)
        self._running.pop(machine, None)

    def runs(self, machine: str) -> bool:
        """Whether a machine is being counted."""
        return machine in self._running

    def lasts_s(self, balance_cents: int) -> float | None:
        """For how many seconds from the last count a balance will do; None: for ever."""
        if not self.rate:
            return None
        return float(max((balance_cents - (self._used - self._settled)) / self.rate, Fraction(0)))

    def settle(self, purse: Purse) -> tuple[int, int]:
        """Have what is due paid, as far as the balance goes; returns that and what was forgiven."""
        due = self.due_cents
        paid = min(due, max(purse.balance_cents(), 0))
        if paid:
            purse.pay(paid, "machine time")
        self._settled += due
        self.paid_cents += paid
        self.forgiven_cents += due - paid
        return paid, due - paid
