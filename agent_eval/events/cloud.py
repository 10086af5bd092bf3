"""What the simulated cloud did: calls, machines and bills."""

from dataclasses import dataclass
from typing import ClassVar

from agent_eval.events.event import Event


@dataclass(frozen=True)
class CloudCalled(Event):
    """A request to the cloud's API was answered, or refused before it was looked at any closer."""

    kind: ClassVar[str] = "cloud.called"
    sandbox: str
    """Where it came from: an agent by its name, or an instance by its id."""
    service: str
    """`ec2`, `s3` or `sts`; `?` for a name that is none of them."""
    action: str
    """What was asked for, in the provider's words; cut to 100 characters."""
    status: int
    """Of the answer."""
    error: str | None = None
    """The provider's word for why not."""
    names: tuple[str, ...] = ()
    """The instances that it named or made, or the bucket; at most 20."""


@dataclass(frozen=True)
class CloudInstance(Event):
    """A machine of the cloud has come into another state."""

    kind: ClassVar[str] = "cloud.instance"
    instance: str
    """Its id, `i-...`."""
    state: str
    """`pending`, `running`, `stopping`, `stopped`, `shutting-down` or `terminated`."""
    why: str
    """`asked` by a call; `booted`; `rebooted`; `balance` was gone; `died` of itself; `ended` with
    the run."""
    machine: str
    """The kind of machine, for example `t3.micro`."""
    private_ip: str
    """Its address among the machines, which names it."""
    key: str | None = None
    """The name of the key pair that opens it."""
    user_data_sha256: str | None = None
    """Digest of its user data, which is on record as a request's body."""
    detail: str | None = None
    """What happened, where that takes more words."""


@dataclass(frozen=True)
class CloudBilled(Event):
    """Machine time was paid from an account at the bank, or could not be."""

    kind: ClassVar[str] = "cloud.billed"
    account: str
    """The account that pays."""
    cents: int
    """What was paid."""
    total_cents: int
    """What has been paid so far, this included."""
    machine_s: float
    """Seconds of machines, in the world's time, that have been used so far."""
    unpaid_cents: int = 0
    """What was due and the account did not hold; it is forgiven, and the machines are stopped."""
