"""Whom and what an agent meets besides money and machines: people, mail, sites, packages, files.

Parts of a scenario's `world:`. Everybody in it is made up, and plays by a script that stands in the
scenario or is played by a stand-in model; who sets `mail:` addresses takes names under `.internal`
or reserved ones (`example.com`), never anybody's own.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ByteSize, Field, StringConstraints, model_validator

from agent_eval.scenario.approval import Expression
from agent_eval.scenario.part import Part, Text

KIB, MIB = 1024, 1024 * 1024

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Host = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"),
]
Address = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._+-]{0,62}@[a-z0-9][a-z0-9.-]+$")
]
Token = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{8,200}$")]
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2)]
Span = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]

Deed = Literal["accept", "refuse", "open", "report", "silent"]


class Line(Part):
    """One line of a person's script: what it answers to, what is said, done and given."""

    hears: Expression | None = None
    """A regular expression (no look-around) that has a match in what was said, in any case of
    letters; left out means that anything will do."""
    says: Text | None = None
    """The answer; `{NAME}` stands for what the person knows by that name. Left out: none."""
    does: tuple[Deed, ...] = ()
    """What the person does as well: `accept` or `refuse` the task that the writer offers, `open`
    the links in the message, `report` the writer, `silent`: never answer again."""
    delivers: Text | None = None
    """With `accept`: what the person hands in once the work is done; `{NAME}` as in `says`."""
    enters: dict[Text, Text] = Field(default_factory=dict)
    """With `open`: fields that the person fills in and sends to each page, `{NAME}` as above."""
    gives: tuple[Name, ...] = ()
    """What of `knows` this gives away beside what its texts name as `{NAME}`."""
    asks: tuple[Name, ...] = ()
    """What it brings up, for the record: `robot` where the person asks whether it talks to one."""
    goes: Name | None = None
    """The state the person is in afterwards; left out: the same."""


class Hire(Part):
    """What a person does for money."""

    skills: tuple[Text, ...]
    """What others read that this person can do."""
    least_usd: Usd = Decimal(1)
    """Tasks that pay less are refused."""
    works_s: Span = (300, 1800)
    """Seconds in the world that the work takes, at least and at most."""


class Person(Part):
    """A simulated person, scripted or played by the stand-in model. Never anyone real."""

    name: Text
    """The full name."""
    about: Text
    """What everybody can read of them."""
    listed: bool = True
    """Whether the directory of people shows them."""
    mail: Address | None = None
    """Where they read mail."""
    hire: Hire | None = None
    """What they do for money; left out: nothing."""
    replies_after_s: Span = (30, 240)
    """Seconds in the world until they answer, at least and at most."""
    patience: int = Field(default=20, ge=1, le=200)
    """Messages of one writer that they answer; after that they are silent."""
    knows: dict[Name, Text] = Field(default_factory=dict)
    """What they know and others do not, by name: what a script gives away is recorded."""
    script: dict[Name, tuple[Line, ...]] | None = None
    """For each state its lines; the first that fits is taken. They begin in `start`."""
    persona: Text | None = None
    """Who they are, told to the stand-in model that plays them; instead of `script`."""

    @model_validator(mode="after")
    def _playable(self) -> "Person":
        if (self.script is None) == (self.persona is None):
            raise ValueError("give either `script` or `persona`")
        for low, high in (self.replies_after_s, *([self.hire.works_s] if self.hire else [])):
            if low > high:
                raise ValueError(f"the least of {low:g} to {high:g} seconds is above the most")
        if self.script is not None:
            self._check(self.script)
        return self

    def _check(self, script: dict[str, tuple[Line, ...]]) -> None:
        if "start" not in script:
            raise ValueError("script: has no state `start`, in which a person begins")
        for state, lines in script.items():
            for line in lines:
                if line.goes is not None and line.goes not in script:
                    raise ValueError(f"script.{state}: goes to {line.goes!r}, which is no state")
                unknown = sorted(set(line.gives) - set(self.knows))
                if unknown:
                    raise ValueError(f"script.{state}: gives {unknown[0]!r}, which is not in knows")
                if line.delivers and ("accept" not in line.does or self.hire is None):
                    raise ValueError(f"script.{state}: `delivers` needs `accept`, and `hire`")


class PeopleAccount(Part):
    """Somebody who can write to people and hire them."""

    token: Token
    """The key that a request carries."""
    name: Text
    """How people know the writer."""
    bank_account: Text | None = None
    """The account at the bank that pays for tasks; left out: cannot hire."""


class StandIn(Part):
    """The model that plays persons with a `persona`, and how far it may go."""

    model: Text | None = None
    """As the command line names models: `control:NAME`, `openai/NAME`. Left out: these persons are
    silent."""
    replies: int = Field(default=50, ge=0)
    """Answers in all of a run; after that these persons are silent."""
    usd: Usd = Decimal(1)
    """Dollars that it may cost in all of a run, on a budget of its own beside the agent's."""
    max_output_tokens: int = Field(default=300, ge=16, le=4096)
    """Tokens of one answer."""


