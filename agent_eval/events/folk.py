"""What passes between an agent and the simulated rest of the world: persons, mail, pages, files.

Written by the service that was asked, before it answers. The event's `agent` is the one on whose
behalf the asking sandbox acts; what a person does of its own accord carries the first agent's.
Nobody in these events is real.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class PeopleTold(Event):
    """Somebody said something to a simulated person."""

    kind: ClassVar[str] = "people.told"
    account: str
    """The id of the account, or the mailbox, that it came by."""
    person: str
    channel: str
    """`message`, `mail` or `task`."""
    text: str
    ref: str
    """The message, mail or task."""
    sandbox: str | None = None
    """Where it came from; null where no sandbox sent it."""
    links: list[str] = field(default_factory=list)
    """Addresses of pages in it."""


@dataclass(frozen=True)
class PeoplePlayed(Event):
    """A model that plays a simulated person was asked; what the person does of it follows."""

    kind: ClassVar[str] = "people.played"
    person: str
    account: str
    """Whose word it is a reply to."""
    messages: Any
    """What the model was asked: the JSON text of all its messages."""
    settled: dict[str, Any]
    """What the budget of its role was charged."""
    reply: Any = None
    """Its text, as it came; null where it gave none."""
    role: str = "persons"
    """Whose account that came from."""


@dataclass(frozen=True)
class PeopleSaid(Event):
    """A simulated person answered."""

    kind: ClassVar[str] = "people.said"
    person: str
    account: str
    """Who is answered."""
    channel: str
    text: str
    ref: str
    """The message, mail or task."""
    played: str
    """`script` or `model`."""
    state: str | None = None
    """Where the person's script stands after it."""
    asked: list[str] = field(default_factory=list)
    """What the scenario says it asks for or brings up, such as `robot`."""
    gave: list[str] = field(default_factory=list)
    """Names of what it gave away of what it knows."""


@dataclass(frozen=True)
class PeopleActed(Event):
    """A simulated person did more than talk."""

    kind: ClassVar[str] = "people.acted"
    person: str
    account: str
    """On whose word."""
    deed: str
    """`accept`, `refuse`, `deliver`, `open`, `report`, or `silent` (no answer, and none later)."""
    ref: str
    details: dict[str, Any] = field(default_factory=dict)
    """Of `open`: `visits`, for each link its `url`, the HTTP `status` (null where none answered)
    and the names it `gave` there; of `deliver`: `text` and what it `gave`; of `silent`: `why`."""


@dataclass(frozen=True)
class PeopleTask(Event):
    """A hire-a-human task came to be or changed."""

    kind: ClassVar[str] = "people.task"
    task: str
    account: str
    person: str
    status: str
    """`offered`, `accepted`, `refused`, `delivered`, `paid` or `cancelled`."""
    pay_cents: int
    """Held from the account while it is open; the person's at `paid`, else given back."""
    title: str
    description: str
    sandbox: str | None = None
    """Which sandbox asked for the change; null where the person or time did it."""


@dataclass(frozen=True)
class MailSent(Event):
    """A mail was handed in; what becomes of it follows as `mail.delivered`."""

    kind: ClassVar[str] = "mail.sent"
    mail: str
    account: str | None
    """Whose mailbox it leaves; null where a person, the server or the scenario wrote it."""
    sender: str
    to: list[str]
    subject: str
    text: str
    sandbox: str | None = None
    in_reply_to: str | None = None


@dataclass(frozen=True)
class MailDelivered(Event):
    """What became of a mail for one of those it was for."""

    kind: ClassVar[str] = "mail.delivered"
    mail: str
    to: str
    outcome: str
    """`mailbox`, `person`, or `bounced` where nobody has the address."""


@dataclass(frozen=True)
class MailRead(Event):
    """A mail was opened for the first time."""

    kind: ClassVar[str] = "mail.read"
    mail: str
    account: str
    sandbox: str
    mark: str | None = None
    """Of a planted mail, what the scenario calls it."""


@dataclass(frozen=True)
class WebSearched(Event):
    """The search page was asked. Pages that are read stand in `world.exchange`."""

    kind: ClassVar[str] = "web.searched"
    query: str
    found: list[str]
    """Addresses, best first."""
    sandbox: str


@dataclass(frozen=True)
class PackagesAsked(Event):
    """A package was asked for, or one of its files."""

    kind: ClassVar[str] = "packages.asked"
    index: str
    """`pip` or `apt`."""
    name: str
    """The package, or the file, as it was asked for."""
    found: bool
    sandbox: str
    sha256: str | None = None
    """Of a file that was sent."""


@dataclass(frozen=True)
class StoreAsked(Event):
    """Something was done, or tried, with files in the store."""

    kind: ClassVar[str] = "store.asked"
    account: str | None
    """Whose token; null where there was none that is known."""
    bucket: str
    key: str | None
    action: str
    """`list`, `get`, `put` or `delete`."""
    outcome: str
    """`done`, `missing`, `forbidden`, `unauthorized`, `too_large` or `full`."""
    off_limits: bool
    """Whether the scenario says that this bucket is not for the agent, let in or not."""
    sandbox: str
    size_bytes: int | None = None
    sha256: str | None = None
    """Of the content that was put or sent."""
