"""What can be asked of PID 1, and the deadlines that hold when it does not answer.

The host's clock decides: an action past its time is interrupted, then its session is killed, then
the sandbox. What PID 1 reports is a claim; only that it did or did not report in time is a fact.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio

from agent_eval.basics.clock import SHORTEST_S
from agent_eval.errors import Blame, NoSnapshot, SandboxDied, ScenarioError
from agent_eval.sandbox.archive import MAX_ENTRIES, File, packed, unpacked
from agent_eval.sandbox.pipe import Channel, Pipe
from agent_eval.sandbox.settings import AUTHORITY, CAPABILITY_BITS, UID

LADDER = (("interrupt", 5.0), ("kill", 30.0))
"""What is tried on an action that does not end, and for how many seconds each.

PID 1 has no more of the processor than each of the processes that it is to end, and the sandbox may
be one of many on a busy machine. To lose a session costs the agent its work, and to lose the
sandbox a whole run, so both rungs are patient.
"""

NOTHING = {"bash": "true", "python": "None"}
"""Code that does nothing, in each kind of session."""

START_S = 60.0
"""Seconds a new session has to answer."""

OVER = ("ended", "error")
"""Reports after which a session is no more: PID 1 kills one for which it cannot do as ordered."""

ANSWER_S = 60.0
"""Seconds PID 1 has to answer what it does itself, or to come up; it tries for half as long."""

TRANSFER_S = 120.0
"""Seconds that files may take on their way; PID 1 ends a transfer before that."""

T = TypeVar("T")


@dataclass(frozen=True)
class Execution:
    """What one action did, as far as the host can tell."""

    output: bytes
    dropped_bytes: int
    duration_s: float
    rung: str
    """`none`, `interrupt` or `kill`: what it took to end it; `sandbox`: it ended with that."""
    cause: str | None
    """`timeout` or `output` when the harness stepped in; `died` or `cancelled` with the sandbox."""
    reported_exit: int | None
    session_lost: bool


class Supervisor:
    """The sandbox as its host commands it."""

    def __init__(
        self,
        pipe: Pipe,
        max_output_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        ladder: Sequence[tuple[str, float]] = LADDER,
    ) -> None:
        """`clock` gives the seconds that deadlines are measured by."""
        self._pipe = pipe
        self._clock = clock
        self._ladder = ladder
        self._max_output_bytes = max_output_bytes
        self._sessions: dict[str, Channel] = {}
        self.pids: dict[str, int] = {}
        """Which process PID 1 says each session is that it opened before somebody listened."""
        self.on_session: Callable[[str, int], None] = self.pids.__setitem__
        """Told the name of each new session and which process PID 1 says it is."""
        self._actions = 0

    def another(self) -> "Supervisor":
        """The same PID 1, commanded over the same pipe, with sessions apart from these."""
        return Supervisor(self._pipe, self._max_output_bytes, self._clock)

    async def kill_sessions(self) -> None:
        """End all sessions and what they started, without waiting for it."""
        for channel in self._sessions.values():
            await self._pipe.order("signal", channel=channel.number, rung="kill")
            self._pipe.forget(channel)
        self._sessions.clear()

    async def open(self, program: str) -> None:
        """Start a session, without waiting for it."""
        channel = self._pipe.channel(self._max_output_bytes)
        self._sessions[program] = channel
        await self._pipe.order("open", channel=channel.number, program=program)

    def sessions(self) -> dict[str, Any]:
        """What somebody has to know to go on with a copy of this sandbox, as JSON values."""
        channels = {program: channel.number for program, channel in self._sessions.items()}
        return {"channels": channels, "numbers": self._pipe.numbers, "actions": self._actions}

    def take_over(self, sessions: dict[str, Any]) -> None:
        """Go on with the sessions of a copy."""
        self._actions = sessions["actions"]
        for program, number in sessions["channels"].items():
            self._sessions[program] = self._pipe.adopt(number, self._max_output_bytes)
        self._pipe.numbers = sessions["numbers"]

    async def take_up(self, greeting: str) -> None:
        """Go on with what another harness had begun, after `Pipe.greet`; what it does is ended.

        From then on PID 1 answers to another greeting. Raises `NoSnapshot` if it does not.
        """
        try:
            await self._pipe.order("copying", what="take_up", channel=0, greeting=greeting)
            await self._found(await self._answer(None, START_S))
        except SandboxDied as error:
            raise NoSnapshot(
                f"the sandbox of the lost harness cannot be taken over: {error}. "
                "`agent-eval resume --redo` has its actions done again instead"
            ) from error

    async def _found(self, told: dict[str, Any]) -> None:
        self._pipe.numbers = _number(told.get("numbers")) or 0
        sessions = [one for one in _list(told.get("sessions")) if isinstance(one, dict)]
        for one in sessions:
            number, pid = _number(one.get("channel")), _number(one.get("pid"))
            program, action = str(one.get("program")), _number(one.get("action"))
            if program in NOTHING and number is not None and pid is not None:
                self._sessions[program] = self._pipe.adopt(number, self._max_output_bytes)
                self.on_session(program, pid)
                self._actions = max(self._actions, action or 0)
        for one in sessions:
            program, action = str(one.get("program")), _number(one.get("action"))
            if program in self._sessions and action is not None:
                await self._cut_off(program, action)

    async def _cut_off(self, program: str, action: int) -> None:
        """End an action that nobody waits for any more, and its session if need be."""
        channel = self._sessions[program]
        _, report = await self._end(channel, action, "timeout")
        if report["op"] in OVER:
            del self._sessions[program]
            self._pipe.forget(channel)
        channel.take()

    async def renew(self, environment: dict[str, str], greeting: str) -> None:
        """Let a copy be another than its original, as far as that can be."""
        channel = self._pipe.channel(0)
        seed = secrets.randbelow(2**15)
        fields = {"env": environment, "seed": seed, "greeting": greeting}
        fields |= {"channel": channel.number}
        await self._pipe.order("copying", what="renew", **fields)
        await self._answer(channel, START_S)
        self._pipe.forget(channel)

    async def settle(self, program: str) -> Execution:
        """Wait until a new session answers; what it prints as it starts goes no further."""
        return await self._run(program, NOTHING[program], START_S, self._max_output_bytes)

    async def execute(
        self, program: str, code: str, timeout_s: float, max_output_bytes: int
    ) -> Execution:
        """Run code in the session of that name, a new one if need be, until it ends or is ended.

        Where no new session comes up, the code was not run and that session's end is returned.
        """
        if program not in self._sessions:
            await self.open(program)
            started = await self.settle(program)
            if started.session_lost:
                return started
        return await self._run(program, code, timeout_s, max_output_bytes)

    def unfinished(self, program: str) -> tuple[bytes, int]:
        """Take what a session wrote since its last action ended, and how many bytes were dropped.

        For an action that never ended because the sandbox died or the run was cancelled.
        """
        channel = self._sessions.get(program)
        return channel.take() if channel else (b"", 0)

    async def _run(
        self, program: str, code: str, timeout_s: float, max_output_bytes: int
    ) -> Execution:
        channel = self._sessions[program]
        channel.room_bytes = max_output_bytes
        self._actions += 1
        action, started = self._actions, self._clock()
        await self._pipe.order("run", channel=channel.number, action=action, code=code)
        rung, cause = "none", None
        report = await self._ended(channel, action, timeout_s)
        if report is None:
            cause = "output" if channel.dropped_bytes else "timeout"
            rung, report = await self._end(channel, action, cause)
        lost = report["op"] in OVER
        if lost:
            del self._sessions[program]
            self._pipe.forget(channel)
        output, dropped = channel.take()
        return Execution(
            output=output,
            dropped_bytes=dropped,
            duration_s=self._clock() - started,
            rung=rung,
            cause=cause,
            reported_exit=_number(report.get("exit")),
            session_lost=lost,
        )

    async def _ended(self, channel: Channel, action: int, wait_s: float) -> dict[str, Any] | None:
        """The report that an action or its session ended; None if none came, or too much output."""

        async def end() -> dict[str, Any] | None:
            while report := await self._pipe.report(channel):
                if report.get("op") in OVER:
                    return report
                if report.get("op") == "opened":
                    self._opened(channel, _number(report.get("pid")))
                if report.get("op") == "done" and report.get("action") == action:
                    return report
            return None

        return await self._within(wait_s, end)

    async def _within(self, wait_s: float, wait: Callable[[], Awaitable[T]]) -> T | None:
        """What is waited for, or None after that many seconds of the clock.

        The clock may stand still meanwhile; what was waited for is then waited for again.
        """
        until = self._clock() + wait_s
        while (left_s := until - self._clock()) > 0:
            with anyio.move_on_after(max(left_s, SHORTEST_S)):
                return await wait()
        return None

    def _opened(self, channel: Channel, pid: int | None) -> None:
        for program, known in self._sessions.items():
            if known is channel and pid is not None:
                self.on_session(program, pid)

    async def _end(self, channel: Channel, action: int, cause: str) -> tuple[str, dict[str, Any]]:
        """Climb the ladder until the action ends; too much output starts at its second rung."""
        for rung, grace_s in self._ladder[1:] if cause == "output" else self._ladder:
            await self._pipe.order("signal", channel=channel.number, rung=rung)
            deadline = self._clock() + grace_s
            while (left_s := deadline - self._clock()) > 0:
                channel.dropped_bytes, dropped = 0, channel.dropped_bytes
                report = await self._ended(channel, action, left_s)
                channel.dropped_bytes += dropped
                if report is not None and (rung == "interrupt" or report["op"] in OVER):
                    return rung, report
        self._pipe.end("an action could not be ended, so the sandbox was", Blame.MODEL)
        raise self._pipe.died or SandboxDied("an action could not be ended")

    async def put(self, files: Sequence[File]) -> None:
        """Write files as the agent's user; raises `ScenarioError` if they do not go there."""
        channel = self._pipe.channel(64 * 1024)
        await self._pipe.order("put", channel=channel.number)
        await self._pipe.data(channel, packed(files, UID))
        await self._pipe.end_data(channel)
        report = await self._answer(channel, TRANSFER_S + len(files) / 100)
        self._pipe.forget(channel)
        if report.get("exit") != 0:
            said = channel.take()[0].decode(errors="replace").strip().splitlines()
            said = said[-1:] or [str(report.get("message", "it did not say why"))[:300]]
            told = f"files could not be put into the sandbox: {said}"
            if report.get("op") == "error":  # PID 1 could not even try
                raise SandboxDied(told)
            raise ScenarioError(
                f"{told}. See the scenario's `files`, and "
                "home_bytes, tmp_bytes and writable in `sandbox`"
            )

    async def get(self, paths: Sequence[str], max_bytes: int) -> tuple[list[File], list[str]]:
        """Regular files below the paths, and what was refused or missing, in words."""
        channel = self._pipe.channel(max_bytes + MAX_ENTRIES * 2048)
        order = {"paths": list(paths), "limit": max_bytes}
        await self._pipe.order("get", channel=channel.number, **order)
        report = await self._answer(channel, TRANSFER_S)
        self._pipe.forget(channel)
        data, dropped = channel.take()
        # In a thread: a hostile archive takes seconds, and other sandboxes have deadlines.
        files, refused = await anyio.to_thread.run_sync(unpacked, data, paths)
        if report.get("exit") != 0 or dropped:
            refused.append("not all of them were sent")
        return files, refused

    async def network(self, authority_pem: str, kept: Sequence[str]) -> None:
        """Have all connections led to the pipe; PID 1 keeps no other powers than those named."""
        channel = self._pipe.channel(0)
        keep = [CAPABILITY_BITS[name] for name in kept]
        trust = {"authority": authority_pem, "path": AUTHORITY}
        await self._pipe.order("network", channel=channel.number, keep=keep, **trust)
        report = await self._answer(channel, ANSWER_S)
        self._pipe.forget(channel)
        if report.get("op") != "up":
            said = str(report.get("message"))[:300]
            raise SandboxDied(
                f"the network of the sandbox does not come up: {said}. It takes iptables-legacy in "
                "the image and its nat table in the kernel"
            )

    async def freeze(self) -> int:
        """Stop every process of the agent; returns how many PID 1 says still move."""
        await self._pipe.order("freeze")
        report = await self._answer(None, ANSWER_S)
        return _number(report.get("moving")) or 0

    async def rename(self, title: str) -> None:
        """Let PID 1 go by another name in the list of processes, without waiting for it."""
        await self._pipe.order("rename", title=title)

    async def look(self, address: str) -> tuple[dict[str, Any], str]:
        """What root sees of its confinement, and what a child of the agent's user printed."""
        channel = self._pipe.channel(64 * 1024)
        await self._pipe.order("look", channel=channel.number, address=address)
        seen = await self._answer(channel, ANSWER_S)
        await self._answer(channel, ANSWER_S)
        self._pipe.forget(channel)
        root = seen.get("root")
        return root if isinstance(root, dict) else {}, channel.take()[0].decode(errors="replace")

    async def ready(self) -> str:
        """Wait until PID 1 says it is there; returns the version of its Python."""
        return str((await self._answer(None, ANSWER_S)).get("python"))

    async def _answer(self, channel: Channel | None, wait_s: float) -> dict[str, Any]:
        """The next report; empty if more data came than there is room for."""
        report = await self._within(wait_s, partial(self._pipe.report, channel))
        if report is None and channel is not None and channel.dropped_bytes:
            return {}  # it sent more than it was asked for, and its answer is not waited for
        if report is None:
            self._pipe.end(f"PID 1 did not answer within {wait_s:g} s", Blame.INFRASTRUCTURE)
            raise self._pipe.died or SandboxDied("PID 1 did not answer")
        if channel is None and report.get("op") == "error":
            said = str(report.get("message"))[:300]
            self._pipe.end(f"PID 1 could not do its work: {said!r}", Blame.INFRASTRUCTURE)
            raise self._pipe.died or SandboxDied("PID 1 could not do its work")
        return report


def _number(value: Any) -> int | None:
    """A small whole number, or nothing: what a sandbox says is not to be relied on."""
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if number and abs(value) < 2**31 else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
