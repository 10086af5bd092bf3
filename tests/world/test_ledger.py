"""The ledger: over random histories, money is neither made nor lost and refusals change nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from agent_eval.world.ledger import (
    MAX_MEMO_CHARACTERS,
    OUTSIDE,
    BadPosting,
    Bank,
    NoMoney,
    NoSuchAccount,
    Posting,
    Refused,
    dollars,
)

CENTS = st.integers(min_value=-50, max_value=3_000)


class Histories(RuleBasedStateMachine):
    """Any order of openings, transfers and postings of many entries, beside a simple model."""

    numbers = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Posting] = []
        self.bank = Bank(on_post=self.heard.append)
        self.expected = {OUTSIDE: 0}
        self.allowed: dict[str, int] = {}

    @rule(target=numbers, cents=st.integers(0, 5_000), overdraft=st.sampled_from([0, 0, 700]))
    def open(self, cents: int, overdraft: int) -> str:
        number = self.bank.open("somebody", cents=cents, overdraft_cents=overdraft)
        self.expected[number], self.allowed[number] = cents, -overdraft
        self.expected[OUTSIDE] -= cents
        return number

    @rule(source=numbers, payee=numbers | st.sampled_from([OUTSIDE, "nobody"]), cents=CENTS)
    def transfer(self, source: str, payee: str, cents: int) -> None:
        before = len(self.bank.postings)
        legal = (
            cents > 0
            and source != payee
            and payee in self.expected
            and self.expected[source] - cents >= self.allowed[source]
        )
        try:
            self.bank.transfer(source, payee, cents, "a payment", sandbox="0.1")
        except Refused:
            assert not legal
            assert len(self.bank.postings) == before
            return
        assert legal
        self.expected[source] -= cents
        self.expected[payee] += cents

    @rule(source=numbers, payee=numbers, over=st.integers(-1, 1))
    def nearly_too_much(self, source: str, payee: str, over: int) -> None:
        """All that an account has, a cent less, a cent more."""
        self.transfer(source, payee, self.expected[source] - self.allowed[source] + over)

    @precondition(lambda self: self.allowed)  # without an account there is nothing to draw from
    @rule(entries=st.dictionaries(numbers, CENTS, min_size=1, max_size=4))
    def post(self, entries: dict[str, int]) -> None:
        legal = (
            len(entries) > 1
            and sum(entries.values()) == 0
            and all(entries.values())
            and all(
                cents > 0 or self.expected[number] + cents >= self.allowed[number]
                for number, cents in entries.items()
            )
        )
        try:
            self.bank.post(entries, "many at once")
        except Refused:
            assert not legal
            return
        assert legal
        for number, cents in entries.items():
            self.expected[number] += cents

    @rule(
        payer=numbers,
        parts=st.lists(st.tuples(numbers, st.integers(1, 900)), min_size=1, max_size=3),
    )
    def split(self, payer: str, parts: list[tuple[str, int]]) -> None:
        entries: dict[str, int] = {}
        for number, cents in parts:
            entries[number] = entries.get(number, 0) + cents
            entries[payer] = entries.get(payer, 0) - cents
        self.post(entries)

    @invariant()
    def balances_are_as_expected(self) -> None:
        found = {number: self.bank.balance(number) for number in self.bank.accounts}
        assert found == self.expected
        assert sum(found.values()) == 0
        assert all(found[number] >= floor for number, floor in self.allowed.items())

    @invariant()
    def the_postings_tell_all(self) -> None:
        again = dict.fromkeys(self.expected, 0)
        for place, posting in enumerate(self.bank.postings, 1):
            assert posting.number == place
            for number, cents in posting.entries.items():
                again[number] += cents
        assert again == self.expected
        assert list(self.bank.postings) == self.heard


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_posting_bears_the_worlds_time_and_who_asked() -> None:
    at = datetime(2031, 5, 6, tzinfo=UTC)
    bank = Bank(now=lambda: at)
    mine, yours = bank.open("me", cents=500), bank.open("you")
    posting = bank.transfer(mine, yours, 120, "lunch", source="job", sandbox="i-0abc")
    assert (posting.at, posting.memo) == (at, "lunch")
    assert (posting.source, posting.sandbox) == ("job", "i-0abc")
    assert bank.history(yours) == (posting,)
    assert (bank.balance(mine), bank.available(mine)) == (380, 380)


def test_what_cannot_be_written_down_does_not_happen() -> None:
    def full(_: Posting) -> None:
        raise OSError("no space left")

    bank = Bank()
    mine, yours = bank.open("me", cents=500), bank.open("you")
    bank.on_post = full
    with pytest.raises(OSError, match="no space"):
        bank.transfer(mine, yours, 100, "lunch")
    assert (bank.balance(mine), bank.balance(yours)) == (500, 0)
    assert len(bank.postings) == 1


def test_refusals_say_what_is_wrong() -> None:
    bank = Bank()
    mine, yours = bank.open("me", cents=500), bank.open("you", overdraft_cents=100)
    with pytest.raises(NoMoney, match=r"\$5.00 available and \$5.01 is needed"):
        bank.transfer(mine, yours, 501, "too much")
    with pytest.raises(NoSuchAccount, match="'4711'"):
        bank.transfer(mine, "4711", 1, "to nobody")
    with pytest.raises(BadPosting, match="characters"):
        bank.transfer(mine, yours, 1, "x" * (MAX_MEMO_CHARACTERS + 1))
    with pytest.raises(BadPosting, match="whole number"):
        bank.transfer(mine, yours, True, "one")
    with pytest.raises(BadPosting, match="add up"):
        bank.post({mine: -5, yours: 4}, "a cent is gone")
    bank.transfer(yours, mine, 100, "on credit")
    assert bank.balance(yours) == -100
    with pytest.raises(ValueError, match="already"):
        bank.open("me again", mine)


@pytest.mark.parametrize(("cents", "said"), [(5, "$0.05"), (-12345, "-$123.45"), (0, "$0.00")])
def test_amounts_read_as_people_write_them(cents: int, said: str) -> None:
    assert dollars(cents) == said
