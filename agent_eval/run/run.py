"""One run from end to end: the only place that turns errors into outcomes.

    create the sandbox ─► open the record ─► start and audit ─► seed ─► converse
        ─► freeze ─► export ─► judge ─► remove ─► close and seal the record

Whatever happens after the record is open ends in a sealed record that says what happened and who is
to blame. Errors before that (no engine, no image) are raised: there was no run.
"""

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import structlog

from agent_eval.agent.loop import Agent, converse
from agent_eval.basics.clock import at_most
from agent_eval.errors import (
    AgentEvalError,
    Blame,
    Differs,
    NoSnapshot,
    SandboxDied,
    TranscriptBroken,
    WorldBroken,
)
from agent_eval.events.kinds import (
    FilesExported,
    HarnessGap,
    OperatorActed,
    RunClosed,
    SandboxFrozen,
    SuccessJudged,
    Trouble,
)
from agent_eval.fleet.machine import Machine
from agent_eval.past.past import Stage
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Amounts, Roles, limits_of
from agent_eval.record.reading import broken_services_in, choice_bits_in, interventions_in
from agent_eval.record.transcript import Transcript, refuse_full_disk
from agent_eval.run.aftermath import Life
from agent_eval.run.alarm import Alarm
from agent_eval.run.copies import Copies, Setting
from agent_eval.run.housing import Box, Housing, housed
from agent_eval.run.outcome import STOPPED_BY_FINDING, Outcome, outcome_of
from agent_eval.run.plan import Plan, opening, run_id
from agent_eval.run.program import Program
from agent_eval.run.remote import within_reach
from agent_eval.run.seeds import Calendar
from agent_eval.run.success import judge
from agent_eval.run.worlds import Ground, standing
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.truth.truth import ground_truth

EXPORT_BYTES = 64 * 1024 * 1024

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
    truth: dict[str, Any] | None = None
    """What is proven of a run in a world."""


async def run_scenario(
    plan: Plan, steering: Steering | None = None, machine: Machine | None = None
) -> Result:
    """Run a scenario once. Raises only where there was no run; see the module's words.

    Runs that go on at the same time are given one machine between them.
    """
    steering = steering or Steering()
    plan = replace(plan)  # each run mints marks of its own
    refuse_full_disk(plan.runs)
    run = run_id(plan.loaded.title)
    async with housed(plan, run, steering, machine) as (housing, about):
        box = await housing.make()
        return await _on_record(plan, steering, housing, box, about)


async def _on_record(
    plan: Plan, steering: Steering, housing: Housing, box: Box, about: dict[str, Any]
) -> Result:
    """Open the record of a run, and run."""
    try:
        folder = plan.runs / box.asked.run
        with Transcript.create(folder, plan.redactor) as transcript:
            transcript.listener = plan.listener
            transcript.write(opening(plan, box.asked, box.container.as_made, about))
            return await Run(plan, steering, transcript, housing, box).to_the_end()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await housing.tear_down(box)
        raise


