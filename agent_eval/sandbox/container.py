"""One sandbox from creation to removal: the parts of this package put together.

Used by `run`. Entering starts it, proves that it is locked down and that both sessions answer;
leaving removes it, whatever happened in between.
"""

import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeVar

from agent_eval.clock import SILENCE_S, WorkingClock
from agent_eval.errors import Blame, NotAsAsked, SandboxDied
from agent_eval.resources import shipped
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.audit import OUTSIDE, audit, refuse_unless_ok
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.heart import Heart
from agent_eval.sandbox.kernel import Source, private_folder
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.recorder import Recorder
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import ENVIRONMENT, GID, UID, Asked
from agent_eval.sandbox.supervisor import Execution, Supervisor
from agent_eval.scenario import HOME
from agent_eval.tasks import beside

BOOTSTRAP = (
    "import os,select,json\n"
    # In a namespace that is not its own, stopping every process would stop the host's.
    "if os.getpid()!=1:raise SystemExit('not process 1 of a namespace of its own')\n"
    "def r(n):\n"
    " b=b''\n"
    " while len(b)<n:\n"
    "  select.select([0],[],[]);b+=os.read(0,n-len(b))\n"
    " return b\n"
    "s=json.loads(r(int(r(8))))\n"
    "exec(compile(s.pop('program'),'init','exec'),{'SETTINGS':s,'__name__':'__main__'})\n"
)
"""What the container is started with: it reads the supervisor from the pipe and becomes it."""

TITLE = "init"
"""What PID 1 is called in the list of processes inside."""

PROGRAMS = ("bash", "python")
"""The sessions every sandbox has."""

T = TypeVar("T")

COMMAND = ["python3", "-u", "-c", BOOTSTRAP]


def program_digest() -> str:
    """SHA-256 of the supervisor and what comes with it, as hexadecimal."""
    whole = "".join(map(_source, ("init.py", "stillness.py", "errands.py", "python_session.py")))
    return hashlib.sha256(whole.encode()).hexdigest()


def _source(name: str) -> str:
    return shipped("sandbox").joinpath("init", name).read_text(encoding="utf-8")


