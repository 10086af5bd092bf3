"""A run whose subject is another program: started once, metered at the gateway, ended with itself.

    on record ─► command ⇄ the world's language-model API (the run's budget pays) ─► exit ─► answer

Its calls of the model are the run's steps. What it does in between, only its kernel record tells,
so there is no such run without one. A limit that a call reaches, and a model that cannot be asked,
end the run: a program that is refused could go on for ever, and that would say nothing of it.
"""

import shlex
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

import anyio

from agent_eval.agent.taking_up import end_of
from agent_eval.basics.tasks import beside
from agent_eval.errors import AgentEvalError, LimitReached, SandboxDied, Stopped
from agent_eval.events.kinds import ActionStarted
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.supervisor import Execution
from agent_eval.scenario.model import HOME, Scenario
from agent_eval.world.services.thinking import Thinking
from agent_eval.world.world import World

LONGEST_S = 86400.0
"""What a program may take where no limit is set."""

LOOK_S = 0.2
"""How often it is looked whether a person ends the run."""

ENDS = {"timeout": "tool_s", "output": "output_bytes"}
"""The limits that end a program, by why the sandbox ended it."""


class Thinks(Protocol):
    """What is needed of the language-model API."""

    thinking: Thinking


@dataclass
class Failures:
    """What kept the model from answering, for the run to end of it."""

    first: AgentEvalError | None = None
    there: anyio.Event = field(default_factory=anyio.Event)

    def __call__(self, error: AgentEvalError) -> None:
        """The first one counts."""
        if self.first is None:
            self.first = error
            self.there.set()

    async def raised(self) -> None:
        """Wait for one, and raise it."""
        await self.there.wait()
        assert self.first is not None
        raise self.first


@dataclass(frozen=True)
class Ended:
    """How a program came to its end, as its sandbox says."""

    reported_exit: int | None
    answer: str


@dataclass(frozen=True)
class Program:
    """The subject of one run."""

    scenario: Scenario
    account: Account
    sandbox: Sandbox
    transcript: Transcript
    steering: Steering

    async def to_its_end(self, world: World) -> Ended:
        """Run it; raises what ends it before its own end."""
        failures = Failures()
        api: Thinks = world.services["lm"]  # type: ignore[assignment]
        api.thinking.told = failures
        await self.steering.going()
        async with beside() as tasks:
            tasks.start_soon(failures.raised)
            tasks.start_soon(self._stopped)
            done = await self._done()
        if done.cause in ENDS:
            limit = ENDS[done.cause]
            raise LimitReached(limit, f"{limit}: the program was stopped at it")
        lines = done.output.decode("utf-8", "replace").strip().splitlines()
        return Ended(done.reported_exit, lines[-1].strip() if lines else "")

    async def _stopped(self) -> None:
        while not self.steering.stopping:  # noqa: ASYNC110 - a person is not in a hurry
            await anyio.sleep(LOOK_S)
        raise Stopped("a person ended the run while the program was at work")

    async def _done(self) -> Execution:
        """The command as one action: on record before and after, whatever ends it."""
        room = int(self._free("output_bytes", int(self.scenario.actions.max_output_bytes)))
        timeout_s = self._free("tool_s", LONGEST_S)
        most = Amounts(tool_s=Decimal(str(timeout_s)), output_bytes=room)
        hold = self.account.reserve(most)
        code = self._code()
        started = ActionStarted(1, 0, "bash", {"code": code}, timeout_s=timeout_s)
        clock, error = self.steering.clock, None
        try:
            self.transcript.write(started, self.account.name)
            began_s = clock.now_s()
            try:
                cause = Cause(1, self.account.name)
                done = await self.sandbox.execute("bash", code, timeout_s, room, cause)
            except BaseException as caught:  # noqa: BLE001 - raised when its end is on record
                done, error = self._unfinished(clock.now_s() - began_s, caught), caught
            written = len(done.output) + done.dropped_bytes
            most = Amounts(tool_s=Decimal(f"{done.duration_s:.6f}"), output_bytes=written)
        finally:
            hold.settle(most)
        redactor = self.transcript.redactor
        take_out = redactor.cut if done.dropped_bytes or error else redactor.data
        done = replace(done, output=take_out(done.output))
        self.transcript.write(end_of(1, done, most, self.transcript), self.account.name)
        if error is not None:
            raise error
        return done

    def _unfinished(self, lasted_s: float, error: BaseException) -> Execution:
        output, dropped_bytes = self.sandbox.unfinished("bash")
        why = "died" if isinstance(error, SandboxDied) else "cancelled"
        return Execution(
            output=output,
            dropped_bytes=dropped_bytes,
            duration_s=lasted_s,
            rung="sandbox",
            cause=why,
            reported_exit=None,
            session_lost=True,
        )

    def _free(self, name: str, most: float) -> float:
        free = self.account.free(name)
        return most if free is None else min(most, float(free))

    def _code(self) -> str:
        """What bash is given: the environment, and the command on its own."""
        subject, world = self.scenario.subject, self.scenario.world
        assert subject is not None
        assert world is not None
        assert world.lm is not None
        lm = world.lm
        account = lm.accounts[subject.account or next(iter(lm.accounts))]
        given = {
            "OPENAI_BASE_URL": f"https://{lm.host}/v1",
            "OPENAI_API_KEY": next(iter(account.keys.values())),
            "MODEL": lm.models[0],
            "TASK": self.scenario.task,
        }
        said = " ".join(f"{name}={shlex.quote(value)}" for name, value in given.items())
        return f"(cd {HOME} && exec env {said} bash -c {shlex.quote(subject.command)}) </dev/null"
