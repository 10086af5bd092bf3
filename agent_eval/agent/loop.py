"""The read-execute-print loop, and what one agent can do in it.

`converse` is the whole program that a model is wrapped in. Nothing is done before it is on record
and paid for, and nothing is seen before what happened is on record. Errors rise to `run`, which
alone decides what they mean.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

import anyio.lowlevel

from agent_eval.agent.actions import (
    Action,
    Delegate,
    Malformed,
    Run,
    Submit,
    action_of,
    shown,
    side_by_side,
)
from agent_eval.agent.asking import Asking
from agent_eval.agent.delegate import Family
from agent_eval.agent.instructions import Instructions
from agent_eval.agent.taking_up import INTERRUPTED, end_of, execution_of, observed, reply_in
from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Message, Reply, ToolCall
from agent_eval.errors import GaveUp, LimitReached, SandboxDied, Stopped
from agent_eval.events.event import Event
from agent_eval.events.kinds import ActionRefused, ActionStarted, MessageAdded, Submitted
from agent_eval.models.fenced import calls_in
from agent_eval.person.oversight import Answered, Nobody, Oversight, Person
from agent_eval.record.budget import Amounts
from agent_eval.record.rebuild import AgentState
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.supervisor import Execution
from agent_eval.scenario.approval import Suspicion
from agent_eval.scenario.model import Scenario


async def converse(agent: "Agent", state: AgentState | None = None) -> str:
    """Read, execute, print, until the agent hands in its answer or a limit ends it.

    `state` is where it stood, if it is taken up again.
    """
    actions = await agent.take_up(state)
    while True:
        if actions is None:
            actions = agent.actions_in(await agent.ask())
            await agent.count_idle(actions)
        left, actions = actions, None
        for turn in side_by_side(left):
            allowed = [await agent.oversight.allowed(wanted) for wanted in turn]
            told = await agent.delegate([one for one in allowed if isinstance(one, Delegate)])
            for action in allowed:
                match action:
                    case Delegate():
                        await agent.hear_of(action, next(told))
                    case Submit():
                        return agent.submit(action)
                    case Run():
                        await agent.execute(action)
                    case Malformed():
                        agent.complain(action)
                    case Answered():
                        agent.answer(action)


class Executes(Protocol):
    """What an agent needs of a sandbox."""

    async def execute(
        self,
        program: str,
        code: str,
        timeout_s: float,
        max_output_bytes: int,
        cause: Cause | None = None,
    ) -> Execution:
        """Run code in a persistent session."""

    def unfinished(self, program: str) -> tuple[bytes, int]:
        """What has come of an action that never ended, and how many bytes were dropped."""

    async def gone(self) -> None:
        """Wait until it is gone; raises `SandboxDied` then."""


@dataclass
class Agent:
    """One agent: a model with a conversation, an account, a sandbox and a place in the record."""

    asking: Asking
    scenario: Scenario
    instructions: Instructions
    sandbox: Executes
    stopping: Callable[[], bool] = lambda: False
    """Whether a person wants the run to end after the current step."""
    person: Person = field(default_factory=Nobody)
    """Who decides, where the scenario has actions wait for a person."""
    family: Family[Any] | None = None
    """The tree of agents; None where there are no copies."""
    opening: tuple[str, str] | None = None
    """Frame and task, where they are not the first agent's."""
    between: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
    """What is done before each step."""
    suspicious: Suspicion | None = None
    """Tries the rules by which actions wait for a person."""
    handed_over: tuple[str, ...] = ()
    """Paths of the files that go with the answer."""
    _actions: int = 0
    _asked_for: int = 0
    """Actions that the last reply asked for."""
    _idle: int = 0
    _submitted: bool = False
    """Whether its answer is on record already."""

    def __post_init__(self) -> None:
        self._account = self.asking.account
        self._fenced = self.scenario.model.tool_format == "fenced"
        self._redactor = self.asking.transcript.redactor
        rule, tools = self.scenario.approve, self.scenario.offered
        self.oversight = Oversight(self.asking, rule, self.person, tools, self.suspicious)

    def record(self, event: Event) -> None:
        """Put an event of this agent on record."""
        self.asking.record(event)

    def begin(self) -> None:
        """Open the conversation with the frame and the task, as far as that is still to be done."""
        frame, task = self.opening or (self.instructions.system, self.scenario.task)
        opening = words.system(frame), words.user(task)
        for message in opening[len(self.asking.conversation.messages) :]:
            self.hear(message)

    async def take_up(self, state: AgentState | None) -> list[Action] | None:
        """Begin, or go on from where a record ends; returns what is left of its last reply."""
        if state is None:
            self.begin()
            return None
        self.asking.take_up(state)
        self._actions, self._idle = state.actions, state.idle
        self._submitted = state.answer is not None
        self.oversight.take_up(state)
        if state.reply is None:
            self.begin()
            return None
        actions = self.actions_in(reply_in(state.reply))
        left = actions[observed(state) :]
        if not (state.heard or state.done or state.refused):
            self._idle -= 1  # it is counted now
            await self.count_idle(actions)
        elif any(not isinstance(action, Malformed) for action in actions):
            self._idle = 0
        if left and left[0].call.id in state.done:
            started, ended = state.done[left[0].call.id]
            done = execution_of(self.asking.transcript.folder, ended)
            await self._show(left.pop(0).call, done, started["timeout_s"])
        return left or None

    def hear(self, message: Message) -> None:
        """Add a message that the model will see at its next call."""
        message = Message(self._redactor.value(message.content))
        index = self.asking.conversation.add(message)
        self.record(MessageAdded(index, message.content))

    async def ask(self) -> Reply:
        """The model's next reply."""
        if self.stopping():
            raise Stopped("a person ended the run after this step")
        await self.between()
        while self.oversight.hints:
            self.hear(words.user(self.oversight.hints.pop(0)))
        return await self.oversight.replied()

    def actions_in(self, reply: Reply) -> list[Action]:
        """What a reply asks for, in order."""
        tools = self.scenario.offered
        calls: Sequence[ToolCall] = reply.calls
        if self._fenced:
            calls = calls_in(reply.text, [*tools, "submit"])
        self._asked_for = len(calls)
        return [action_of(call, tools) for call in calls]

    async def count_idle(self, actions: Sequence[Action]) -> None:
        """Nudge a model that does nothing; raises `GaveUp` when it goes on so."""
        if any(not isinstance(action, Malformed) for action in actions):
            self._idle = 0
            return
        self._idle += 1
        if self._idle > self.scenario.actions.max_idle_replies:
            raise GaveUp(f"{self._idle} replies in a row without an action that could be done")
        if not actions:
            nudge = self.instructions.nudge
            told = await self.oversight.reply_to_silence(nudge)
            self._idle = self._idle if told == nudge else 0
            self.hear(words.user(told))

    def submit(self, action: Submit) -> str:
        """Record the answer and return it."""
        self.handed_over = action.files
        if not self._submitted:
            self.record(Submitted(self.asking.calls, action.answer))
        return action.answer

    async def delegate(self, actions: Sequence[Delegate]) -> Iterator[str]:
        """Have copies do tasks side by side; what the agent is told of each, in order."""
        if not actions:
            return iter(())
        assert self.family is not None
        await self.asking.steering.going()
        return iter(await self.family.delegate(self.asking, self.sandbox, actions))

    async def hear_of(self, action: Delegate, told: str) -> None:
        """Give the model what came of a copy, as it is or as a person wants it to be."""
        view = self._cut(self._redactor.text(told).encode("utf-8", "surrogatepass"))
        self._observe(action.call, await self.oversight.seen(action.call, view))

    def complain(self, action: Malformed) -> None:
        """Tell the model what was wrong."""
        event = ActionRefused(self.asking.calls, action.reason, action.call.name, action.call.id)
        self.record(event)
        self._observe(action.call, f"[not done: {action.reason}]")

    def answer(self, action: Answered) -> None:
        """Give the model what a person says in the place of an action."""
        self._idle = 0
        self._observe(action.call, action.text)

    async def execute(self, action: Run) -> None:
        """Run code, and show the model what came of it."""
        done, timeout_s = await self.ran(action)
        await self._show(action.call, done, timeout_s)

    async def ran(self, action: Run) -> tuple[Execution, float]:
        """Run code: reserved and recorded before, settled and recorded after.

        What came of it, and how many seconds it might take.
        """
        await self.asking.steering.going()
        limits = self.scenario.actions
        timeout_s = min(action.timeout_s or limits.timeout_s, limits.max_timeout_s)
        timeout_s = self._at_most("tool_s", timeout_s)
        room = int(self._at_most("output_bytes", int(limits.max_output_bytes)))
        most = Amounts(tool_s=Decimal(str(timeout_s)), output_bytes=room)
        hold = self._account.reserve(most)
        self._actions += 1
        self._idle = 0
        spent = most
        started = ActionStarted(
            action=self._actions,
            call=self.asking.calls,
            tool=action.program,
            input={"code": action.code},
            call_id=action.call.id,
            timeout_s=timeout_s,
        )
        try:
            self.record(started)
            done, error = await self._executed(action, timeout_s, room)
            written = len(done.output) + done.dropped_bytes
            spent = Amounts(tool_s=Decimal(f"{done.duration_s:.6f}"), output_bytes=written)
        finally:
            hold.settle(spent)
        take_out = self._redactor.cut if done.dropped_bytes or error else self._redactor.data
        done = replace(done, output=take_out(done.output))
        self._record_action(done, spent)
        if error is not None:
            raise error
        return done, timeout_s

    async def _executed(
        self, action: Run, timeout_s: float, room: int
    ) -> tuple[Execution, BaseException | None]:
        """What the sandbox did, and what kept it from an end: its death, or a cancelled run."""
        clock = self.asking.steering.clock
        began = clock.now_s()
        cause = Cause(self._actions, self.asking.name)
        try:
            done = await self.sandbox.execute(action.program, action.code, timeout_s, room, cause)
        except BaseException as error:  # noqa: BLE001 - raised again when the end is on record
            output, dropped_bytes = self.sandbox.unfinished(action.program)
            unfinished = Execution(
                output=output,
                dropped_bytes=dropped_bytes,
                duration_s=clock.now_s() - began,
                rung="sandbox",
                cause="died" if isinstance(error, SandboxDied) else "cancelled",
                reported_exit=None,
                session_lost=True,
            )
            return unfinished, error
        return done, None

    def _at_most(self, name: str, wish: float) -> float:
        """A wish cut down to what is left of a limit; raises `LimitReached` if that is nothing."""
        free = self._account.free(name)
        if free == 0:
            raise LimitReached(name, f"{name}: nothing is left of {self._account.limits[name]:g}")
        return wish if free is None else min(wish, float(free))

    def _record_action(self, done: Execution, spent: Amounts) -> None:
        self.record(end_of(self._actions, done, spent, self.asking.transcript))

    async def _show(self, call: ToolCall, done: Execution, timeout_s: float) -> None:
        """Give the model what it sees of an action, as it is or as a person wants it to be."""
        view = self._view(done, timeout_s)
        self._observe(call, await self.oversight.seen(call, view, self._actions))

    def _view(self, done: Execution, timeout_s: float) -> str:
        """What the model sees of an action."""
        text = self._cut(done.output)
        notes = []
        if done.cause == "timeout":
            notes.append(f"stopped after {timeout_s:g} s")
        if done.cause == INTERRUPTED:
            notes.append("interrupted by a fault outside; what it did and wrote may be lost")
        if done.cause == "output":
            notes.append("stopped: it wrote too much")
        if done.reported_exit is not None:
            notes.append(f"exit status {done.reported_exit}")
        if done.session_lost:
            notes.append("this session ended; your next call starts a new one")
        separator = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{separator}[{'; '.join(notes) or 'no exit status'}]"

    def _cut(self, data: bytes) -> str:
        """As much of it as the model is shown."""
        share = self.asking.context.share_bytes(self._asked_for)
        return shown(data, self.scenario.actions.view_bytes, share)

    def _observe(self, call: ToolCall, text: str) -> None:
        self.hear(words.user(text) if self._fenced else words.tool_result(call.id, text))
