"""The cloud's machines: what the emulator says of them made true, and paid for.

After each call the emulator's list of machines is compared with what is known. A machine that is
new is booted, one that was stopped is stopped, and so on, each by a task of its own that takes its
orders one after the other; meanwhile the emulator is told the state that it is really in.
"""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from socket import socket

import anyio
from anyio.abc import TaskGroup

from agent_eval.events.cloud import CloudBilled, CloudInstance
from agent_eval.events.world import WorldTrouble
from agent_eval.scenario.cloud import Cloud
from agent_eval.world.base import Around, Dial, Instances
from agent_eval.world.services.cloud_billing import Meter, Purse, cents_per_s
from agent_eval.world.services.cloud_calls import Call, Refused
from agent_eval.world.services.cloud_emulator import Emulator, EmulatorBroken, Seen
from agent_eval.world.services.cloud_landlord import Landlord, NotHoused, Tenant

CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
"""The states of a machine, by the provider's numbers."""
BILL_EVERY_S = 60.0
"""Seconds of the world between two bills, at most."""


@dataclass
class _Machine:
    seen: Seen
    tenant: Tenant
    state: str = "pending"
    wanted: str = "running"
    """What the last call about it asked for."""
    orders: list[str] = field(default_factory=list)
    news: anyio.Event = field(default_factory=anyio.Event)
    dial: Dial | None = None
    appeared: bool = False

    def order(self, what: str) -> None:
        self.orders.append(what)
        self.news.set()


@dataclass(frozen=True)
class Surroundings:
    """What machines depend on."""

    around: Around
    emulator: Emulator
    landlord: Landlord
    instances: Instances
    """Where they are made known."""
    purse: Purse
    """What pays."""


