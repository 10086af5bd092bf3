"""The sandboxes of a run: each is made, lived in and removed here, and all of it is on record.

The first one is made before there is a record, which states what it is; those of copies are made
later. Whoever has one made sees to it that it is removed, whatever happens in between.
"""

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from agent_eval.errors import EngineUnavailable
from agent_eval.events.kernel import KernelOpened
from agent_eval.events.kinds import SandboxReady, SandboxRemoved
from agent_eval.events.state import SandboxRestored
from agent_eval.fleet.machine import Machine
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account
from agent_eval.record.transcript import Transcript
from agent_eval.run.plan import Plan, made_on
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.opening import COMMAND, listening, opened
from agent_eval.sandbox.recorder import Recorder
from agent_eval.sandbox.settings import GVISOR, Asked, asked_for
from agent_eval.sandbox.snapshot import LOST_WITHOUT_MEMORY, SHARED_WITH_MEMORY, Snapshot
from agent_eval.sandbox.sources import Choice, chosen
from agent_eval.sandbox.taking_over import GREETING
from agent_eval.watchdog.leash import leash
from agent_eval.world.base import Origin
from agent_eval.world.world import World

REMOVE_S = 120


@dataclass
class Box:
    """A sandbox that is made and listened to, and not started yet."""

    container: Container
    asked: Asked
    choice: Choice
    snapshot: Snapshot | None
    """What it begins as, if not as new."""
    recorder: Recorder | None = None
    ears: ExitStack = field(default_factory=ExitStack)
    """What listens to its kernel; to be closed when it is gone."""


class Housing:
    """Makes and removes the sandboxes of one run."""

    def __init__(
        self, machine: Machine, asked: Asked, choose: Callable[[], Choice], steering: Steering
    ) -> None:
        """`asked` is what they are all like; `choose` gives each its source of kernel facts."""
        self.machine = machine
        self.asked = asked
        self._choose = choose
        self._steering = steering
        self._made = 0
        self.keeps_names = False
        """Whether a sandbox that was taken over has the host name that it had."""
        self.left: set[str] = set()
        """Those that are not removed."""
        self.world: World | None = None
        """What those that are brought up are connected with, while it stands."""

    async def make(self, snapshot: Snapshot | None = None, other: Asked | None = None) -> Box:
        """Make the next one; the first has the host name that was asked for, each its own.

        One that is to be unlike the others, in `other`, has the name that stands there.
        """
        self._made += 1
        asked = other or self.asked
        if self._made > 1 and other is None:
            asked = replace(asked, hostname=f"{asked.hostname[:58]}-{self._made}")
        if snapshot is not None and self.keeps_names and GREETING in snapshot.about():
            asked = replace(asked, hostname=snapshot.about()["hostname"])
        choice = self._choose()
        container = await self.machine.engine.create(asked, COMMAND)
        self.left.add(container.id)
        box = Box(container, asked, choice, snapshot)
        try:
            box.ears.enter_context(listening(choice.source, container, snapshot))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.tear_down(box)
            raise
        return box

    @asynccontextmanager
    async def inhabited(
        self,
        box: Box,
        transcript: Transcript,
        account: Account,
        max_output_bytes: int,
        instance: str = "",
    ) -> AsyncIterator[Sandbox]:
        """Start it, prove it, and have it and its kernel on record under its agent's name.

        A machine of the world's cloud is `instance`, and goes by that name.
        """
        agent, clock = instance or account.name, self._steering.clock
        source, snapshot = box.choice.source, box.snapshot
        network = network_of(self.world, Origin(agent, account.name)) if self.world else None
        coming = opened(
            box.container, box.asked, max_output_bytes, clock, source, snapshot, network
        )
        async with AsyncExitStack() as stack:
            async with self.machine.starting:
                sandbox = await stack.enter_async_context(coming)
            ready = SandboxReady(
                container=sandbox.id,
                runtime=box.asked.runtime,
                ready_s=round(sandbox.ready_s, 3),
                audit=[row.record() for row in sandbox.audit],
            )
            transcript.write(ready, agent)
            if snapshot is not None:
                transcript.write(_restored(sandbox, snapshot, same=self.keeps_names), agent)
            async with _recorded(box, sandbox, transcript, account, agent):
                yield sandbox

    async def remove(self, box: Box, transcript: Transcript, agent: str) -> None:
        """Remove it and write down what became of it; nothing of it is heard after that."""
        state: dict[str, Any] = {"removed": False}
        try:
            with self._steering.removing(), anyio.move_on_after(REMOVE_S):
                state = await self.tear_down(box)
        except EngineUnavailable as error:
            state["error"] = str(error)
        transcript.write(SandboxRemoved(box.container.id, state), agent)
        if box.recorder is not None:
            box.recorder.close()
        box.ears.close()

    async def tear_down(self, box: Box) -> dict[str, Any]:
        """Remove it, and no more."""
        state = await box.container.remove()
        self.left.discard(box.container.id)
        return state


