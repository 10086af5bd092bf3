"""What a person can do to a run from outside: only end it, in three ways."""

from dataclasses import dataclass, field

import anyio


@dataclass
class Steering:
    """How a person ends a run: after this step, at once, or without tidying up."""

    stopping: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    removal: anyio.CancelScope = field(default_factory=lambda: anyio.CancelScope(shield=True))

    def drain(self) -> None:
        """End after the current step."""
        self.stopping = True

    def cancel(self) -> None:
        """End now; the sandbox is still removed."""
        self.stopping = True
        self.scope.cancel()

    def abandon(self) -> None:
        """End now and leave the sandbox to the watchdog."""
        self.cancel()
        self.removal.cancel()