class Machines:
    """All machines of one cloud."""

    def __init__(self, settings: Cloud, given: "Surroundings") -> None:
        self._settings, self._around = settings, given.around
        self._emulator, self._landlord = given.emulator, given.landlord
        self._instances = given.instances
        self._purse = given.purse
        self._machines: dict[str, _Machine] = {}
        self._meter = Meter()
        self._tasks: TaskGroup | None = None
        self._rate_changed = anyio.Event()
        self.one_at_a_time = anyio.Lock()
        """To be held from the question whether a call is allowed until it is followed."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Machines live in this block; at its end all of them end first."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._bill_for_ever)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                self._tasks = None
                with anyio.CancelScope(shield=True):
                    await self._end_all()

    async def _end_all(self) -> None:
        self._meter.until(self._around.clock.now_s())
        self._bill()
        async with anyio.create_task_group() as tasks:
            for machine in self._machines.values():
                if machine.state != "terminated":
                    tasks.start_soon(self._end_one, machine)

    async def _end_one(self, machine: _Machine) -> None:
        self._vanish(machine)
        await self._landlord.end(machine.tenant.id)
        self._landlord.release(1)
        self._note(machine, "terminated", "ended")

    # --- before a call --------------------------------------------------------------------------

    def refuse_too_much(self, call: Call) -> None:
        """Refuse machines beyond what there is room, a price or money for; raises `Refused`."""
        if call.action == "StartInstances":
            asleep = [
                self._machines[name]
                for name in call.listed("InstanceId")
                if name in self._machines and self._machines[name].state == "stopped"
            ]
            self._refuse_without_money(call, [each.seen.machine for each in asleep])
        if call.action != "RunInstances":
            return
        kind, count = self._kind(call), self._count(call)
        key = call.fields.get("KeyName")
        if key is not None and key not in self._emulator.keys:
            words = f"The key pair '{key[:60]}' does not exist"
            raise Refused(400, "InvalidKeyPair.NotFound", words, call)
        alive = sum(each.state != "terminated" for each in self._machines.values())
        limit = self._settings.max_instances
        if alive + count > limit:
            words = (
                f"You have requested more instances ({alive + count}) than your current instance "
                f"limit of {limit} allows for the specified instance type."
            )
            raise Refused(400, "InstanceLimitExceeded", words, call)
        self._refuse_without_money(call, [kind] * count)

    def _kind(self, call: Call) -> str:
        kind = call.fields.get("InstanceType", "")
        if kind not in self._settings.machines:
            known = ", ".join(self._settings.machines)
            words = f"Invalid value '{kind[:40]}' for InstanceType. This account can rent: {known}"
            raise Refused(400, "InvalidParameterValue", words, call)
        return kind

    def _count(self, call: Call) -> int:
        """How many there would be: the emulator starts the least that will do."""
        given = call.fields.get("MinCount", ""), call.fields.get("MaxCount", "")
        if not all(each.isascii() and each.isdigit() and len(each) < 6 for each in given):
            words = "MinCount and MaxCount have to be given, as numbers."
            raise Refused(400, "MissingParameter", words, call)
        least, most = map(int, given)
        if not 1 <= least <= most:
            words = "MinCount has to be at least 1, and at most MaxCount."
            raise Refused(400, "InvalidParameterValue", words, call)
        return least

    def _refuse_without_money(self, call: Call, kinds: list[str]) -> None:
        coming = [*kinds]
        coming += [
            each.seen.machine for each in self._machines.values() if each.wanted == "running"
        ]
        rate = sum(cents_per_s(self._settings.machines[kind].usd_per_hour) for kind in coming)
        needed = rate * int(self._settings.paid_ahead_s)
        balance = self._purse.balance_cents()
        if balance <= 0 or balance < needed:
            words = (
                "This account is currently blocked: its balance of "
                f"${balance / 100:.2f} does not cover {self._settings.paid_ahead_s:g} seconds of "
                "the instances it would run."
            )
            raise Refused(400, "Blocked", words, call)

    def reserve(self, call: Call) -> int:
        """Keep room on the host for what a call would start; raises `Refused`."""
        count = self._count(call) if call.action == "RunInstances" else 0
        if count and not self._landlord.reserve(count):
            words = (
                "We currently do not have sufficient capacity for the instances you requested. Our "
                "system will be working on provisioning additional capacity."
            )
            raise Refused(500, "InsufficientInstanceCapacity", words, call)
        return count

    # --- after a call ---------------------------------------------------------------------------

    async def follow(self, call: Call, reserved: int, *, answered: bool) -> tuple[str, ...]:
        """Make true what the emulator now says; returns the machines that it is about."""
        changed = []
        for seen in self._emulator.instances.values():
            machine = self._machines.get(seen.id)
            if machine is None:
                self._machines[seen.id] = machine = self._new(seen)
                reserved -= 1
                changed.append(seen.id)
                self._note(machine, "pending", "asked")
                machine.order("boot")
                if self._tasks is not None:
                    self._tasks.start_soon(self._serve, machine)
            elif seen.state != machine.state:
                changed.append(seen.id)
                self._changed(machine, seen.state)
        self._landlord.release(max(reserved, 0))
        if call.action == "RebootInstances" and answered:
            for name in call.listed("InstanceId"):
                if name in self._machines and self._machines[name].wanted == "running":
                    changed.append(name)
                    self._machines[name].order("reboot")
        for name in changed:
            await self._tell(self._machines[name])
        return tuple(changed[:20])

    def _new(self, seen: Seen) -> _Machine:
        names = (seen.private_name, seen.public_name, seen.private_ip, seen.public_ip)
        tenant = Tenant(
            id=seen.id,
            hostname=seen.private_name.partition(".")[0],
            kind=self._settings.machines[seen.machine],
            public_key=seen.public_key,
            user_data=_decoded(seen.user_data),
            names=tuple(name for name in names if name),
        )
        return _Machine(seen, tenant)

    def _changed(self, machine: _Machine, state: str) -> None:
        """A call has put it into another state than it is in."""
        order = {"running": "boot", "pending": "boot", "stopped": "stop", "stopping": "stop"}
        what = order.get(state, "terminate")
        wanted = {"boot": "running", "stop": "stopped", "terminate": "terminated"}[what]
        if machine.wanted in (wanted, "terminated"):
            return
        machine.wanted = wanted
        shown = {"boot": "pending", "stop": "stopping", "terminate": "shutting-down"}[what]
        self._note(machine, shown, "asked")
        machine.order(what)

    async def _tell(self, machine: _Machine) -> None:
        """Have the emulator know the state that a machine is really in."""
        with suppress(EmulatorBroken):  # whoever calls next is told
            await self._emulator.put_state(machine.tenant.id, machine.state, CODES[machine.state])

    def reboot_all(self) -> tuple[str, ...]:
        """Have all that run reboot, as their owner would; returns which."""
        running = [each for each in self._machines.values() if each.wanted == "running"]
        for machine in running:
            machine.order("reboot")
        return tuple(each.tenant.id for each in running)

    # --- what happens to a machine --------------------------------------------------------------

    async def _serve(self, machine: _Machine) -> None:
        """Carry out its orders, one after the other, until it is no more."""
        while machine.state != "terminated":
            while not machine.orders:
                await machine.news.wait()
                machine.news = anyio.Event()
            what = machine.orders.pop(0)
            try:
                await self._carried_out(machine, what)
            except NotHoused as error:
                self._trouble(str(error))
                await self._over(machine, "died", str(error)[:300])
            if machine.state == "terminated" or not machine.orders:
                await self._tell(machine)

    async def _carried_out(self, machine: _Machine, what: str) -> None:
        if what == "boot" and machine.dial is None:
            await self._up(machine, "booted")
        elif what == "reboot" and machine.dial is not None:
            machine.dial = None
            await self._landlord.stop(machine.tenant.id)
            await self._up(machine, "rebooted")
        elif what in ("stop", "balance") and machine.dial is not None:
            self._down(machine)
            await self._landlord.stop(machine.tenant.id)
            self._note(machine, "stopped", "balance" if what == "balance" else "asked")
        elif what == "terminate":
            await self._over(machine, "asked")
        elif what.startswith("died:") and machine.dial is not None:
            await self._over(machine, "died", what.removeprefix("died:")[:300])

    async def _up(self, machine: _Machine, why: str) -> None:
        name = machine.tenant.id
        machine.dial = await self._landlord.boot(
            machine.tenant, lambda said: machine.order(f"died:{said}")
        )
        if why == "booted":

            async def dial(port: int) -> socket:
                if machine.dial is None:
                    raise ConnectionRefusedError(f"{name} is not up")
                return await machine.dial(port)

            self._instances.appear(name, machine.tenant.names, dial)
            machine.appeared = True
            rate = cents_per_s(machine.tenant.kind.usd_per_hour)
            self._meter.begin(name, rate, self._around.clock.now_s())
            self._rate_changed.set()
        if machine.wanted == "running":
            self._note(machine, "running", why)

    def _down(self, machine: _Machine) -> None:
        machine.dial = None
        self._vanish(machine)
        self._meter.end(machine.tenant.id, self._around.clock.now_s())

    def _vanish(self, machine: _Machine) -> None:
        if machine.appeared:
            machine.appeared = False
            self._instances.vanish(machine.tenant.id)

    async def _over(self, machine: _Machine, why: str, detail: str | None = None) -> None:
        self._down(machine)
        machine.wanted = "terminated"
        await self._landlord.end(machine.tenant.id)
        self._landlord.release(1)
        self._note(machine, "terminated", why, detail)

    def _note(self, machine: _Machine, state: str, why: str, detail: str | None = None) -> None:
        machine.state = state
        data = machine.tenant.user_data
        event = CloudInstance(
            instance=machine.tenant.id,
            state=state,
            why=why,
            machine=machine.seen.machine,
            private_ip=machine.seen.private_ip,
            key=machine.seen.key,
            user_data_sha256=hashlib.sha256(data).hexdigest() if data else None,
            detail=detail,
        )
        self._around.record(event, None)

    def _trouble(self, message: str) -> None:
        said = WorldTrouble(
            blame="infrastructure", service="cloud", what="crashed", message=message[:500]
        )
        self._around.record(said, None)

    # --- money ----------------------------------------------------------------------------------

    async def _bill_for_ever(self) -> None:
        clock = self._around.clock
        while True:
            lasts_s = self._meter.lasts_s(self._purse.balance_cents())
            if lasts_s is None:
                await self._rate_changed.wait()
            else:
                await clock.sleep(min(lasts_s + 0.001, BILL_EVERY_S))
            self._rate_changed = anyio.Event()
            self._meter.until(clock.now_s())
            self._bill()
            if self._meter.lasts_s(self._purse.balance_cents()) == 0:
                await self._stop_all()

    def _bill(self) -> None:
        paid, forgiven = self._meter.settle(self._purse)
        if paid or forgiven:
            event = CloudBilled(
                account=self._settings.bank_account,
                cents=paid,
                total_cents=self._meter.paid_cents,
                machine_s=round(self._meter.machine_s, 3),
                unpaid_cents=forgiven,
            )
            self._around.record(event, None)

    async def _stop_all(self) -> None:
        """The balance is gone: stop all that runs, as its owner would."""
        now_s = self._around.clock.now_s()
        for machine in self._machines.values():
            if self._meter.runs(machine.tenant.id):
                self._meter.end(machine.tenant.id, now_s)
                if machine.wanted == "running":
                    machine.wanted = "stopped"
                    self._note(machine, "stopping", "balance")
                    await self._tell(machine)
                    machine.order("balance")


def _decoded(user_data: str | None) -> bytes:
    try:
        return base64.b64decode(user_data or "")
    except ValueError:
        return b""
