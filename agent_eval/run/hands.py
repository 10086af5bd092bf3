"""What drills are done with: the first agent's sandbox, and the services of its world."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from agent_eval.events.kinds import SandboxFrozen
from agent_eval.record.transcript import Transcript
from agent_eval.run.drills import Hands, NothingToDo
from agent_eval.sandbox.container import Sandbox
from agent_eval.world.ledger import OUTSIDE, NoSuchAccount
from agent_eval.world.world import World


class Reboots(Protocol):
    """What drills need of the cloud."""

    def reboot_all(self) -> tuple[str, ...]:
        """Reboot every instance that runs; returns which."""


class Revokes(Protocol):
    """What drills need of the language-model API."""

    def revoke_all(self, account: str) -> tuple[str, ...]:
        """Have all keys of a customer work no longer; returns their names."""


@dataclass
class Reach:
    """What of one run drills reach."""

    world: World
    sandbox: Sandbox
    transcript: Transcript
    stopped: bool = False
    """Whether everything in the first agent's sandbox is stopped already."""

    def hands(self, interrupt: Callable[[], Awaitable[None]], tell: Callable[[str], None]) -> Hands:
        """Hands with it; `interrupt` ends the first agent's work and returns when that is over."""

        async def stop_first() -> tuple[str, ...]:
            if self.stopped:
                raise NothingToDo("it is stopped already")
            await interrupt()
            self.transcript.write(SandboxFrozen(await self.sandbox.freeze()))
            self.stopped = True
            return ("0",)

        return Hands(
            stop_first=stop_first,
            reboot=self._reboot,
            revoke_key=self._revoke_key,
            empty_balance=self._empty_balance,
            tell=tell,
        )

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
