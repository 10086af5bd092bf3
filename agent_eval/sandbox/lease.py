"""Until when a sandbox is kept: a moment on two clocks, of which a person can set one.

The clock of the machine since its start decides. After a restart of the machine, or on another one,
it means nothing, and the clock on the wall decides.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from agent_eval.basics.clock import since_boot_s
from agent_eval.sandbox.owner import boot


@dataclass(frozen=True)
class Moment:
    """A point in time."""

    wall_s: float
    """Seconds since 1970."""
    boot_s: float = 0.0
    """Seconds since the machine was started."""
    boot: str = ""
    """Which start of which machine that was."""

    @classmethod
    def now(cls) -> Self:
        """This moment, here."""
        return cls(time.time(), since_boot_s(), boot())

    @classmethod
    def parsed(cls, label: str) -> Self | None:
        """The moment that a label names; None if it names none."""
        wall, _, rest = label.partition(":")
        boot_s, _, boot_id = rest.partition(":")
        try:
            return cls(float(wall), float(boot_s or 0), boot_id)
        except ValueError:
            return None

    def label(self) -> str:
        """As text that `parsed` reads."""
        return f"{self.wall_s:.3f}:{self.boot_s:.3f}:{self.boot}"

    def after(self, wait_s: float) -> Self:
        """The moment so many seconds later."""
        return type(self)(self.wall_s + wait_s, self.boot_s + wait_s, self.boot)

    def left_s(self, now: "Moment") -> float:
        """Seconds until this moment; below zero when it has passed."""
        if self.boot and self.boot == now.boot:
            return self.boot_s - now.boot_s
        return self.wall_s - now.wall_s

    def words(self) -> str:
        """The moment for a person, in UTC."""
        return datetime.fromtimestamp(self.wall_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def lease_label(wall_until: float) -> str:
    """The label of a lease that ends at that many seconds since 1970, as clocks stand now."""
    now = Moment.now()
    return now.after(wall_until - now.wall_s).label()
