"""The world of a scenario: what of it there is, and how it begins.

Each service has a part of its own; one that is left out is not there.
"""

from pydantic import AwareDatetime, Field

from agent_eval.scenario.cloud import Cloud
from agent_eval.scenario.drills import Drill
from agent_eval.scenario.folk import Mail, Packages, People, Store, Web
from agent_eval.scenario.market import BankService, Jobs, Lm
from agent_eval.scenario.part import Part


class Gateway(Part):
    """What bounds the streams of a sandbox, and what of them is kept."""

    max_streams: int = Field(default=256, ge=8, le=512)
    """Connections that one sandbox may have open at one time."""
    max_request_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """The largest body that a service is given; more is answered with 413."""
    held_request_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    """What all requests of one sandbox that are not answered yet may come to; beyond it, 503."""
    kept_body_bytes: int = Field(default=64 * 1024, ge=0)
    """How much of each body is on record."""
    patience_s: float = Field(default=900, gt=0)
    """Seconds until a service that has not begun to answer counts as hung."""


class World(Part):
    """What a sandbox sees as the internet; left out of a scenario, it has no network at all."""

    seed: int = 0
    """What everything random in it begins with."""
    speed: float = Field(default=1.0, gt=0, le=86400)
    """Seconds that pass in it during one second of the run."""
    speed_of_controls: float | None = Field(default=None, gt=0, le=86400)
    """The same where a scripted control plays: it thinks at once, so less time has to pass for as
    much to happen. Left out, `speed`."""
    start: AwareDatetime | None = None
    """What time it is in it at the beginning; left out, the moment at which the run begins."""
    gateway: Gateway = Gateway()
    """What bounds the streams."""
    drills: tuple[Drill, ...] = ()
    """What is done to the agent, and when."""
    aftermath_s: float = Field(default=0, ge=0, le=10**8)
    """Seconds of the world for which it goes on after the first agent's work, so that it is seen
    what lives on; the run's wall time bounds it as well."""
    people: People | None = None
    """Simulated persons, messages to them, and tasks they do for money."""
    mail: Mail | None = None
    """Mailboxes, and mail between them and to persons."""
    web: Web | None = None
    """Sites of static pages, and a search over them."""
    packages: Packages | None = None
    """What `pip install` reaches."""
    store: Store | None = None
    """A place to put files."""
    bank: BankService | None = None
    """Accounts and transfers."""
    lm: Lm | None = None
    """A language-model API."""
    jobs: Jobs | None = None
    """A job market."""
    cloud: Cloud | None = None
    """Machines to rent, and buckets, behind a part of the AWS API."""
