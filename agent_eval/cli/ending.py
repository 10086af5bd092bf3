"""Ctrl-C, and what a run's end means to whoever called: one run or many."""

import signal
from typing import Protocol

import anyio

from agent_eval.cli import FINISHED, INFRASTRUCTURE, INTERRUPTED, LIMIT, OPERATOR
from agent_eval.errors import Blame
from agent_eval.run.outcome import Outcome


class Steered(Protocol):
    """What a person can end in three ways."""

    stopping: bool

    def drain(self) -> None:
        """End after the current step."""

    def cancel(self) -> None:
        """End now; sandboxes are still removed."""

    def abandon(self) -> None:
        """End now and leave sandboxes to the watchdog."""


class Voice(Protocol):
    """Who tells the person."""

    def say(self, words: str) -> None:
        """Tell the person something that stays on the screen."""


async def obey(steered: Steered, voice: Voice) -> None:
    """Ctrl-C: once drains, twice cancels, three times abandons; each says so.

    A terminal that closes and a machine that goes down ask no second time.
    """
    steps = [
        (steered.drain, "ending after this step; Ctrl-C again ends at once"),
        (steered.cancel, "ending at once; Ctrl-C again leaves the sandbox to the watchdog"),
        (steered.abandon, "leaving; the record is sealed, the watchdog removes the sandbox"),
    ]
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        ends.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*ends) as signals:
        async for each in signals:
            if each is not signal.SIGINT and not steered.stopping:
                del steps[0]
            act, words = steps.pop(0) if len(steps) > 1 else steps[0]
            voice.say(words)
            act()


def code_of(outcome: Outcome) -> int:
    """The exit code for an outcome."""
    if outcome.status in ("stopped", "cancelled"):
        return INTERRUPTED
    if outcome.blame is None:
        return FINISHED
    codes = {
        Blame.MODEL: FINISHED,
        Blame.LIMIT: LIMIT,
        Blame.OPERATOR: OPERATOR,
        Blame.SCENARIO: OPERATOR,
        Blame.INFRASTRUCTURE: INFRASTRUCTURE,
    }
    return codes[Blame(outcome.blame)]
