"""What the services with money in them did: the bank, the language-model API, the job market.

Written by the service before it answers. The event's `agent` is the one on whose behalf the asking
sandbox acts; what nobody asked for carries the first agent's. Whatever an agent wrote into these
is text that a sandbox sent, and no more.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class BankOpened(Event):
    """An account came to be; what it begins with follows as a posting."""

    kind: ClassVar[str] = "bank.opened"
    account: str
    """Its number."""
    holder: str
    owner: str
    """Whose money it is in the end: `agent`, `world`, or a party's name."""
    overdraft_cents: int | None = None
    """How far below zero it may go; null: without end."""


@dataclass(frozen=True)
class BankPosted(Event):
    """Money moved, by one posting of the world's ledger."""

    kind: ClassVar[str] = "bank.posted"
    posting: int
    """From 1, without a gap."""
    at: str
    """The moment in the world."""
    entries: list[dict[str, Any]]
    """`account` and the `cents` that it gained, negative where it lost them; they add up to 0."""
    memo: str
    source: str
    """What it is for: `opening`, `transfer`, `job`, `lm`, `cloud`, `people`, `store`, `drill`."""
    sandbox: str
    """The sandbox that asked for it; empty where the world itself did."""


@dataclass(frozen=True)
class BankRefused(Event):
    """A request to the bank that was not granted."""

    kind: ClassVar[str] = "bank.refused"
    sandbox: str
    account: str | None
    """Whose token it came with; null where there was none that is known."""
    status: int
    reason: str


@dataclass(frozen=True)
class LmAnswered(Event):
    """A call of the world's language-model API got a reply; written before that is delivered."""

    kind: ClassVar[str] = "lm.answered"
    sandbox: str
    """Where the call came from."""
    account: str
    key: str
    """The name of the key it came with, never the key."""
    call: int
    """From 1, in the order in which they were let in."""
    model: str
    """As the caller named it."""
    served_by: str
    """`subject`, the model under test, or `stand-in`."""
    status: int
    """Always 200."""
    messages: Any
    """What was asked: the JSON text of all its messages."""
    reply: Any
    """The JSON text of the assistant's message, with its tool calls and their ids."""
    results: list[str]
    """Ids of the tool calls whose results are among the messages."""
    proposed: list[str]
    """Ids of the tool calls in the reply."""
    usage: dict[str, Any]
    charged_microusd: int
    """What the account owes for it, in millionths of a dollar; whole cents are posted."""
    settled: dict[str, Any]
    """What the run's own budget was charged."""
    stream: bool
    """Whether the caller wanted it in pieces."""
    finish_reason: str = "stop"
    """What the caller is told of why the reply ends there."""
    role: str | None = None
    """Whose account `settled` came from, where that is not the run's: `lm`, a stand-in's."""


@dataclass(frozen=True)
class LmCalled(Event):
    """A call was let in and goes to a model; its answer or failure follows."""

    kind: ClassVar[str] = "lm.called"
    sandbox: str
    account: str
    key: str
    call: int
    model: str
    served_by: str
    reserved: dict[str, Any]
    """Of the run's own budget."""
    held_microusd: int
    """Of the account's credit."""
    arguments: dict[str, Any]
    """What goes to the model beside messages and tools."""
    tools: Any
    """The JSON text of the tools that were offered."""


@dataclass(frozen=True)
class LmRefused(Event):
    """A call of the language-model API was not let in, or came to nothing."""

    kind: ClassVar[str] = "lm.refused"
    sandbox: str
    account: str | None
    status: int
    reason: str
    call: int | None = None
    """The number of a call that had been let in."""
    asked: Any = None
    """The text of a request for what is not offered, as it came."""
    settled: dict[str, Any] = field(default_factory=dict)
    """What the run's own budget was charged all the same."""
    role: str | None = None
    """As in `lm.answered`."""


@dataclass(frozen=True)
class LmKey(Event):
    """A key of the language-model API came to be, or stopped working."""

    kind: ClassVar[str] = "lm.key"
    key: str
    """Its name."""
    account: str
    state: str
    """`made` or `revoked`."""
    sandbox: str
    """Which asked for it; empty where the world itself did."""


@dataclass(frozen=True)
class JobPosted(Event):
    """A job is on offer."""

    kind: ClassVar[str] = "job.posted"
    job: str
    job_type: str
    title: str
    pay_cents: int
    deadline_s: float
    """Seconds in the world from taking it until it must be handed in."""
    dubious: bool
    """Whether doing it would wrong somebody."""


@dataclass(frozen=True)
class JobTaken(Event):
    """A worker took a job."""

    kind: ClassVar[str] = "job.taken"
    job: str
    account: str
    sandbox: str
    dubious: bool


@dataclass(frozen=True)
class JobSubmitted(Event):
    """A worker handed in what a job asked for, and code judged it."""

    kind: ClassVar[str] = "job.submitted"
    job: str
    account: str
    sandbox: str
    deliverable: Any
    """What was handed in."""
    accepted: bool
    score: float
    """The share of it that is right, from 0 to 1."""
    feedback: str
    paid_cents: int
    dubious: bool


@dataclass(frozen=True)
class JobRefused(Event):
    """A request to the job market that was not granted."""

    kind: ClassVar[str] = "job.refused"
    sandbox: str
    account: str | None
    status: int
    reason: str
    job: str | None = None
