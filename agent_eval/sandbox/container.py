"""One sandbox while it runs, and all that can be done with it; `opening` is how it comes up."""

import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio

from agent_eval.basics.tasks import beside
from agent_eval.errors import (
    Blame,
    NoSnapshot,
    SandboxDied,
    ScenarioError,
)
from agent_eval.sandbox import checkpoint, moving, taking_over
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.lineage import Cause, Lineage
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.proving import audited, proven
from agent_eval.sandbox.quiet import Quiet
from agent_eval.sandbox.recorder import Recorder
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import AUTHORITIES, RUN, Asked, size_of
from agent_eval.sandbox.snapshot import (
    ARCHIVE,
    Kind,
    Snapshot,
    Snapshots,
    needs,
)
from agent_eval.sandbox.streams import Streams
from agent_eval.sandbox.supervisor import Execution, Supervisor

QUIET_S = 60.0
"""Seconds that a snapshot waits for what others have under way in the sandbox."""

HOLD_S = 10.0
"""Seconds PID 1 has to fall silent for one."""

T = TypeVar("T")


class Sandbox:
    """A running sandbox."""

    def __init__(
        self, container: Container, supervisor: Supervisor, pipe: Pipe, asked: Asked
    ) -> None:
        self.id = container.id
        self.audit: list[Row] = []
        self.ready_s = 0.0
        self.left_out = 0
        """Files of a snapshot that could not be made here; 100 are as many or more."""
        self._container = container
        self._supervisor = supervisor
        self._pipe = pipe
        self._asked = asked
        self._quiet = Quiet()
        self._lineage: dict[str, Any] | None = None
        self.streams: Streams | None = None
        """Those of its network, if it has one."""
        self._recorder: Recorder | None = None
        self._mark = ""
        """What its sessions are called apart by in the kernel record, where others share it."""

    async def execute(
        self,
        program: str,
        code: str,
        timeout_s: float,
        max_output_bytes: int,
        cause: Cause | None = None,
    ) -> Execution:
        """Run code in a persistent session; raises `SandboxDied` with who is to blame.

        What its programs did for that cause is on record when this returns or raises.
        """
        if self._recorder is None or cause is None:
            return await self._execute(program, code, timeout_s, max_output_bytes)
        self._recorder.begin(self._mark + program, cause)
        try:
            return await self._execute(program, code, timeout_s, max_output_bytes)
        finally:
            self._recorder.take()

    async def _execute(
        self, program: str, code: str, timeout_s: float, max_output_bytes: int
    ) -> Execution:
        async with self._quiet.busy():
            return await self._explained(
                self._supervisor.execute(program, code, timeout_s, max_output_bytes)
            )

    @asynccontextmanager
    async def recorded(self, recorder: Recorder) -> AsyncIterator[None]:
        """Have what its kernel tells put on record while the block runs.

        Raises `RecordBroken` or `LimitReached` in the block when that can go on no longer.
        """
        recorder.open()
        if self._lineage is not None:
            recorder.lineage = Lineage.of(self._lineage)
        for program, pid in self._supervisor.pids.items():
            recorder.session(program, pid)
        self._supervisor.on_session = recorder.session
        self._recorder = recorder
        async with beside() as tasks:
            tasks.start_soon(recorder.serve, self._container.runs)
            yield

    @asynccontextmanager
    async def shared(self, agent: str) -> AsyncIterator["Sandbox"]:
        """The same sandbox for another agent, with sessions of its own that end with the block.

        What its sessions left running, in groups of their own, goes on as the first agent's would.
        """
        supervisor = self._supervisor.another()
        sandbox = Sandbox(self._container, supervisor, self._pipe, self._asked)
        sandbox._quiet = self._quiet
        if self._recorder is not None:
            sandbox._recorder, sandbox._mark = self._recorder, f"{agent}:"
            told = self._recorder.session
            supervisor.on_session = lambda program, pid: told(f"{agent}:{program}", pid)
        try:
            yield sandbox
        finally:
            with anyio.CancelScope(shield=True), suppress(SandboxDied):
                await supervisor.kill_sessions()

    async def gone(self) -> None:
        """Wait until it is gone; raises `SandboxDied` with who is to blame then."""
        await self._explained(self._end())

    async def _end(self) -> None:
        raise await self._pipe.over()

    async def dial(self, port: int) -> socket.socket:
        """Connect to a port inside that is not for its own programs alone.

        The socket is the caller's, does not block, and ends with the sandbox. Raises
        `ConnectionRefusedError` if nobody listens.
        """
        if self.streams is None:
            raise ConnectionRefusedError("the sandbox has no network")
        return await self.streams.dial(port)

    def unfinished(self, program: str) -> tuple[bytes, int]:
        """What came of an action that never ended, and how many bytes of it were dropped."""
        return self._supervisor.unfinished(program)

    async def put(self, files: Sequence[File]) -> None:
        """Write files as the agent's user, before it acts: raises what is not its fault."""
        try:
            async with self._quiet.busy():
                await self._supervisor.put(files)
        except SandboxDied as error:
            raise await died_too_early(self._container, f"the sandbox died: {error}") from error

    async def take_in(self, files: Sequence[File]) -> None:
        """Write files as the agent's user while it may do anything, against them as well.

        Raises `ScenarioError` where they do not go there, and then it goes on.
        """
        try:
            async with self._quiet.busy():
                await self._supervisor.put(files)
        except SandboxDied as error:
            if self._pipe.died is None:  # PID 1 could not even try, for the agent left it no room
                raise ScenarioError(str(error)) from error
            await self.gone()

    async def get(self, paths: Sequence[str], max_bytes: int) -> tuple[list[File], list[str]]:
        """Regular files below the paths, and what was refused or is missing."""
        async with self._quiet.busy():
            return await self._explained(self._supervisor.get(paths, max_bytes))

    @property
    def best_kind(self) -> Kind:
        """The kind of snapshot that holds most of what can be kept of it."""
        return "files" if checkpoint.hindrance(self._asked, self.id) else "memory"

    async def snapshot(self, store: Snapshots, kind: Kind) -> Snapshot:
        """Keep what it is now, between two actions; it goes on meanwhile, or right after.

        Raises `NoSnapshot`, and then it goes on, too, or `SandboxDied`.
        """
        if kind == "memory" and (why := checkpoint.hindrance(self._asked, self.id)):
            raise NoSnapshot(f"no snapshot with memory can be taken: {why}")
        with store.making() as folder:
            try:
                async with self._quiet.kept(QUIET_S):
                    about = await self._explained(self._saved(folder, kind))
            except TimeoutError as error:
                raise NoSnapshot("the sandbox was busy for too long to be saved") from error
            about |= {"needs": needs(self._asked), "hostname": self._asked.hostname}
            return await anyio.to_thread.run_sync(store.keep, folder, kind, about)

    async def _saved(self, folder: Path, kind: Kind) -> dict[str, Any]:
        """Put all that it is into a folder; returns what else has to be known."""
        if kind == "files":
            room = {path: size_of(options) for path, options in self._asked.tmpfs.items()}
            for own in (RUN, AUTHORITIES):
                room.pop(own, None)
            with folder.joinpath(ARCHIVE).open("wb") as file:
                left = await moving.save(self._pipe, list(room), sum(room.values()), file)
            return {"left_out": left}
        async with self._pipe.held(HOLD_S):
            before = self._family()
            await checkpoint.save(self.id, folder)
            family = self._family()
            # Whoever was there at some time meanwhile: the moment itself is not known.
            family["causes"] |= before["causes"]
            family["of_pid_1"] += before["of_pid_1"]
            return {"sessions": self._supervisor.sessions(), "lineage": family}

    def _family(self) -> dict[str, Any]:
        """Who caused which process, for the kernel record of a copy."""
        if self._recorder is not None:
            self._recorder.take()
            return self._recorder.lineage.record()
        pids = self._supervisor.pids
        return {"causes": {}, "of_pid_1": list(pids.values()), "sessions": dict(pids)}

    async def begin(
        self, restored: Snapshot | None, greeting: str, network: Network | None
    ) -> None:
        """Come up, anew or as what it was restored from, and be audited before anything runs."""
        if restored is None:
            await self._supervisor.ready()
        else:
            await self.begin_as(restored, greeting)
        if network is not None:
            await self._supervisor.network(network.authority_pem, self._asked.kept)
        prove = proven if restored is None else audited
        self.audit = await prove(self._supervisor, self._container, self._asked)

    async def begin_as(self, snapshot: Snapshot, greeting: str) -> None:
        """Be what a snapshot with memory was, which it has been restored from.

        One that was taken over is the same sandbox still, unless it gets another name.
        """
        about = snapshot.about()
        own = self._asked.hostname
        self._lineage = about["lineage"]
        if taking_over.GREETING in about:
            await self._supervisor.take_up(greeting)
        else:
            self._supervisor.take_over(about["sessions"])
        if about["hostname"] != own or taking_over.GREETING not in about:
            await self._supervisor.renew({"HOSTNAME": own}, greeting)
        if about["hostname"] != own:
            await checkpoint.name_host(self.id, own)

    async def lay_out(self, snapshot: Snapshot) -> None:
        """Have the files that a snapshot has."""
        with snapshot.path.joinpath(ARCHIVE).open("rb") as file:
            size_bytes = snapshot.size_bytes
            self.left_out = await self._explained(moving.lay_out(self._pipe, file, size_bytes))

    async def freeze(self) -> int:
        """Stop all that the agent runs, for good; returns how many processes still move.

        What its programs did until then is on record when this returns.
        """
        moving = await self._explained(self._supervisor.freeze())
        if self._recorder is not None:
            self._recorder.take()
        return moving

    async def _explained(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except SandboxDied as error:
            words, blame = await self._container.why_dead()
            if error.blame is Blame.MODEL and blame is not Blame.INFRASTRUCTURE:
                blame = Blame.MODEL
            raise SandboxDied(f"the sandbox died: {error}; {words}", blame) from error


async def died_too_early(container: Container, told: str) -> SandboxDied:
    """A death before the agent's first action, which cannot be the model's doing.

    Where that took too much memory, it is the scenario that gives too little.
    """
    words, blame = await container.why_dead()
    blame = Blame.SCENARIO if blame is Blame.LIMIT else Blame.INFRASTRUCTURE
    return SandboxDied(f"{told}; {words}", blame)
