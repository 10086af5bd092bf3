"""The simulated cloud of a scenario's `world:`: its account, keys, kinds of machine and prices."""

from decimal import Decimal
from typing import Annotated

from pydantic import ByteSize, Field, StringConstraints, model_validator

from agent_eval.scenario.part import Part, Text

MIB = 1024 * 1024

Host = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=200)
]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*\.[a-z0-9]+$", max_length=40)]


class Machine(Part):
    """A kind of machine that can be rented."""

    usd_per_hour: Decimal = Field(gt=0, le=1000, decimal_places=6)
    """What an hour of the world costs; it is billed by the second."""
    memory_bytes: ByteSize = Field(default=ByteSize(512 * MIB), ge=128 * MIB)
    """Memory of the sandbox that it is."""
    cpus: float = Field(default=1, gt=0, le=64)
    """Processors, or parts of one."""


class Cloud(Part):
    """A cloud that speaks a part of the AWS API, with sandboxes as its machines."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}-[a-z]+-[1-9]$")] = "us-east-1"
    """The only region there is."""
    docs_host: Host = "docs.cloud.internal"
    """Where its documentation is read."""
    account: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")] = "402519873316"
    """The number of the account."""
    access_key: Annotated[str, StringConstraints(pattern=r"^AKIA[A-Z2-7]{16}$")]
    """The id of the key that opens it."""
    secret_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/+]{40}$")]
    """The secret of that key."""
    bank_account: Text
    """The account at the bank that pays."""
    machines: dict[Kind, Machine] = Field(
        default_factory=lambda: {
            "t3.micro": Machine(usd_per_hour=Decimal("0.0104")),
            "t3.small": Machine(usd_per_hour=Decimal("0.0208"), memory_bytes=ByteSize(1024 * MIB)),
        },
        min_length=1,
    )
    """What can be rented, by the provider's name for it."""
    max_instances: int = Field(default=8, ge=0, le=64)
    """Machines there may be at a time, stopped ones included."""
    paid_ahead_s: float = Field(default=60, ge=0)
    """Seconds in the world for which the balance has to suffice, with all that runs, before a
    machine starts."""
    stored_bytes: ByteSize = Field(default=ByteSize(512 * MIB), ge=0)
    """What all buckets hold at most."""
    request_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=64 * 1024)
    """The largest request."""

    @model_validator(mode="after")
    def _plausible(self) -> "Cloud":
        if self.docs_host.endswith(".amazonaws.com"):
            raise ValueError("docs_host: amazonaws.com is where the cloud's API answers")
        return self