def network_of(world: World, origin: Origin) -> Network:
    """One sandbox's end of a world."""
    gateway = world.gateway

    async def connect(address: str, port: int) -> socket.socket | None:
        return await gateway.connect(origin, address, port)

    def resolve(name: str) -> str | None:
        return gateway.resolve(origin, name)

    return Network(connect, resolve, gateway.authority.pem.decode())


def _restored(sandbox: Sandbox, snapshot: Snapshot, *, same: bool) -> SandboxRestored:
    """What there is to say of it; `same` says that one that was taken over is the same still."""
    memory = snapshot.kind == "memory"
    another = memory and not (same and GREETING in snapshot.about())
    return SandboxRestored(
        sandbox=sandbox.id[:12],
        snapshot=snapshot.digest,
        holds=snapshot.kind,
        ready_s=round(sandbox.ready_s, 3),
        lost=[] if memory else list(LOST_WITHOUT_MEMORY),
        shared=list(SHARED_WITH_MEMORY) if another else [],
        left_out=sandbox.left_out,
    )


def _refuse_without_memory(runtime: str) -> None:
    if runtime != GVISOR:
        raise EngineUnavailable(
            "the scenario's copies start `live`, with their parent's memory, which only gVisor can "
            f"copy, and this run would be on {runtime}. Set delegation.start to `home`, or install "
            "gVisor and type `agent-eval setup --runtimes`"
        )


@asynccontextmanager
async def housed(
    plan: Plan, run: str, steering: Steering, machine: Machine | None
) -> AsyncIterator[tuple[Housing, dict[str, Any]]]:
    """What makes the sandboxes of a run, and what they are made on.

    The watchdog looks after them until they are gone.
    """
    wishes, budget = plan.scenario.sandbox, plan.scenario.budget
    with nullcontext(machine) if machine else Machine() as shared:
        facts = await shared.facts()
        runtime = chosen(wishes, facts).runtime
        image = await shared.engine.image(wishes.image)
        delegation = plan.loaded.scenario.delegation
        if delegation.max_depth and delegation.start == "live":
            _refuse_without_memory(runtime)
        lease = int(time.time() + (budget.wall_s or 86400) + plan.lease_s)
        networked = plan.loaded.scenario.world is not None
        asked = asked_for(wishes, run, runtime, lease, networked=networked)
        folder = plan.runs / run
        asked = replace(asked, image_id=image["id"], folder=str(folder.resolve()))
        housing = Housing(shared, asked, lambda: chosen(wishes, facts), steering)
        leash().watch(run, folder, plan.lease_s)
        try:
            yield housing, made_on(facts, image, runtime)
        finally:
            if not housing.left:
                leash().forget(run)


def _recorded(
    box: Box, sandbox: Sandbox, transcript: Transcript, account: Account, agent: str
) -> AbstractAsyncContextManager[None]:
    """Have what the sandbox's kernel tells put on record, or say there why it is not."""
    source = box.choice.source
    if source is None:
        opened_without = KernelOpened(sandbox.id[:12], None, {}, box.choice.why)
        transcript.write(opened_without, agent)
        return nullcontext()
    box.recorder = Recorder(source, sandbox.id, transcript, account, agent)
    return sandbox.recorded(box.recorder)
