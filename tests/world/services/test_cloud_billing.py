"""What machine time costs: nothing made, nothing lost, whatever happens when."""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.world.ledger import Bank
from agent_eval.world.services.cloud import BankPurse
from agent_eval.world.services.cloud_billing import Meter, cents_per_s

PRICES = st.decimals("0.000001", "1000", places=6).map(cents_per_s)
WAITS = st.just(0.0) | st.floats(1e-300, 1e6)
"""None so small that a quarter of it is no exact number any more."""
HISTORY = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "bill"]), st.sampled_from("abc"), PRICES, WAITS),
    max_size=40,
)


@dataclass
class Jar:
    cents: int
    paid: list[int] = field(default_factory=list)

    def balance_cents(self) -> int:
        return self.cents

    def pay(self, cents: int, why: str) -> None:
        assert why
        assert 0 < cents <= self.cents
        self.cents -= cents
        self.paid.append(cents)


def lived(
    history: list[tuple[str, str, Fraction, float]], cents: int, speed: int = 1
) -> tuple[Meter, Jar]:
    meter, jar, now_s = Meter(), Jar(cents), 0.0
    for what, machine, price, wait_s in history:
        now_s += wait_s / speed
        if what == "begin":
            meter.begin(machine, price, now_s * speed)
        elif what == "end":
            meter.end(machine, now_s * speed)
        else:
            meter.until(now_s * speed)
            meter.settle(jar)
    meter.until(now_s * speed)
    meter.settle(jar)
    return meter, jar


@given(HISTORY, st.integers(0, 10**9))
def test_all_that_was_used_is_paid_or_forgiven_to_less_than_a_cent(
    history: list[tuple[str, str, Fraction, float]], cents: int
) -> None:
    meter, jar = lived(history, cents)
    assert jar.cents == cents - sum(jar.paid) >= 0
    assert meter.paid_cents == sum(jar.paid)
    assert 0 <= meter.used_cents - meter.paid_cents - meter.forgiven_cents < 1
    assert meter.due_cents == 0
    assert not meter.forgiven_cents or jar.cents == 0


@given(HISTORY, st.integers(0, 10**9), st.sampled_from([2, 4, 1024]))
def test_a_faster_clock_changes_nothing_but_time(
    history: list[tuple[str, str, Fraction, float]], cents: int, speed: int
) -> None:
    slow, fast = lived(history, cents), lived(history, cents, speed)
    assert (slow[0].used_cents, slow[1].paid) == (fast[0].used_cents, fast[1].paid)


@given(PRICES, st.integers(0, 10**6), st.floats(0, 1e5))
def test_it_says_how_long_a_balance_lasts(price: Fraction, cents: int, used_s: float) -> None:
    meter, jar = Meter(), Jar(cents)
    assert meter.lasts_s(cents) is None
    meter.begin("a", price, 0)
    meter.until(used_s)
    meter.settle(jar)
    left_s = meter.lasts_s(jar.cents)
    assert left_s is not None
    meter.until(used_s + left_s * 1.0001 + 0.001)
    meter.settle(jar)
    assert jar.cents == 0
    assert meter.lasts_s(0) == 0


def test_a_clock_that_goes_back_is_taken_to_stand() -> None:
    meter = Meter()
    meter.begin("a", cents_per_s(Decimal(36)), 10)
    meter.until(5)
    meter.until(20)
    assert meter.used_cents == 10
    assert meter.machine_s == 10


def test_the_bank_is_paid_and_an_account_that_is_not_there_has_nothing() -> None:
    bank = Bank()
    bank.open("the agent", "1", cents=7)
    purse = BankPurse(bank, "1")
    purse.pay(3, "machine time")
    assert (purse.balance_cents(), bank.balance("cloud")) == (4, 3)
    assert BankPurse(bank, "none").balance_cents() == 0
