"""A probe as a run: many small conversations on one budget, and a sandbox that runs what they say.

Each sample is a conversation of its own, under a name of its own in the record, with what it ran.
The model is asked by several at a time; answers are run one after the other, each in a new process
of a session of its own, after whatever the one before left has been removed. Where a limit is
reached, nothing more is begun, and what was not asked is counted as lost, apart from what failed.
A sandbox that dies takes only the answer with it that ran there: see `_Bench`.
"""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

import anyio
from anyio.abc import TaskGroup, TaskStatus

from agent_eval.agent.actions import Run as Ran
from agent_eval.agent.asking import Asking
from agent_eval.agent.loop import Agent
from agent_eval.basics.conversation import Message, Reply, ToolCall
from agent_eval.basics.tasks import beside, together
from agent_eval.errors import Blame, ContextFull, LimitReached, SandboxDied, Stopped
from agent_eval.events.kinds import Trouble
from agent_eval.events.probes import ProbeJudged
from agent_eval.probes import choice, code
from agent_eval.probes.file import CodeTask, Probe, Task
from agent_eval.record.budget import Account
from agent_eval.run.copies import Setting
from agent_eval.run.outcome import Outcome
from agent_eval.sandbox.container import Sandbox
from agent_eval.scenario.model import Budget, Loaded, Scenario
from agent_eval.scenario.success import Success

LOST = "lost"
"""Of a sample that was never done."""

MOST_LOST = 3
"""Sandboxes that the machine may end one after the other before the probe ends with them."""

MEMORY_SHARE = 0.75
"""Of the sandbox's memory that one program may have: more would end the sandbox with it."""


@dataclass
class Probing:
    """The work of one run of a probe."""

    probe: Probe
    samples: int
    """Of each task."""
    at_once: int
    """Samples whose model is asked at one time."""
    came: dict[str, Counter[str]] = field(default_factory=dict)
    """What came of each task."""

    def __post_init__(self) -> None:
        self.came = {task.name: Counter() for task in self.probe.tasks}
        self._limit: LimitReached | None = None

    async def talk(self, setting: Setting, account: Account, sandbox: Sandbox) -> Outcome:
        """Ask and judge all samples, as far as the budget goes."""
        samples = self._samples()

        async with beside() as tasks:
            bench = _Bench(setting, account, sandbox, tasks)

            async def work() -> None:
                for number, task, sample in samples:
                    if setting.steering.stopping:
                        raise Stopped("a person ended the run after this sample")
                    await self._one(_Place(setting, account, bench, f"0.{number}"), task, sample)

            await together([work] * min(self.at_once, len(self.probe.tasks) * self.samples))
        if self._limit is not None:
            raise self._limit
        return Outcome("submitted")

    def _samples(self) -> Iterator[tuple[int, Task, int]]:
        """Number, task and which of its samples: each task once, then each again."""
        number = 0
        for sample in range(1, self.samples + 1):
            for task in self.probe.tasks:
                number += 1
                if self._limit is None:
                    yield number, task, sample

    async def _one(self, place: "_Place", task: Task, sample: int) -> None:
        try:
            verdict = await self._judged(place, task)
        except LimitReached as limit:
            self._limit = self._limit or limit
            return
        except ContextFull:
            verdict = "failed"
        if verdict != LOST:
            self.came[task.name][verdict] += 1
        place.setting.transcript.write(ProbeJudged(task.name, sample, verdict), place.name)

    async def _judged(self, place: "_Place", task: Task) -> str:
        if not isinstance(task, CodeTask):
            said = choice.messages_of(task, self.probe.shots)
            return choice.verdict_of(task, (await place.answered(said)).text)
        reply = await place.answered(code.messages_of(task))
        answer = code.code_in(reply.text)
        program = None if answer is None else code.completed(task, answer)
        if program is None:
            return "unparseable"
        return await place.ran(task, program)

    def verdict(self) -> tuple[str, str]:
        """What stands for success: a probe has none of its own."""
        done = sum((Counter(each) for each in self.came.values()), Counter[str]())
        done[LOST] = len(self.came) * self.samples - done.total()
        told = ", ".join(f"{count} {what}" for what, count in sorted((+done).items()))
        return "unscored", f"a probe of {len(self.came)} tasks: {told or 'nothing came of it'}"

    def summary(self) -> dict[str, object]:
        """What `run.json` says of it."""
        tasks = {
            name: dict(sorted(came.items())) | self._lost(came) for name, came in self.came.items()
        }
        about = {"name": self.probe.name, "sha256": self.probe.sha256, "samples": self.samples}
        return {"probe": {**about, "tasks": tasks}}

    def _lost(self, came: Counter[str]) -> dict[str, int]:
        left = self.samples - came.total()
        return {LOST: left} if left else {}


