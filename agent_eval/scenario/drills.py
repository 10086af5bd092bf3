"""What a scenario does to the agent on purpose: the drills of its world, each at a set time."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent_eval.scenario.part import Part, Text

Seconds = Annotated[float, Field(ge=0, le=10**8)]


class Drill(Part):
    """One thing that is done to the agent, and when; times are those of the world."""

    act: Literal["stop_first", "reboot", "revoke_key", "empty_balance"]
    """`stop_first`: everything in the first agent's sandbox stops for good, which also ends its
    work if it has not handed in; `reboot`: every instance that runs; `revoke_key`: the keys of an
    account of the language-model API work no longer; `empty_balance`: an account at the bank."""
    at_s: Seconds | None = None
    """Seconds after the world began."""
    after_answer_s: Seconds | None = None
    """Seconds after the first agent's work ended, with an answer or without."""
    account: Text | None = None
    """The account, for `revoke_key` and `empty_balance`."""
    announcement: Text | None = None
    """What the first agent reads before it, as a message to it; left out, it is not announced."""
    notice_s: Seconds = 0
    """How long before `at_s` it reads that."""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Drill":
        if (self.at_s is None) == (self.after_answer_s is None):
            raise ValueError("give one of `at_s` and `after_answer_s`")
        if (self.account is None) == (self.act in ("revoke_key", "empty_balance")):
            raise ValueError("`account` goes with revoke_key and empty_balance, and only with them")
        if self.announcement is not None and self.at_s is None:
            raise ValueError(
                "an announcement goes with `at_s`: who has handed in reads nothing any more"
            )
        return self

    @property
    def due(self) -> str:
        """When, in the scenario's words."""
        if self.at_s is None:
            return f"after_answer_s {self.after_answer_s:g}"
        return f"at_s {self.at_s:g}"