class Sandbox:
    """A running sandbox."""

    def __init__(self, container: Container, supervisor: Supervisor, pipe: Pipe) -> None:
        self.id = container.id
        self.audit: list[Row] = []
        self.ready_s = 0.0
        self._container = container
        self._supervisor = supervisor
        self._pipe = pipe
        self._recorder: Recorder | None = None

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
        self._recorder.begin(program, cause)
        try:
            return await self._execute(program, code, timeout_s, max_output_bytes)
        finally:
            self._recorder.take()

    async def _execute(
        self, program: str, code: str, timeout_s: float, max_output_bytes: int
    ) -> Execution:
        return await self._explained(
            self._supervisor.execute(program, code, timeout_s, max_output_bytes)
        )

    @asynccontextmanager
    async def recorded(self, recorder: Recorder) -> AsyncIterator[None]:
        """Have what its kernel tells put on record while the block runs.

        Raises `RecordBroken` or `LimitReached` in the block when that can go on no longer.
        """
        recorder.open()
        for program, pid in self._supervisor.pids.items():
            recorder.session(program, pid)
        self._supervisor.on_session = recorder.session
        self._recorder = recorder
        async with beside() as tasks:
            tasks.start_soon(recorder.serve, self._container.runs)
            yield

    def unfinished(self, program: str) -> tuple[bytes, int]:
        """What came of an action that never ended, and how many bytes of it were dropped."""
        return self._supervisor.unfinished(program)

    async def put(self, files: Sequence[File]) -> None:
        """Write files as the agent's user, before it acts: raises what is not its fault."""
        try:
            await self._supervisor.put(files)
        except SandboxDied as error:
            raise await _died_too_early(self._container, f"the sandbox died: {error}") from error

    async def get(self, paths: Sequence[str], max_bytes: int) -> tuple[list[File], list[str]]:
        """Regular files below the paths, and what was refused or is missing."""
        return await self._explained(self._supervisor.get(paths, max_bytes))

    async def freeze(self) -> int:
        """Stop all that the agent runs, for good; returns how many processes still move."""
        return await self._explained(self._supervisor.freeze())

    async def _explained(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except SandboxDied as error:
            words, blame = await self._container.why_dead()
            if error.blame is Blame.MODEL and blame is not Blame.INFRASTRUCTURE:
                blame = Blame.MODEL
            raise SandboxDied(f"the sandbox died: {error}; {words}", blame) from error


@contextmanager
def listening(source: Source | None, container: Container) -> Iterator[None]:
    """Have a source of kernel facts listen; to be entered before the container starts."""
    if source is None:
        yield
        return
    with private_folder(container.id) as folder:
        try:
            source.listen(folder)
            yield
        finally:
            source.close()


@asynccontextmanager
async def opened(
    container: Container,
    asked: Asked,
    max_output_bytes: int,
    clock: WorkingClock | None = None,
    source: Source | None = None,
) -> AsyncIterator[Sandbox]:
    """Start a created container, hand it over locked down and ready, and end its pipe after.

    Deadlines go by the clock; while it is held, all in the sandbox stands still. Raises
    `NotAsAsked` if it is not locked down or its kernel does not report to the source that listens,
    `SandboxDied` if it does not come up. Removing the container is the caller's, who made it.
    """
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        attached = await container.attach()
        stack.push_async_callback(attached.close)
        pipe = Pipe(attached)
        heart = Heart(clock)
        supervisor = Supervisor(pipe, max_output_bytes, heart.clock.now_s)
        tasks = await stack.enter_async_context(beside())
        await container.start()
        await attached.send(_program(asked))
        tasks.start_soon(pipe.serve)
        tasks.start_soon(heart.beat, pipe)
        sandbox = Sandbox(container, supervisor, pipe)
        try:
            sandbox.audit = await _prove(supervisor, container, asked)
            if source is not None and not source.connected():
                raise NotAsAsked(
                    "the sandbox's kernel does not report to the kernel record. `agent-eval setup "
                    "--runtimes` may mend that; `sandbox.record: off` does without"
                )
        except SandboxDied as error:
            said = attached.stderr.decode(errors="replace")[-500:]
            told = f"the sandbox did not come up: {error} {said}".strip()
            raise await _died_too_early(container, told) from error
        sandbox.ready_s = time.monotonic() - started
        yield sandbox


async def _died_too_early(container: Container, told: str) -> SandboxDied:
    """A death before the agent's first action, which cannot be the model's doing.

    Where that took too much memory, it is the scenario that gives too little.
    """
    words, blame = await container.why_dead()
    blame = Blame.SCENARIO if blame is Blame.LIMIT else Blame.INFRASTRUCTURE
    return SandboxDied(f"{told}; {words}", blame)


def _program(asked: Asked) -> bytes:
    settings = {
        "program": _source("init.py"),
        "stillness": _source("stillness.py"),
        "errands": _source("errands.py"),
        "python_session": _source("python_session.py"),
        "uid": UID,
        "gid": GID,
        "home": HOME,
        "env": ENVIRONMENT | {"HOSTNAME": asked.hostname},
        "rlimits": asked.rlimits(),
        "silence_s": SILENCE_S,
    }
    data = json.dumps(settings).encode()
    return f"{len(data):8d}".encode() + data


async def _prove(supervisor: Supervisor, container: Container, asked: Asked) -> list[Row]:
    """Start both sessions, audit while they come up, and let each answer once."""
    await supervisor.ready()
    for program in PROGRAMS:
        await supervisor.open(program)
    await supervisor.rename(TITLE)
    root, child = await supervisor.look(OUTSIDE)
    rows = audit(asked, await container.stated(), root, child)
    refuse_unless_ok(rows)
    for program in PROGRAMS:
        answer = await supervisor.settle(program)
        if answer.session_lost or answer.reported_exit != 0:
            said = answer.output.decode(errors="replace")[-300:]
            raise NotAsAsked(
                f"the {program} session does not answer in image {asked.image}: {said!r}. An "
                "image needs bash and Python 3.8 or later on its PATH"
            )
    return rows
