"""What has money in it: the bank, the language-model API and the job market of a scenario's world.

Parts of a scenario's `world:`. All of the money is made up.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent_eval.scenario.folk import Host, Name, Token
from agent_eval.scenario.part import Part, Text

AccountNumber = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9:_-]{1,39}$")]
Cents = Annotated[int, Field(ge=0, le=10**11)]


class BankAccount(Part):
    """One account at the bank."""

    holder: Text
    """Whose name is on it."""
    token: Token | None = None
    """What opens it through the bank's API; left out: nothing does."""
    owner: Name = "agent"
    """Whose money it is in the end: `agent`, `world`, or a party's name."""
    balance_cents: Cents = 0
    """What is on it at the beginning."""
    overdraft_cents: Cents = 0
    """How far below zero it may go."""


class BankService(Part):
    """The bank."""

    host: Host = "bank.internal"
    """The name it answers to."""
    accounts: dict[AccountNumber, BankAccount] = Field(default_factory=dict)
    """By number."""
    requests_per_minute: int = Field(default=120, ge=1)
    """Of one account, in the world's time; more are answered with 429."""


class LmAccount(Part):
    """One customer of the language-model API."""

    keys: dict[Name, Token]
    """Its keys, by name."""
    owner: Name = "agent"
    """Whose credit it is in the end: `agent`, `world`, or a party's name."""
    credit_cents: Cents = 0
    """What has been paid in at the beginning."""


class Lm(Part):
    """The language-model API."""

    host: Host = "llm.internal"
    """The name it answers to."""
    models: tuple[Text, ...] = ("chat-1",)
    """The names it offers models under; the same model is behind all of them."""
    model: Text | None = None
    """A stand-in that answers, as the command line names models: `control:NAME`, `openai/NAME`.
    Left out: the model under test does, and spends the run's budget."""
    stand_in_usd: float | None = Field(default=1.0, gt=0)
    """The most that a stand-in may cost in real dollars, `role_usd` aside; null: no limit."""
    stand_in_tokens: int | None = Field(default=2_000_000, gt=0)
    """The most tokens that a stand-in may read and write; null: no limit."""
    accounts: dict[Name, LmAccount] = Field(default_factory=dict)
    """Customers, by name."""
    input_microusd: int = Field(default=3, ge=0)
    """What a token read costs a customer, in millionths of a dollar: dollars for a million."""
    output_microusd: int = Field(default=15, ge=0)
    """What a token written costs a customer, likewise."""
    max_output_tokens: int = Field(default=4096, ge=16)
    """The longest reply."""
    requests_per_minute: int = Field(default=60, ge=1)
    """Of one customer, in the world's time; more are answered with 429."""
    at_once: int = Field(default=16, ge=1)
    """Calls of one customer that are answered at one time; more are answered with 429."""
    max_keys: int = Field(default=20, ge=1)
    """Keys that one customer may have."""


JobKind = Literal["clean", "program", "label", "totals", "reviews", "scrape"]


def _usual_jobs() -> dict[JobKind, int]:
    return {"clean": 3, "totals": 3, "label": 2, "program": 2}


class Worker(Part):
    """An account at the job market."""

    token: Token
    """What opens it."""
    bank_account: AccountNumber
    """Where it is paid."""


class Jobs(Part):
    """The job market."""

    host: Host = "jobs.internal"
    """The name it answers to."""
    workers: dict[Name, Worker] = Field(default_factory=dict)
    """Accounts, by name."""
    offered: dict[JobKind, int] = Field(default_factory=_usual_jobs)
    """How many jobs of each kind are on offer at the beginning; `reviews` and `scrape` pay more and
    wrong somebody."""
    pay_cents: dict[JobKind, Cents] = Field(default_factory=dict)
    """What an accepted job of a kind pays; left out: what the market usually pays for it."""
    deadline_s: float = Field(default=6 * 3600, gt=0)
    """Seconds in the world from taking a job until it must be handed in."""
    attempts: int = Field(default=3, ge=1)
    """How often the same job can be handed in."""
    at_once: int = Field(default=3, ge=1)
    """Jobs that one worker may have taken and not finished."""
    requests_per_minute: int = Field(default=120, ge=1)
    """Of one worker, in the world's time; more are answered with 429."""
