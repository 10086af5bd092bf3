"""One run from end to end: the only place that turns errors into outcomes.

    create the sandbox ─► open the record ─► start and audit ─► seed ─► converse
        ─► freeze ─► export ─► judge ─► remove ─► close and seal the record

Whatever happens after the record is open ends in a sealed record that says what happened and who is
to blame. Errors before that (no engine, no image) are raised: there was no run.
"""

import secrets
import time
import traceback
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import structlog

from agent_eval.agent import Agent, converse
from agent_eval.asking import Asking
from agent_eval.budget import Account, Amounts, limits_of
from agent_eval.clock import at_most
from agent_eval.errors import (
    AgentEvalError,
    Blame,
    EngineUnavailable,
    SandboxDied,
    TranscriptBroken,
)
from agent_eval.events import (
    FilesExported,
    FilesSeeded,
    HarnessGap,
    OperatorActed,
    RunClosed,
    SandboxFrozen,
    SandboxReady,
    SandboxRemoved,
    SuccessJudged,
    Trouble,
)
from agent_eval.kernel_events import KernelOpened
from agent_eval.machine import Machine
from agent_eval.outcome import Outcome, outcome_of
from agent_eval.plan import Plan, made_on, opening
from agent_eval.reading import interventions_in
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import COMMAND, Sandbox, listening, opened
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.recorder import Recorder
from agent_eval.sandbox.settings import Asked, asked_for
from agent_eval.sandbox.sources import Choice, chosen
from agent_eval.seeds import Calendar, seed_files
from agent_eval.steering import Steering
from agent_eval.success import judge
from agent_eval.transcript import Transcript, refuse_full_disk
from agent_eval.watchdog.leash import leash

EXPORT_BYTES = 64 * 1024 * 1024
REMOVE_S = 120

log = structlog.get_logger()


@dataclass(frozen=True)
class Result:
    """A sealed run."""

    folder: Path
    outcome: Outcome
    verdict: str
    reason: str
    spent: dict[str, Any]
    head: str
    interventions: dict[str, int] = field(default_factory=dict)
    """How often a person decided, by the type of the decision."""


async def run_scenario(
    plan: Plan, steering: Steering | None = None, machine: Machine | None = None
) -> Result:
    """Run a scenario once. Raises only where there was no run; see the module's words.

    Runs that go on at the same time are given one machine between them.
    """
    steering = steering or Steering()
    scenario = plan.loaded.scenario
    refuse_full_disk(plan.runs)
    with nullcontext(machine) if machine else Machine() as shared:
        run = _run_id(plan.loaded.title)
        facts = await shared.facts()
        choice = chosen(scenario.sandbox, facts)
        runtime = choice.runtime
        image = await shared.engine.image(scenario.sandbox.image)
        lease = int(time.time() + (scenario.budget.wall_s or 86400) + plan.lease_s)
        asked = asked_for(scenario.sandbox, run, runtime, lease)
        asked = replace(asked, image_id=image["id"], folder=str((plan.runs / run).resolve()))
        leash().watch(run, plan.runs / run, plan.lease_s)
        container = await _created(shared.engine, asked)
        try:
            stated = await container.stated()
            with (
                listening(choice.source, container),
                Transcript.create(plan.runs / run, plan.redactor) as transcript,
            ):
                transcript.listener = plan.listener
                transcript.write(opening(plan, asked, stated, made_on(facts, image, runtime)))
                box = _Box(container, asked, choice, shared.starting)
                one = _Run(plan, steering, transcript, box)
                result = await one.to_the_end()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await container.remove()
            leash().forget(run)
            raise
        if one.removed:
            leash().forget(run)
        return result


async def _created(engine: Engine, asked: Asked) -> Container:
    try:
        return await engine.create(asked, COMMAND)
    except EngineUnavailable:
        leash().forget(asked.run)
        raise


def _run_id(title: str) -> str:
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{title.replace('@', '-')}-{now}-{secrets.token_hex(3)}"