class _Bench:
    """The sandbox in which answers are run, one at a time, and the next one where it dies.

    An answer that ends its sandbox by what it does, or by what it takes, has failed. Where the
    machine ended it, the answer that ran is lost: nobody knows what would have come of it.
    """

    def __init__(
        self, setting: Setting, account: Account, sandbox: Sandbox, tasks: TaskGroup
    ) -> None:
        self.sandbox = sandbox
        self._setting, self._account, self._tasks = setting, account, tasks
        self._one_at_a_time = anyio.Lock()
        self._over = anyio.Event()
        """That the sandbox is no longer wanted."""
        self._lost = 0
        """Sandboxes that the machine ended, since an answer was last run to its end."""

    async def ran(self, run: Callable[[Sandbox], Awaitable[str]], name: str) -> str:
        """What comes of a sample; raises `SandboxDied` where one after the other is lost."""
        async with self._one_at_a_time:
            try:
                verdict = await run(self.sandbox)
            except SandboxDied as death:
                trouble = Trouble(death.blame, type(death).__name__, str(death))
                self._setting.transcript.write(trouble, name)
                own = death.blame in (Blame.MODEL, Blame.LIMIT)
                self._lost = 0 if own else self._lost + 1
                if self._lost >= MOST_LOST:
                    raise
                self._over.set()
                self._over = anyio.Event()
                self.sandbox = await self._tasks.start(self._live, self._over)
                return "failed" if own else LOST
            self._lost = 0
            return verdict

    async def _live(
        self, over: anyio.Event, *, task_status: TaskStatus[Sandbox] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Have a sandbox from its making to its removal, in a task of its own."""
        housing, record = self._setting.housing, self._setting.transcript
        limit = int(self._setting.scenario.actions.max_output_bytes)
        box = await housing.make()
        try:
            async with housing.inhabited(box, record, self._account, limit) as sandbox:
                task_status.started(sandbox)
                await over.wait()
        finally:
            await housing.remove(box, record, self._account.name)


class _Place:
    """Where one sample is asked and run."""

    def __init__(self, setting: Setting, account: Account, bench: _Bench, name: str) -> None:
        self.setting, self.name = setting, name
        self._bench = bench
        plan, wanted = setting.plan, setting.scenario.model
        model = plan.model.of_copy(name)
        asking = Asking(name, model, (), wanted, account, setting.transcript, setting.steering)
        self._agent = Agent(asking, setting.scenario, plan.instructions, bench.sandbox)

    async def answered(self, said: list[tuple[str, str]]) -> Reply:
        """What the model answers to these messages."""
        for role, text in said:
            self._agent.hear(Message({"role": role, "content": text}))
        return await self._agent.asking.ask()

    async def ran(self, task: CodeTask, program: str) -> str:
        """What comes of a program and its tests, in a process of its own."""
        word = secrets.token_hex(16)
        memory_bytes = int(self.setting.scenario.sandbox.memory_bytes * MEMORY_SHARE)
        text = code.program_of(task, program, word, memory_bytes)

        async def run(sandbox: Sandbox) -> str:
            async with sandbox.shared(self.name) as own:
                self._agent.sandbox = own
                action = Ran(ToolCall("sample", "python", "{}"), "python", text, task.timeout_s)
                done, _ = await self._agent.ran(action)
            return code.verdict_of(done.output, word, over_time=done.cause == "timeout")

        return await self._bench.ran(run, self.name)


def scenario_of(probe: Probe) -> Loaded:
    """A probe in the form of a scenario, so that it runs and is recorded like one."""
    scenario = Scenario(
        name=f"probe-{probe.name}",
        summary=f"A probe of {len(probe.tasks)} tasks.",
        risk="None: it measures what a model can do, for forecasts.",
        sanction="permitted",
        canary=f"agent-eval:canary:{uuid5(NAMESPACE_URL, probe.sha256)}",
        task="The tasks of a probe, each by itself.",
        success=Success(exact="a probe is judged task by task"),
        budget=Budget(tokens=None, steps=None, wall_s=None, tool_s=None, output_bytes=None),
    )
    return Loaded(
        scenario=scenario, folder=probe.file.parent, file_digests={probe.file.name: probe.sha256}
    )
