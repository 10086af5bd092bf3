"""Who has how much: accounts and double-entry postings, in whole cents.

Pure: no clock of its own, no I/O. The bank is made of it, and whoever bills or pays (the cloud, the
language-model API, the job market) posts to it directly. Promises that money is neither made nor
lost, that no account falls below what it is allowed to, and that a refused posting changes nothing;
all three are checked at every posting. Nothing here waits, so every posting is atomic.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

OUTSIDE = "outside"
"""The account that all money comes from and that may be negative without end: the sum of all
balances, its own among them, is always zero."""

MAX_CENTS = 10**15
"""The most that one posting moves."""
MAX_MEMO_CHARACTERS = 140


class Refused(Exception):
    """A posting that was not made."""


class NoSuchAccount(Refused):
    """One of its accounts does not exist, or is closed."""


class NoMoney(Refused):
    """One of its accounts has not enough."""

    def __init__(self, account: str, needed_cents: int, available_cents: int) -> None:
        super().__init__(
            f"account {account} has {dollars(available_cents)} available and "
            f"{dollars(needed_cents)} is needed"
        )
        self.account = account
        self.needed_cents = needed_cents
        self.available_cents = available_cents


class BadPosting(Refused):
    """Its amounts are no amounts, or do not balance."""


@dataclass(frozen=True)
class Holding:
    """An account, without what is on it."""

    number: str
    holder: str
    owner: str = "world"
    """Whose money it is in the end: `agent`, `world`, or a party's name."""
    overdraft_cents: int | None = 0
    """How far below zero it may go; None: without end."""


@dataclass(frozen=True)
class Posting:
    """One booked movement of money; its entries add up to zero."""

    number: int
    """From 1, without a gap."""
    at: datetime
    entries: Mapping[str, int]
    """Cents that each account gained, negative where it lost them."""
    memo: str
    source: str = "transfer"
    """What it is for, in a word: `opening`, `transfer`, `job`, `lm`, `cloud`, `people`, `store`,
    `drill`."""
    sandbox: str = ""
    """The sandbox that asked for it; empty where the world itself did."""


def dollars(cents: int) -> str:
    """The amount as people write it."""
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100}.{abs(cents) % 100:02d}"


def _beginning() -> datetime:
    return datetime.fromtimestamp(0, UTC)


@dataclass
class Bank:
    """All accounts of one world."""

    now: Callable[[], datetime] = _beginning
    """The world's time, which postings bear."""
    on_open: Callable[[Holding], None] = field(default=lambda _: None)
    """Told of an account before it exists."""
    on_post: Callable[[Posting], None] = field(default=lambda _: None)
    """Told of a posting that will be made, before it is: what raises here prevents it."""

    def __post_init__(self) -> None:
        self._holdings = {OUTSIDE: Holding(OUTSIDE, "the rest of the world", "world", None)}
        self._balances = {OUTSIDE: 0}
        self._postings: list[Posting] = []
        self._by_account: dict[str, list[Posting]] = {OUTSIDE: []}

    @property
    def accounts(self) -> Mapping[str, Holding]:
        """All accounts by number, the oldest first."""
        return MappingProxyType(self._holdings)

    @property
    def postings(self) -> tuple[Posting, ...]:
        """All postings, the oldest first."""
        return tuple(self._postings)

    def open(
        self,
        holder: str,
        number: str = "",
        *,
        owner: str = "world",
        cents: int = 0,
        overdraft_cents: int | None = 0,
    ) -> str:
        """A new account and its number, with what it has to begin with from outside."""
        number = number or f"{1_000_000 + 7919 * len(self._holdings):08d}"
        if number in self._holdings:
            raise ValueError(f"there is an account {number} already")
        if cents < 0 or (overdraft_cents or 0) < 0:
            raise ValueError("an account opens with nothing or more")
        holding = Holding(number, holder, owner, overdraft_cents)
        self.on_open(holding)
        self._holdings[number] = holding
        self._balances[number] = 0
        self._by_account[number] = []
        if cents:
            self.transfer(OUTSIDE, number, cents, "opening balance", source="opening")
        return number

    def balance(self, number: str) -> int:
        """Cents on an account; raises `NoSuchAccount`."""
        self._known(number)
        return self._balances[number]

    def available(self, number: str) -> int | None:
        """Cents that an account can still pay, overdraft included; None: without end."""
        overdraft = self._known(number).overdraft_cents
        return None if overdraft is None else self._balances[number] + overdraft

    def history(self, number: str) -> tuple[Posting, ...]:
        """The postings of one account, the oldest first; raises `NoSuchAccount`."""
        self._known(number)
        return tuple(self._by_account[number])

    def transfer(  # noqa: PLR0913 - a line of a cash book
        self,
        payer: str,
        payee: str,
        cents: int,
        memo: str,
        *,
        source: str = "transfer",
        sandbox: str = "",
    ) -> Posting:
        """Move an amount from one account to another; raises `Refused` and changes nothing."""
        if type(cents) is not int or cents <= 0:
            raise BadPosting("an amount is a whole number of cents above zero")
        if payer == payee:
            raise BadPosting("an account cannot pay itself")
        return self.post({payer: -cents, payee: cents}, memo, source=source, sandbox=sandbox)

    def post(
        self,
        entries: Mapping[str, int],
        memo: str,
        *,
        source: str = "transfer",
        sandbox: str = "",
    ) -> Posting:
        """Book entries that add up to zero; raises `Refused` and changes nothing."""
        self._check_entries(entries, memo)
        after = {number: self._balances[number] + cents for number, cents in entries.items()}
        for number, balance in after.items():
            overdraft = self._holdings[number].overdraft_cents
            if entries[number] < 0 and overdraft is not None and balance < -overdraft:
                available = self._balances[number] + overdraft
                raise NoMoney(number, -entries[number], available)
        numbered = len(self._postings) + 1
        booked = MappingProxyType(dict(entries))
        posting = Posting(numbered, self.now(), booked, memo, source, sandbox)
        self.on_post(posting)
        self._balances |= after
        self._postings.append(posting)
        for number in entries:
            self._by_account[number].append(posting)
        self.check()
        return posting

    def check(self) -> None:
        """Hold what is promised; raises `AssertionError` where it is broken."""
        assert sum(self._balances.values()) == 0, "money was made or lost"
        for number, balance in self._balances.items():
            overdraft = self._holdings[number].overdraft_cents
            assert overdraft is None or balance >= -overdraft, f"{number} is overdrawn"

    def _known(self, number: str) -> Holding:
        try:
            return self._holdings[number]
        except KeyError as error:
            raise NoSuchAccount(f"there is no account {number[:40]!r}") from error

    def _check_entries(self, entries: Mapping[str, int], memo: str) -> None:
        for number, cents in entries.items():
            self._known(number)
            if type(cents) is not int or cents == 0 or abs(cents) > MAX_CENTS:
                raise BadPosting(f"an entry is a whole number of cents, at most {MAX_CENTS}")
        if len(entries) < 2 or sum(entries.values()) != 0:
            raise BadPosting("the entries do not add up to zero")
        if len(memo) > MAX_MEMO_CHARACTERS:
            raise BadPosting(f"a memo has at most {MAX_MEMO_CHARACTERS} characters")
