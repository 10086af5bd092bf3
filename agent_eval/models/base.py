"""The protocol that every kind of model keeps, and how an attempt can fail."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from agent_eval.basics.conversation import Message, Reply, Request
from agent_eval.record.prices import PriceCard


class Model(Protocol):
    """One model as one agent talks to it; the agent holds the conversation."""

    name: str
    """As the operator named it, for instance `openai/gpt-4o`."""
    price: PriceCard | None
    """What its tokens cost; None if nobody knows and there is no dollar limit."""
    context_tokens: int | None
    """Its window, prompt and reply together, where its endpoint is known to have one."""
    remote: bool
    """Whether a request leaves this process, so that its exact bytes are recorded."""

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """What is sent with every request beside messages and tools."""

    def about(self) -> dict[str, Any]:
        """What the record should say of it."""

    def of_copy(self, agent: str) -> "Model":
        """The same model, as the copy of that name talks to it."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """A place among those who ask the same endpoint; waited for before anything else."""

    def take_up(self, said: Sequence[Message], answered: int) -> None:
        """A conversation goes on that another process began.

        `said` is every message as it was when it was new, `answered` how many calls had an answer.
        """

    async def complete(self, request: Request) -> Reply:
        """Answer once; raises `AttemptFailed`, or an error of ours that no retry can mend."""

    async def close(self) -> None:
        """Let go of connections."""


class ContextOverflow(Exception):
    """The request does not fit the model's window; a shorter one may."""

    def __init__(self, message: str, *, may_be_billed: bool = False) -> None:
        super().__init__(message)
        self.may_be_billed = may_be_billed
        """Whether the server may have worked, as with `AttemptFailed`."""


class AttemptFailed(Exception):
    """One attempt came to nothing; another may not."""

    def __init__(
        self,
        message: str,
        *,
        may_be_billed: bool,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.may_be_billed = may_be_billed
        """Whether the server may have worked: its usage never arrived, so all of it is settled."""
        self.status = status
        self.retry_after_s = retry_after_s
        """How long the server asked to be left alone."""