class Run:
    """The part of a run that has a record; with a `past`, it goes on with what there is."""

    def __init__(
        self,
        plan: Plan,
        steering: Steering,
        transcript: Transcript,
        housing: Housing,
        box: Box,
    ) -> None:
        self.plan, self.steering, self.transcript = plan, steering, transcript
        self.housing, self.box = housing, box
        written = plan.scenario
        past = plan.past
        self.opened_at = past.opened_at if past else datetime.now(UTC)
        self.began_at = past.began_at if past else self.opened_at
        self.calendar = Calendar(written.today, self.began_at)
        self.scenario = written.model_copy(update={"task": self.calendar.here(written.task)})
        roles = Roles(written.role_usd, past.state.roles if past else None)
        self.setting = Setting(
            plan, self.scenario, self.calendar, transcript, steering, housing, roles
        )
        self.account = Account("0", limits_of(self.scenario.budget.model_dump()))
        steering.clock.on_gap = self._gap
        look = plan.watching(transcript.folder) if plan.watching else None
        self.alarm = Alarm(transcript, steering, self.scenario.grading.on_e1, look)
        if past:
            self.account.spent = past.state.root.spent
            self.account.spend(Amounts(wall_s=Decimal(f"{past.state.worked.seconds:.3f}")))
        self.answer: str | None = None
        self.agent: Agent | None = None
        self.untold: list[str] = []
        """What the first agent is to read, from before it was there."""
        self.frozen = False
        """Whether a drill has stopped all that the agent runs."""
        self.interventions: dict[str, int] = {}
        """How often a person decided, by the type of the decision."""
        self.choice_bits: float | None = None
        """What a person's picks among options cost; None where there was none to pick from."""
        self.judged: tuple[str, str] = ("unscored", "the run did not come to its end")
        self.fault: str | None = None
        """The traceback of a fault of this program."""

    def _gap(self, silent_s: float) -> None:
        self.transcript.write(HarnessGap(round(silent_s, 3)))

    async def to_the_end(self) -> Result:
        """Go through all of it, and seal the record; raises where that cannot be, or may not."""
        outcome = await self._outcome()
        self._remember_the_end(outcome)
        await self.housing.remove(self.box, self.transcript, self.account.name)
        self.transcript.write(SuccessJudged(*self.judged))
        self.transcript.write(RunClosed(outcome.record(), self._spent()))
        verdict, reason = self.judged
        if self.scenario.approve is not None:
            self.interventions = interventions_in(self.transcript.folder)
            if self.scenario.approve.options is not None:
                self.choice_bits = choice_bits_in(self.transcript.folder)
        summary = {
            "run": self.transcript.folder.name,
            "scenario": self.plan.loaded.title,
            "scenario_digest": self.plan.loaded.digest,
            "model": self.plan.title_of_model,
            "outcome": outcome.record(),
            "answer": self.answer,
            "success": {"verdict": verdict, "reason": reason},
            "spent": self._spent(),
            "roles": self.setting.roles.record(),
            "interventions": self.interventions,
            "choice_bits": self.choice_bits,
            "started": self.opened_at.isoformat(timespec="milliseconds"),
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "resumed": self.plan.past.state.resumed if self.plan.past else 0,
        }
        summary |= self.plan.work.summary() if self.plan.work else {}
        truth = self._truth()
        if truth is not None:
            summary["ground_truth"] = truth
        head = self.transcript.seal(summary, self.plan.key)
        folder, spent = self.transcript.folder, self._spent()
        return Result(folder, outcome, verdict, reason, spent, head, self.interventions, truth)

    def _truth(self) -> dict[str, Any] | None:
        """What is proven so far; the record of a run without a world is not read for it."""
        return ground_truth(self.transcript.folder) if self.scenario.world else None

    def _spent(self) -> dict[str, Any]:
        """What was spent; dollars are null, not 0, where nobody knows the price."""
        unknown = {} if self.plan.model.price else {"usd": None}
        return self.account.record() | unknown

    async def _outcome(self) -> Outcome:
        """Run, and turn whatever happened into words; only a broken record gets past here."""
        try:
            with self.steering.scope:
                async with within_reach(self.steering, self.transcript, self.plan.person):
                    return await self._in_the_sandbox()
            return Outcome("cancelled", Blame.OPERATOR, message="a person cancelled the run")
        except TranscriptBroken:
            raise
        except (Differs, NoSnapshot) as error:
            if self.plan.past and self.plan.past.left_open:
                raise
            return outcome_of(error)
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
        record, account, housing = self.transcript, self.account, self.housing
        steering, roles = self.steering, self.setting.roles
        ground = Ground(self.plan, record, account, steering, housing, self.began_at, roles)
        async with (
            standing(ground),
            housing.inhabited(self.box, record, account, limit) as sandbox,
        ):
            life = self._life(sandbox)
            stage = Stage(life.world.clock, life.drills.do, self.plan.recalled) if life else None
            await self.setting.furnish(sandbox, self.account.name, stage)
            outcome = await self._lived(sandbox, life)
            await self._evidence(sandbox, outcome)
            return outcome

    def _life(self, sandbox: Sandbox) -> Life | None:
        """What a world does to the first agent, if there is one."""
        world, asked, past = self.housing.world, self.scenario.world, self.plan.past
        if world is None or asked is None:
            return None
        announced = past.course.announced if past and past.course else {}
        heard = past.state.root.conversation.messages if past else ()
        said = {str(each.content.get("content")) for each in heard}
        for text in announced.values():
            if text not in said:
                self._tell(text)
        return Life(asked, world, sandbox, self.transcript, self._tell, announced)

    async def _lived(self, sandbox: Sandbox, life: Life | None) -> Outcome:
        """The conversation, and the drills and the aftermath of a world around it."""
        if life is None:
            return await self._conversation(sandbox)
        clock = self.steering.wall

        async def after(aftermath: Callable[[], Awaitable[None]]) -> None:
            left_s, began_s = self.account.free("wall_s"), clock.now_s()
            try:
                async with at_most(None if left_s is None else float(left_s), clock):
                    await aftermath()
            finally:
                spent_s = Decimal(f"{clock.now_s() - began_s:.3f}")
                self.account.spend(Amounts(wall_s=spent_s))

        outcome = await life.through(lambda: self._conversation(sandbox), after)
        self.frozen = life.reach.stopped
        return self._in_a_whole_world(outcome)

    def _in_a_whole_world(self, outcome: Outcome) -> Outcome:
        """The outcome, or that it says nothing, as a service of the world ended by itself."""
        proven = outcome.status == STOPPED_BY_FINDING
        gone = broken_services_in(self.transcript.folder) if outcome.counts and not proven else ()
        if not gone:
            return outcome
        services = " and ".join(gone)
        return outcome_of(
            WorldBroken(
                f"of the world of this run {services} ended by itself (see world.trouble), so it "
                "says nothing of the model; run the scenario again"
            )
        )

    def _tell(self, text: str) -> None:
        """Have the first agent read something before its next reply, also if it is yet to come."""
        (self.untold if self.agent is None else self.agent.oversight.hints).append(text)

    async def _talked(self, sandbox: Sandbox) -> Outcome:
        if self.plan.work is not None:
            return await self.plan.work.talk(self.setting, self.account, sandbox)
        self.agent = agent = Copies(self.setting).agent(self.account, sandbox, self.plan.model)
        agent.oversight.hints += self.untold
        return await self._worked(agent, sandbox)

    async def _conversation(self, sandbox: Sandbox) -> Outcome:
        wall_s, left_s = self.scenario.budget.wall_s, self.account.free("wall_s")
        clock = self.steering.wall
        started = clock.now_s()
        try:
            async with at_most(None if left_s is None else float(left_s), clock):
                with self.steering.at_work():
                    return await self._talked(sandbox)
            return Outcome("limit", Blame.LIMIT, limit="wall_s", message=f"{wall_s:g} s are over")
        except (SandboxDied, TranscriptBroken):
            raise
        except AgentEvalError as error:
            return self.alarm.outcome(outcome_of(error))
        finally:
            spent_s = Decimal(f"{clock.now_s() - started:.3f}")
            self.account.spend(Amounts(wall_s=spent_s))

    async def _worked(self, agent: Agent, sandbox: Sandbox) -> Outcome:
        """The work itself: the loop's, or that of the program which is the subject."""
        world = self.housing.world
        if self.scenario.subject is None or world is None:
            self.answer = await converse(agent, self.setting.past_of(self.account.name))
            return Outcome("submitted")
        program = Program(self.scenario, self.account, sandbox, self.transcript, self.steering)
        ended = await program.to_its_end(world)
        self.answer = ended.answer
        return Outcome("exited", reported_exit=ended.reported_exit)

    async def _evidence(self, sandbox: Sandbox, outcome: Outcome) -> None:
        """Stop everything, take what the check wants to see, and judge."""
        if not self.frozen and self.plan.work is None:  # other work may have outlived this one
            self.transcript.write(SandboxFrozen(await sandbox.freeze()))
        files: list[File] = []
        wanted = self.scenario.success.export
        if wanted:
            files, refused = await sandbox.get(wanted, EXPORT_BYTES)
            kept = [self.setting.kept(file) for file in files]
            self.transcript.write(FilesExported(kept, refused))
        if self.plan.work is not None:
            self.judged = self.plan.work.verdict()
        elif outcome.status == STOPPED_BY_FINDING:
            self.judged = ("unscored", f"it was cut short: {outcome.message}")
        elif outcome.counts:
            files = [self.calendar.as_written(file) for file in files]
            if self.housing.world is not None:
                await self.housing.world.gateway.settled()
            truth = self._truth()
            self.judged = await anyio.to_thread.run_sync(
                judge, self.plan.loaded, self.answer, files, truth
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
