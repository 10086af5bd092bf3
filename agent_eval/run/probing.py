"""A probe as a run: many small conversations on one budget, and a sandbox that runs what they say.

Each sample is a conversation of its own, under a name of its own in the record, with what it ran.
The model is asked by several at a time; answers are run one after the other, each in a new process
of a session of its own, after whatever the one before left has been removed. Where a limit is
reached, nothing more is begun, and what was not asked is counted as lost, apart from what failed.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

import anyio

from agent_eval.agent.actions import Run as Ran
from agent_eval.agent.asking import Asking
from agent_eval.agent.loop import Agent
from agent_eval.basics.conversation import Message, Reply, ToolCall
from agent_eval.basics.tasks import together
from agent_eval.errors import ContextFull, LimitReached, Stopped
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
        self._one_at_a_time = anyio.Lock()
        self._limit: LimitReached | None = None

    async def talk(self, setting: Setting, account: Account, sandbox: Sandbox) -> Outcome:
        """Ask and judge all samples, as far as the budget goes."""
        samples = self._samples()

        async def work() -> None:
            for number, task, sample in samples:
                if setting.steering.stopping:
                    raise Stopped("a person ended the run after this sample")
                await self._one(_Place(setting, account, sandbox, f"0.{number}"), task, sample)

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
        async with self._one_at_a_time:
            return await place.ran(task, program)

    def verdict(self) -> tuple[str, str]:
        """What stands for success: a probe has none of its own."""
        done = sum((Counter(each) for each in self.came.values()), Counter[str]())
        told = ", ".join(f"{count} {what}" for what, count in sorted(done.items()))
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


class _Place:
    """Where one sample is asked and run."""

    def __init__(self, setting: Setting, account: Account, sandbox: Sandbox, name: str) -> None:
        self.setting, self.name = setting, name
        self._sandbox = sandbox
        plan, wanted = setting.plan, setting.scenario.model
        model = plan.model.of_copy(name)
        asking = Asking(name, model, (), wanted, account, setting.transcript, setting.steering)
        self._agent = Agent(asking, setting.scenario, plan.instructions, sandbox)

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
        async with self._sandbox.shared(self.name) as own:
            self._agent.sandbox = own
            action = Ran(ToolCall("sample", "python", "{}"), "python", text, task.timeout_s)
            done, _ = await self._agent.ran(action)
        return code.verdict_of(done.output, word, over_time=done.cause == "timeout")


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
