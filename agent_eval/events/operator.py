"""What a person does to a run while it goes on: the kinds of a person's part in it."""

from dataclasses import dataclass
from typing import Any, ClassVar

from agent_eval.events.event import Event

INTERVENTIONS = (
    *("approve", "reject", "edit_action", "simulate", "fix_tool"),
    *("override_refusal", "edit_observation", "hint", "pick_option"),
)
"""What a person can do: every `type` of `intervened`."""


@dataclass(frozen=True, kw_only=True)
class Intervened(Event):
    """A person decided; written before anything follows from it.

    `approve` let it go as it was. `reject`, `simulate` and `override_refusal` gave the model an
    answer in place of what it asked for. `edit_action`, `fix_tool` and `edit_observation` changed
    what follows. A `hint` is told to the model after its turn, and another decision follows.
    `pick_option` took one of several replies that the model gave to the same prompt.
    """

    kind: ClassVar[str] = "intervened"
    type: str
    about: str
    """What was decided on: `action`, `answer`, `malformed`, `silence` (a reply without an action),
    `observation` or `options`."""
    who: str
    waited_s: float
    """For how long nothing was done because of it."""
    call: int
    """The model call whose reply it is about."""
    before: dict[str, Any]
    """What the model asked for, said, or would have seen."""
    after: dict[str, Any]
    """What is done, or what the model reads, in its place; the same where nothing was changed."""
    call_id: str | None = None
    """The call of a tool that it is about."""
    action: int | None = None
    """The action whose observation it is."""
    look: bool | None = None
    """True where what the model sees of the action is decided on as well."""
    rank: int | None = None
    """Which of the options was picked, from 1, the one that the model gave most often."""
    bits: float | None = None
    """What that costs: how much the person told by the pick, `log2(rank (rank + 1))`."""


@dataclass(frozen=True, kw_only=True)
class PersonAwaited(Event):
    """No person decided within the time that the scenario gives; the run pauses until one does."""

    kind: ClassVar[str] = "person.awaited"
    about: str
    waited_s: float
    call: int
    call_id: str | None = None


@dataclass(frozen=True)
class OperatorSteered(Event):
    """A person steered the run from another terminal; written before it takes effect."""

    kind: ClassVar[str] = "operator.steered"
    act: str
    """`stop` (after the current step), `stop_now`, `pause`, `continue` or `snapshot`."""
    uid: int
    """Number of the user, as the kernel says."""
    pid: int
    """The process that asked, as the kernel says."""
    tty: str | None = None
    """The terminal, as that process says; null where it has none."""