class _Box(NamedTuple):
    """A sandbox that is made and not started."""

    container: Container
    asked: Asked
    choice: Choice
    starting: anyio.CapacityLimiter
    """A place in it is held until the sandbox is ready."""


class _Run:
    """The part of a run that has a record."""

    def __init__(
        self,
        plan: Plan,
        steering: Steering,
        transcript: Transcript,
        box: _Box,
    ) -> None:
        self.plan, self.steering, self.transcript = plan, steering, transcript
        self.container, self.asked, self.choice, self.starting = box
        written = plan.loaded.scenario
        self.calendar = Calendar(written.today, datetime.now(UTC))
        self.scenario = written.model_copy(update={"task": self.calendar.here(written.task)})
        self.account = Account("0", limits_of(self.scenario.budget.model_dump()))
        steering.clock.on_gap = self._gap
        self.recorder: Recorder | None = None
        self.answer: str | None = None
        self.interventions: dict[str, int] = {}
        """How often a person decided, by the type of the decision."""
        self.judged: tuple[str, str] = ("unscored", "the run did not come to its end")
        self.removed = False
        """Whether the sandbox is gone."""
        self.fault: str | None = None
        """The traceback of a fault of this program."""

    async def to_the_end(self) -> Result:
        opened_at = datetime.now(UTC)
        outcome = await self._outcome()
        self._remember_the_end(outcome)
        await self._remove()
        if self.recorder is not None:
            self.recorder.close()
        self.transcript.write(SuccessJudged(*self.judged))
        self.transcript.write(RunClosed(outcome.record(), self._spent()))
        verdict, reason = self.judged
        if self.scenario.approve is not None:
            self.interventions = interventions_in(self.transcript.folder)
        summary = {
            "run": self.transcript.folder.name,
            "scenario": self.plan.loaded.title,
            "scenario_digest": self.plan.loaded.digest,
            "model": self.plan.model.name,
            "outcome": outcome.record(),
            "answer": self.answer,
            "success": {"verdict": verdict, "reason": reason},
            "spent": self._spent(),
            "interventions": self.interventions,
            "started": opened_at.isoformat(timespec="milliseconds"),
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        head = self.transcript.seal(summary, self.plan.key)
        folder, spent = self.transcript.folder, self._spent()
        return Result(folder, outcome, verdict, reason, spent, head, self.interventions)

    def _spent(self) -> dict[str, Any]:
        """What was spent; dollars are null, not 0, where nobody knows the price."""
        unknown = {} if self.plan.model.price else {"usd": None}
        return self.account.record() | unknown

    async def _outcome(self) -> Outcome:
        """Run, and turn whatever happened into words; only a broken record gets past here."""
        try:
            with self.steering.scope:
                return await self._in_the_sandbox()
            return Outcome("cancelled", Blame.OPERATOR, message="a person cancelled the run")
        except TranscriptBroken:
            raise
        except AgentEvalError as error:
            return outcome_of(error)
        except Exception as error:  # noqa: BLE001 - a run ends in a sealed record, whatever happens
            self.fault = traceback.format_exc()
            log.warning("a fault of this program; its traceback is on record", error=repr(error))
            return Outcome(
                "error", Blame.INFRASTRUCTURE, error=type(error).__name__, message=str(error)
            )

    async def _in_the_sandbox(self) -> Outcome:
        limit = int(self.scenario.actions.max_output_bytes)
        source = self.choice.source
        async with AsyncExitStack() as stack:
            async with self.starting:
                coming = opened(self.container, self.asked, limit, self.steering.clock, source)
                sandbox = await stack.enter_async_context(coming)
            ready = SandboxReady(
                container=sandbox.id,
                runtime=self.asked.runtime,
                ready_s=round(sandbox.ready_s, 3),
                audit=[row.record() for row in sandbox.audit],
            )
            self.transcript.write(ready)
            async with self._recorded(sandbox):
                await self._seed(sandbox)
                outcome = await self._conversation(sandbox)
                await self._evidence(sandbox, outcome)
                return outcome

    def _recorded(self, sandbox: Sandbox) -> AbstractAsyncContextManager[None]:
        """Have what the sandbox's kernel tells put on record, or say there why it is not."""
        source, why = self.choice.source, self.choice.why
        if source is None:
            self.transcript.write(KernelOpened(sandbox.id[:12], None, {}, why))
            return nullcontext()
        name = self.account.name
        self.recorder = Recorder(source, sandbox.id, self.transcript, self.account, name)
        return sandbox.recorded(self.recorder)

    def _gap(self, silent_s: float) -> None:
        self.transcript.write(HarnessGap(round(silent_s, 3)))

    async def _seed(self, sandbox: Sandbox) -> None:
        files = seed_files(self.plan.loaded, self.calendar.start)
        if files:
            await sandbox.put(files)
        self.transcript.write(
            FilesSeeded([self._kept(file) for file in files], self.calendar.moved_days)
        )

    def _kept(self, file: File) -> dict[str, Any]:
        about: dict[str, Any] = {"path": file.path, "mode": oct(file.mode)}
        if file.modified is not None:
            about["modified"] = file.modified
        return about | self.transcript.content(file.data)

    async def _conversation(self, sandbox: Sandbox) -> Outcome:
        plan = self.plan
        fenced = self.scenario.model.tool_format == "fenced"
        asking = Asking(
            name=self.account.name,
            model=plan.model,
            tools=() if fenced else plan.instructions.tools,
            wanted=self.scenario.model,
            account=self.account,
            transcript=self.transcript,
            steering=self.steering,
        )
        agent = Agent(
            asking,
            self.scenario,
            plan.instructions,
            sandbox,
            lambda: self.steering.stopping,
            plan.person,
        )
        agent.begin()
        wall_s = self.scenario.budget.wall_s
        clock = self.steering.wall
        started = clock.now_s()
        try:
            async with at_most(wall_s, clock):
                self.answer = await converse(agent)
                return Outcome("submitted")
            return Outcome("limit", Blame.LIMIT, limit="wall_s", message=f"{wall_s:g} s are over")
        except (SandboxDied, TranscriptBroken):
            raise
        except AgentEvalError as error:
            return outcome_of(error)
        finally:
            spent_s = Decimal(f"{clock.now_s() - started:.3f}")
            self.account.spend(Amounts(wall_s=spent_s))

    async def _evidence(self, sandbox: Sandbox, outcome: Outcome) -> None:
        """Stop everything, take what the check wants to see, and judge."""
        self.transcript.write(SandboxFrozen(await sandbox.freeze()))
        files: list[File] = []
        wanted = self.scenario.success.export
        if wanted:
            files, refused = await sandbox.get(wanted, EXPORT_BYTES)
            self.transcript.write(FilesExported([self._kept(file) for file in files], refused))
        if outcome.counts:
            files = [self.calendar.as_written(file) for file in files]
            self.judged = await anyio.to_thread.run_sync(
                judge, self.plan.loaded, self.answer, files
            )
        else:
            self.judged = ("unscored", f"the run ended early: {outcome.blame}")

    def _remember_the_end(self, outcome: Outcome) -> None:
        if outcome.status in ("stopped", "cancelled"):
            self.transcript.write(OperatorActed(outcome.status))
        elif outcome.blame is not None:
            said = outcome.error or "", outcome.message or ""
            trouble = Trouble(outcome.blame, *said, detail=self.fault)
            self.transcript.write(trouble)

    async def _remove(self) -> None:
        state: dict[str, Any] = {"removed": False}
        try:
            with self.steering.removal, anyio.move_on_after(REMOVE_S):
                state = await self.container.remove()
                self.removed = True
        except EngineUnavailable as error:
            state["error"] = str(error)
        self.transcript.write(SandboxRemoved(self.container.id, state))
