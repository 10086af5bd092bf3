"""Trees of agents in memory: the real loop, ledger and record; only sandbox and model stand in."""

import json
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import anyio
from anyio.lowlevel import checkpoint

from agent_eval.agent.instructions import read_instructions
from agent_eval.agent.loop import Agent, converse
from agent_eval.basics.conversation import Reply, Request, Usage
from agent_eval.models.base import Model
from agent_eval.models.control import Control, Turn
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, limits_of
from agent_eval.record.prices import FREE, PriceCard
from agent_eval.record.reading import read_events
from agent_eval.record.redact import NOTHING
from agent_eval.record.transcript import Transcript
from agent_eval.run.copies import Copies, Setting
from agent_eval.run.housing import Housing
from agent_eval.run.plan import Plan
from agent_eval.run.seeds import Calendar
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.supervisor import Execution
from tests.helpers import SandboxInMemory, loaded

Script = Generator[Turn, str, None]


@dataclass
class SharedInMemory(SandboxInMemory):
    """A sandbox in memory that copies share; what is done in it takes a few turns of the loop."""

    id: str = "in-memory"
    waits: int = 0
    death: Exception | None = None
    """What it dies of, at once when this is set."""

    @asynccontextmanager
    async def shared(self, agent: str) -> AsyncIterator["SharedInMemory"]:
        """The same one, and that an agent was in it."""
        self.seen.append(("shared", agent, 0, 0))
        yield self

    async def execute(
        self,
        program: str,
        code: str,
        timeout_s: float,
        max_output_bytes: int,
        cause: Cause | None = None,
    ) -> Execution:
        """As any in memory; `wait` never ends."""
        for _ in range(self.waits):
            await checkpoint()
        if code == "wait":
            await anyio.sleep_forever()
        done = await super().execute(program, code, timeout_s, max_output_bytes, cause)
        return replace(done, output=done.output[:max_output_bytes])

    async def gone(self) -> None:
        """When it dies."""
        while self.death is None:  # noqa: ASYNC110 - a test sets it whenever it likes
            await anyio.sleep(0.01)
        raise self.death


class Talkative(Control):
    """A control whose server takes its time, and may bill more than it was allowed."""

    def __init__(
        self, script: Callable[[str], Script], extra: Sequence[int] = (), price: PriceCard = FREE
    ) -> None:
        """`extra` has the tokens beyond the limit of a reply, for one call after the other."""
        super().__init__("script", script)
        self.price = price
        self._extra = list(extra)
        self._asked = [0]

    def of_copy(self, agent: str) -> "Talkative":
        """The same script, at the same server."""
        copy = Talkative(self._script, price=self.price or FREE)
        copy._extra, copy._asked = self._extra, self._asked
        return copy

    async def complete(self, request: Request) -> Reply:
        """The script's turn, after a while, with the bill that was drawn for it."""
        place = self._asked[0]
        self._asked[0] += 1
        for _ in range(place % 4):
            await checkpoint()
        reply = await super().complete(request)
        extra = self._extra[place % len(self._extra)] if self._extra else 0
        if not extra:
            return reply
        written = int(request.arguments["max_tokens"]) + extra
        return Reply(reply.text, reply.calls, usage=Usage(50, written), finish_reason="stop")


@dataclass
class Whole:
    """A tree of agents in one sandbox, and where it is recorded."""

    first: Agent
    copies: Copies
    run: Path
    steering: Steering

    async def answer(self) -> str:
        """The whole conversation of the first agent."""
        with self.first.asking.transcript:
            self.first.begin()
            return await converse(self.first)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What is on record, of some kinds or all."""
        return [event for event in read_events(self.run) if event["kind"] in kinds or not kinds]

    def ended(self) -> dict[str, dict[str, Any]]:
        """How each copy ended."""
        return {event["agent"]: event["outcome"] for event in self.events("agent.ended")}

    def told(self, agent: str = "0") -> list[str]:
        """What an agent read back from its tools."""
        return [
            event["message"]["content"]
            for event in self.events("message")
            if event["agent"] == agent and event["message"]["role"] == "tool"
        ]

    def check_books(self) -> None:
        """Nobody is alive, nothing is set aside, and the record adds up to what was spent."""
        account = self.first.asking.account
        assert not any(vars(account.reserved).values())
        assert not account.granted
        total: dict[str, float] = {}
        for event in self.events():
            for name, amount in event.get("settled", {}).items():
                total[name] = total.get(name, 0) + amount
        spent = account.spent.record()
        for name in {*total, *spent}:
            assert abs(total.get(name, 0) - spent.get(name, 0)) < 1e-6, name
        started = [event["agent"] for event in self.events("agent.started")]
        assert len(started) == len(set(started))
        assert sorted(started) == sorted(self.ended()), "each copy that began has its end"
        assert len(self.events("agent.ended")) == len(started)


def family(
    parent: Path,
    mind: Model | Callable[[str], Script],
    sandbox: SharedInMemory | None = None,
    delegation: dict[str, Any] | None = None,
    **fields: Any,
) -> Whole:
    """A tree of agents; a function in the place of a model is a control's script."""
    caps = {"max_depth": 3, "start": "shared", **(delegation or {})}
    scenario = loaded(parent, delegation=caps, **fields)
    model = Control("script", mind) if callable(mind) else mind
    steering = Steering()
    run = parent / "run"
    plan = Plan(scenario, model, read_instructions(scenario), parent, [], {}, redactor=NOTHING)
    setting = Setting(
        plan,
        scenario.scenario,
        Calendar(None, datetime.now(UTC)),
        Transcript.create(run, NOTHING),
        steering,
        cast("Housing", None),  # all of them live in the one that is there
    )
    copies = Copies(setting)
    account = Account("0", limits_of(scenario.scenario.budget.model_dump()))
    first = copies.agent(account, cast("Sandbox", sandbox or SharedInMemory()), model)
    return Whole(first, copies, run, steering)


def plays(task: str) -> Script:
    """A script that does what its task says: `[[ACTION, ...], ...]`, as JSON, one list a turn.

    An action is `["bash", CODE]`, `["delegate", TURNS, BUDGET]` or `["fail"]`.
    """
    for turn in json.loads(task) if task.startswith("[") else []:
        calls: list[tuple[str, dict[str, Any]]] = []
        for what, *given in turn:
            if what == "fail":
                calls.append(("none", {}))
            elif what == "bash":
                calls.append(("bash", {"command": given[0]}))
            else:
                wanted = {"budget": given[1]} if given[1] else {}
                calls.append(("delegate", {"task": json.dumps(given[0]), **wanted}))
        yield Turn("", tuple(calls))
    yield Turn("", (("submit", {"answer": f"did {task[:40]}"}),))