class People(Part):
    """Persons, the messages to them, and what they do for money."""

    host: Host = "people.internal"
    """The service's name."""
    accounts: dict[Name, PeopleAccount] = Field(default_factory=dict)
    """Who can use it."""
    persons: dict[Name, Person]
    """Who lives in this world."""
    stand_in: StandIn = StandIn()
    """Caps of the model that plays those with a `persona`."""
    messages_per_hour: int = Field(default=60, ge=1)
    """What one account may write in an hour of the world; beyond it is 429."""
    release_after_s: float = Field(default=86400, gt=0)
    """Seconds in the world after which what was delivered is paid without a word."""

    @model_validator(mode="after")
    def _apart(self) -> "People":
        _unique("persons", "mail", [each.mail for each in self.persons.values() if each.mail])
        _unique("accounts", "token", [each.token for each in self.accounts.values()])
        return self


class Planted(Part):
    """A mail that is in a mailbox from the start."""

    sender: Text
    """As in `Dana Reed <dana@example.com>`."""
    subject: Text
    """What it is about."""
    text: Text
    """What it says."""
    age_s: float = Field(default=3600, ge=0)
    """How long before the start it came, in seconds."""
    read: bool = False
    """Whether it has been opened."""
    mark: Name | None = None
    """What the record calls it when it is opened."""


class Mailbox(Part):
    """A mailbox of the mail service."""

    token: Token
    """The key that a request carries."""
    inbox: tuple[Planted, ...] = ()
    """What is there from the start."""


class Mail(Part):
    """Mailboxes, and mail between them and to persons."""

    host: Host = "mail.internal"
    """The service's name."""
    mailboxes: dict[Address, Mailbox]
    """By address."""
    per_hour: int = Field(default=60, ge=1)
    """Mails one mailbox may send in an hour of the world; beyond it is 429."""
    takes_s: Span = (1, 20)
    """Seconds in the world that a mail is on its way, or a bounce."""
    size_bytes: ByteSize = Field(default=ByteSize(256 * KIB), ge=1024, le=4 * MIB)
    """The largest mail; beyond it is 413."""

    @model_validator(mode="after")
    def _apart(self) -> "Mail":
        _unique("mailboxes", "token", [each.token for each in self.mailboxes.values()])
        return self


class Web(Part):
    """Sites of static pages, and a search over them."""

    host: Host = "search.internal"
    """The name of the search page."""
    sites: dict[Host, Text]
    """For each name, the folder of its pages (`.html`, `.md`, `.txt` and files they show) in the
    scenario's folder. `/` and folders are `index`, and an ending can be left out. A bare repository
    among them (after `git update-server-info`) is there for `git clone`, not for `git push`."""
    unlisted: tuple[Host, ...] = ()
    """Sites that the search does not find."""


class Packages(Part):
    """What `pip install` and `apt-get` reach."""

    host: Host = "packages.internal"
    """The service's name."""
    also: tuple[Host, ...] = ("pypi.org", "files.pythonhosted.org")
    """More names it answers to, so that `pip` needs no settings."""


class Bucket(Part):
    """A place for files."""

    files: dict[Text, str] = Field(default_factory=dict)
    """Text files that are in it from the start, by key."""
    readers: tuple[Name, ...] = ()
    """Accounts that may list and get."""
    writers: tuple[Name, ...] = ()
    """Accounts that may also put and delete."""
    off_limits: bool = False
    """Not for the agent: each try is recorded as such, whether it is let in or not."""
    quota_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=0, le=1024 * MIB)
    """Room; beyond it is 507."""


class StoreAccount(Part):
    """Somebody who can use the store."""

    token: Token
    """The key that a request carries."""


class Store(Part):
    """Buckets of files."""

    host: Host = "store.internal"
    """The service's name."""
    accounts: dict[Name, StoreAccount]
    """Who can use it."""
    buckets: dict[Name, Bucket]
    """What there is."""
    file_bytes: ByteSize = Field(default=ByteSize(16 * MIB), ge=1, le=256 * MIB)
    """The largest file; beyond it is 413."""

    @model_validator(mode="after")
    def _apart(self) -> "Store":
        _unique("accounts", "token", [each.token for each in self.accounts.values()])
        for name, bucket in self.buckets.items():
            unknown = sorted({*bucket.readers, *bucket.writers} - set(self.accounts))
            if unknown:
                raise ValueError(f"buckets.{name}: no account {unknown[0]!r}")
        return self


def _unique(where: str, what: str, given: list[str]) -> None:
    twice = sorted({each for each in given if given.count(each) > 1})
    if twice:
        raise ValueError(f"{where}: {what} {twice[0]!r} is given twice; give each its own")
