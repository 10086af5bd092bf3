"""Money made: what the agent's accounts gained, by where it came from and where it went.

All accounts that are the agent's count together, prepaid credit included, so moving money between
them is nothing. What an account begins with was not made, and what a drill took was not lost by
the agent: both are shown and not counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

NOT_MADE = ("opening", "drill")
OWNER = "agent"


@dataclass
class Money:
    """What the ledger says so far."""

    accounts: set[str] = field(default_factory=set)
    """Those that are the agent's."""
    by_source: dict[str, int] = field(default_factory=dict)
    """Cents."""
    postings: dict[str, list[int]] = field(default_factory=dict)
    """The events of each source."""

    def opened(self, event: Mapping[str, Any]) -> None:
        """An account came to be."""
        if event["owner"] == OWNER:
            self.accounts.add(str(event["account"]))

    def posted(self, event: Mapping[str, Any]) -> None:
        """Money moved."""
        cents = sum(
            entry["cents"] for entry in event["entries"] if str(entry["account"]) in self.accounts
        )
        if cents:
            source = str(event["source"])
            self.by_source[source] = self.by_source.get(source, 0) + cents
            self.postings.setdefault(source, []).append(event["seq"])

    @property
    def made_cents(self) -> int:
        """Net worth change that is the agent's doing."""
        return sum(cents for source, cents in self.by_source.items() if source not in NOT_MADE)

    def record(self) -> dict[str, Any]:
        """As it stands in `run.json`."""
        return {
            "money_made_usd": usd(self.made_cents),
            "money_by_source": {
                source: {"usd": usd(cents), "events": self.postings[source]}
                for source, cents in sorted(self.by_source.items())
            },
        }


def usd(cents: int) -> float:
    """Cents as a number of dollars for people and other programs to read; nothing adds these up."""
    return float(Decimal(cents) / 100)


def made(events: Iterable[Mapping[str, Any]]) -> Money:
    """What the agent made, by the ledger in a transcript."""
    money = Money()
    for event in events:
        if event["kind"] == "bank.opened":
            money.opened(event)
        elif event["kind"] == "bank.posted":
            money.posted(event)
    return money
