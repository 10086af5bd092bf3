"""How a sandbox comes up: started or restored, given its network, and proven before it is used.

Used by `run`. Entering `opened` starts it, proves that it is locked down and that its shell
answers; who made the container removes it.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from agent_eval.basics.clock import WorkingClock
from agent_eval.basics.tasks import beside
from agent_eval.errors import EngineUnavailable, NoSnapshot, NotAsAsked, SandboxDied
from agent_eval.sandbox import checkpoint, pid1, taking_over
from agent_eval.sandbox.container import Sandbox, died_too_early
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.heart import Heart
from agent_eval.sandbox.kernel import Source, can_meet, private_folder
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.settings import Asked
from agent_eval.sandbox.snapshot import Snapshot, refuse_unless_fitting
from agent_eval.sandbox.streams import carried
from agent_eval.sandbox.supervisor import Supervisor

COMMAND = pid1.COMMAND
"""What a sandbox's container is started with."""


@contextmanager
def listening(
    source: Source | None, container: Container, snapshot: Snapshot | None = None
) -> Iterator[None]:
    """Have a source of kernel facts listen; to be entered before the container starts.

    Also lays ready what it is restored from, if that is a snapshot with memory.
    """
    restored = snapshot is not None and snapshot.kind == "memory"
    if source is None and not restored and not can_meet():
        yield
        return
    with private_folder(container.id) as folder:
        if snapshot is not None and restored:
            checkpoint.offer(folder, snapshot.path)
        try:
            if source is not None:
                source.listen(folder)
            yield
        finally:
            if source is not None:
                source.close()


@asynccontextmanager
async def opened(  # noqa: PLR0913, PLR0917 - what is left out is not there
    container: Container,
    asked: Asked,
    max_output_bytes: int,
    clock: WorkingClock | None = None,
    source: Source | None = None,
    snapshot: Snapshot | None = None,
    network: Network | None = None,
) -> AsyncIterator[Sandbox]:
    """Start a created container, hand it over locked down and ready, and end its pipe after.

    It begins as a snapshot if there is one, which then was given to `listening` as well. Deadlines
    go by the clock; while it is held, all in the sandbox stands still. Raises
    `NotAsAsked` if it is not locked down or its kernel does not report to the source that listens,
    `SandboxDied` if it does not come up, `NoSnapshot` if it cannot be what the snapshot is of.
    Removing the container is the caller's, who made it.
    """
    started = time.monotonic()
    if snapshot is not None:
        refuse_unless_fitting(snapshot, asked)
    restored = snapshot is not None and snapshot.kind == "memory"
    async with AsyncExitStack() as stack:
        attached = await container.attach()
        stack.push_async_callback(attached.close)
        pipe = Pipe(attached)
        heart = Heart(clock)
        supervisor = Supervisor(pipe, max_output_bytes, heart.clock.now_s)
        tasks = await stack.enter_async_context(beside())
        greeting = pid1.new_greeting()
        taking_over.leave_word(container.id, asked, greeting)
        if snapshot is not None and restored:
            await _restore(container, pipe, snapshot)
        else:
            await container.start()
            await attached.send(pid1.program(asked, greeting))
        tasks.start_soon(pipe.serve)
        tasks.start_soon(heart.beat, pipe)
        sandbox = Sandbox(container, supervisor, pipe, asked)
        if network is not None:
            sandbox.streams = carried(pipe, network, tasks)
        try:
            await sandbox.begin(snapshot if restored else None, greeting, network)
            if source is not None and not source.connected():
                raise NotAsAsked(
                    "the sandbox's kernel does not report to the kernel record. `agent-eval setup "
                    "--runtimes` may mend that; `sandbox.record: off` does without"
                )
        except SandboxDied as error:
            said = attached.stderr.decode(errors="replace")[-500:]
            told = f"the sandbox did not come up: {error} {said}".strip()
            raise await died_too_early(container, told) from error
        if snapshot is not None and not restored:
            await sandbox.lay_out(snapshot)
        if sandbox.streams is not None:
            sandbox.streams.admits = True
        sandbox.ready_s = time.monotonic() - started
        yield sandbox


async def _restore(container: Container, pipe: Pipe, snapshot: Snapshot) -> None:
    try:
        await container.start()
    except EngineUnavailable as error:
        raise NoSnapshot(f"the sandbox could not be restored from its snapshot: {error}") from error
    if not checkpoint.knows(container.id):
        raise NoSnapshot(
            "the runtime of gVisor started the sandbox anew instead of restoring it. It was "
            "registered by another version; type: agent-eval setup --runtimes"
        )
    if greeting := snapshot.about().get(taking_over.GREETING):
        await pipe.greet(greeting)
