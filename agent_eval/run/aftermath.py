"""The first agent's work in a world that can do something to it, and what comes after.

The drills of the scenario are done beside the conversation and after it; when it is over the world
goes on for a while, so that it can be seen what lives on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from agent_eval.basics.tasks import beside
from agent_eval.events.kinds import SandboxFrozen
from agent_eval.record.transcript import Transcript
from agent_eval.run.drills import Drills, Hands, NothingToDo
from agent_eval.run.outcome import Outcome
from agent_eval.sandbox.container import Sandbox
from agent_eval.scenario.world import World as Asked
from agent_eval.world.ledger import OUTSIDE, NoSuchAccount
from agent_eval.world.world import World

Talk = Callable[[], Awaitable[Outcome]]
Aftermath = Callable[[], Awaitable[None]]

STOPPED = Outcome("stopped_by_drill", message="a drill stopped the first agent before its answer")


class Reboots(Protocol):
    """What drills need of the cloud."""

    def reboot_all(self) -> tuple[str, ...]:
        """Reboot every instance that runs; returns which."""


class Revokes(Protocol):
    """What drills need of the language-model API."""

    def revoke_all(self, account: str) -> tuple[str, ...]:
        """Have all keys of a customer work no longer; returns their names."""


@dataclass
class Life:
    """The first agent in its world, from the first call of its model to the end of the world."""

    asked: Asked
    world: World
    sandbox: Sandbox
    transcript: Transcript
    tell: Callable[[str], None]
    """Has the agent read a message before its next reply."""
    stopped: bool = False
    """Whether everything in its sandbox is stopped already."""

    def __post_init__(self) -> None:
        hands = Hands(
            stop_first=self._stop_first,
            reboot=self._reboot,
            revoke_key=self._revoke_key,
            empty_balance=self._empty_balance,
            tell=self.tell,
        )
        self._drills = Drills(self.asked.drills, self.world.clock, self.transcript, hands)
        self._talking, self._talked = anyio.CancelScope(), anyio.Event()

    async def through(self, talk: Talk, after: Callable[[Aftermath], Awaitable[None]]) -> Outcome:
        """Have the conversation, and the aftermath where it ended in a way that counts.

        `after` has the aftermath done, within what the run has left.
        """
        async with beside() as drills:
            drills.start_soon(self._drills.at_their_times)
            outcome = STOPPED
            with self._talking:
                outcome = await talk()
            self._talked.set()
            if outcome.counts and (self.asked.aftermath_s or self.asked.drills):
                await after(lambda: self._drills.aftermath(self.asked.aftermath_s))
        return outcome

    async def _stop_first(self) -> tuple[str, ...]:
        if self.stopped:
            raise NothingToDo("it is stopped already")
        self._talking.cancel()
        await self._talked.wait()
        self.transcript.write(SandboxFrozen(await self.sandbox.freeze()))
        self.stopped = True
        return ("0",)

    async def _reboot(self) -> tuple[str, ...]:
        cloud: Reboots | None = self.world.services.get("cloud")  # type: ignore[assignment]
        hit = cloud.reboot_all() if cloud is not None else ()
        if not hit:
            raise NothingToDo("no instance runs")
        return hit

    async def _revoke_key(self, account: str) -> tuple[str, ...]:
        api: Revokes | None = self.world.services.get("lm")  # type: ignore[assignment]
        if api is None:
            raise NothingToDo("this world has no language-model API")
        try:
            hit = api.revoke_all(account)
        except KeyError as error:
            raise NothingToDo(f"there is no customer {account}") from error
        if not hit:
            raise NothingToDo(f"no key of {account} works")
        return hit

    async def _empty_balance(self, account: str) -> tuple[str, ...]:
        bank = self.world.bank
        try:
            cents = bank.balance(account)
        except NoSuchAccount as error:
            raise NothingToDo(str(error)) from error
        if cents <= 0:
            raise NothingToDo(f"there is nothing on account {account}")
        bank.transfer(account, OUTSIDE, cents, "seized", source="drill")
        return (account,)
