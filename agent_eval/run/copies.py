"""What one agent's life is made of, and how a copy's begins and ends.

    granted ─► on record ─► sandbox ─► the same loop ─► files to its parent ─► removed

A copy that its own doing or its grant ends has ended, and its parent is told. What is nobody's
doing (engine, model server, a broken record, a person) ends the whole run.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from agent_eval.agent.asking import Asking
from agent_eval.agent.delegate import Copy, Family, told_of
from agent_eval.agent.loop import Agent, converse
from agent_eval.errors import (
    AgentEvalError,
    Blame,
    NoSnapshot,
    Overspent,
    ScenarioError,
    Stopped,
)
from agent_eval.events.agents import AgentEnded, AgentStarted, FilesHanded
from agent_eval.events.kinds import FilesSeeded, SandboxFrozen
from agent_eval.models.base import Model
from agent_eval.past.past import Stage
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Roles, plain
from agent_eval.record.rebuild import ROOT, AgentState
from agent_eval.record.transcript import Transcript
from agent_eval.run.beginning import begun_at
from agent_eval.run.housing import Housing
from agent_eval.run.moments import Moments
from agent_eval.run.outcome import Outcome, outcome_of
from agent_eval.run.plan import Plan
from agent_eval.run.seeds import Calendar, seed_files
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.snapshot import Kind, Snapshot
from agent_eval.scenario.model import HOME, Scenario

HANDED_BYTES = 16 * 1024 * 1024
"""The most that a copy may hand over with its answer."""


@dataclass(frozen=True)
class Setting:
    """What all agents of a run have in common."""

    plan: Plan
    scenario: Scenario
    """With its days moved to those of the run, and its marks planted."""
    calendar: Calendar
    transcript: Transcript
    steering: Steering
    housing: Housing
    roles: Roles = field(default_factory=lambda: Roles(None))
    """What models that are not under test may spend."""

    begun: list[File] = field(default_factory=list)
    """What a milestone's start state is made of, once it is built."""

    def past_of(self, agent: str) -> AgentState | None:
        """An agent as it is on record, if its run is taken up again."""
        return self.plan.past.state.agents.get(agent) if self.plan.past else None

    def was_furnished(self, agent: str) -> bool:
        """Whether an agent's sandbox was what it is to be at its beginning, by the record."""
        state = self.past_of(agent)
        return state is not None and bool(state.history)

    def began_as(self, agent: str) -> Snapshot | None:
        """The snapshot that the agent's sandbox is to begin as, if there is one."""
        past, state = self.plan.past, self.past_of(agent)
        return past.nearest(state)[0] if past and state else None

    async def furnish(self, sandbox: Sandbox, agent: str, stage: Stage | None = None) -> None:
        """Make a sandbox what its agent's was, or what an agent finds at its beginning.

        `stage` is the world around the first agent's, where there is one.
        """
        past, state = self.plan.past, self.past_of(agent)
        if past is None or state is None or not state.history:
            if self.scenario.delegation.start != "shared" or agent == ROOT:
                await self.seed(sandbox, agent)
            return
        limit = int(self.scenario.actions.max_output_bytes)
        event = await past.furnish(sandbox, state, limit, stage)
        self.transcript.write(event, agent)
        past.refuse_differences(event)

    async def seed(self, sandbox: Sandbox, agent: str) -> None:
        """Put the scenario's files into a sandbox."""
        files = seed_files(self.plan.loaded, self.calendar.start, self.plan.marks)
        if self.plan.loaded.begins_at is not None:
            if not self.begun:
                begun = await begun_at(self.plan, self.scenario, self.housing, files, self.calendar)
                self.begun.extend(begun.files)
                self.transcript.write(begun.event(self.transcript), agent)
            files = self.begun
        if files:
            await sandbox.put(files)
        kept = [self.kept(file) for file in files]
        seeded = FilesSeeded(kept, self.calendar.moved_days, self.plan.marks)
        self.transcript.write(seeded, agent)

    def kept(self, file: File) -> dict[str, Any]:
        """A file as an event holds it."""
        about: dict[str, Any] = {"path": file.path, "mode": oct(file.mode)}
        if file.modified is not None:
            about["modified"] = file.modified
        return about | self.transcript.content(file.data)


class Copies:
    """The agents of a run: makes the first, and has copies live and die."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        past = setting.plan.past.state.agents if setting.plan.past else None
        self.family = Family(
            setting.scenario.delegation, self.live, past, lambda: setting.steering.stopping
        )
        self._began_s = setting.steering.wall.now_s()
        self._moments = Moments(setting.transcript, setting.scenario.snapshots, setting.steering)

    def agent(
        self,
        account: Account,
        sandbox: Sandbox,
        model: Model,
        opening: tuple[str, str] | None = None,
    ) -> Agent:
        """An agent before its first word; `opening` is a copy's frame and task."""
        plan, scenario = self.setting.plan, self.setting.scenario
        fenced = scenario.model.tool_format == "fenced"
        asking = Asking(
            name=account.name,
            model=model,
            tools=() if fenced else plan.instructions.tools,
            wanted=scenario.model,
            account=account,
            transcript=self.setting.transcript,
            steering=self.setting.steering,
        )
        return Agent(
            asking,
            scenario,
            plan.instructions,
            sandbox,
            lambda: self.setting.steering.stopping,
            plan.person,
            self.family,
            opening,
            self._moments.every_so_often(sandbox, account.name),
            plan.suspicious,
        )

    async def live(self, copy: Copy, parent: Sandbox) -> str:
        """Have a copy live to its end; returns what its parent is told."""
        granted = {name: plain(value) for name, value in copy.account.limits.items()}
        start = self.setting.scenario.delegation.start
        transcript = self.setting.transcript
        past = self.setting.past_of(copy.name)
        if past is None:
            started = AgentStarted(copy.parent, copy.call, copy.call_id, copy.task, start, granted)
            transcript.write(started, copy.name)
        outcome = Outcome("ended_with_parent", message="its parent's end")
        answer: str | None = None
        handed: dict[str, Any] | None = None
        try:
            with self.setting.steering.at_work():
                answer, handed = await self._lived(copy, parent)
            outcome = Outcome("submitted")
        except AgentEvalError as error:
            outcome = outcome_of(error)
            if _ends_the_run(error):
                raise
        except Exception as error:
            outcome = Outcome(
                "error", Blame.INFRASTRUCTURE, error=type(error).__name__, message=str(error)
            )
            raise
        except BaseException:
            outcome = Outcome("ended_with_parent", message=self._why_ended(copy.parent))
            raise
        finally:
            ended = AgentEnded(outcome.record(), answer, copy.account.record())
            transcript.write(ended, copy.name)
        return told_of(copy.name, outcome.record(), answer, handed)

    async def _lived(self, copy: Copy, parent: Sandbox) -> tuple[str, dict[str, Any] | None]:
        """Its answer, and the files that came with it."""
        setting = self.setting
        async with self._sandbox_of(copy, parent) as sandbox:
            opening = setting.plan.instructions.for_copy(copy.account.limits), copy.task
            model = setting.plan.model.of_copy(copy.name)
            agent = self.agent(copy.account, sandbox, model, opening)
            answer = await converse(agent, setting.past_of(copy.name))
            handed = None
            if sandbox.id != parent.id:
                setting.transcript.write(SandboxFrozen(await sandbox.freeze()), copy.name)
                handed = await self._hand_over(copy, agent.handed_over, sandbox, parent)
        return answer, handed

    @asynccontextmanager
    async def _sandbox_of(self, copy: Copy, parent: Sandbox) -> AsyncIterator[Sandbox]:
        start = self.setting.scenario.delegation.start
        if start == "shared":
            async with parent.shared(copy.name) as sandbox:
                await self.setting.furnish(sandbox, copy.name)
                yield sandbox
        elif start == "fresh" or self.setting.was_furnished(copy.name):
            async with self._new(copy, self.setting.began_as(copy.name)) as sandbox:
                await self.setting.furnish(sandbox, copy.name)
                yield sandbox
        else:
            kind: Kind = "memory" if start == "live" else "files"
            snapshot = await self._moments.of(copy, parent, kind)
            with self._moments.store.needed(snapshot):
                async with self._new(copy, snapshot) as sandbox:
                    yield sandbox

    @asynccontextmanager
    async def _new(self, copy: Copy, snapshot: Snapshot | None = None) -> AsyncIterator[Sandbox]:
        """A sandbox of its own, for as long as it lives."""
        setting = self.setting
        box = await setting.housing.make(snapshot)
        limit = int(setting.scenario.actions.max_output_bytes)
        try:
            async with setting.housing.inhabited(
                box, setting.transcript, copy.account, limit
            ) as sandbox:
                yield sandbox
        finally:
            await setting.housing.remove(box, setting.transcript, copy.name)

    async def _hand_over(
        self, copy: Copy, paths: tuple[str, ...], sandbox: Sandbox, parent: Sandbox
    ) -> dict[str, Any] | None:
        """Put the files that a copy named into its parent's home; returns what is on record."""
        if not paths:
            return None
        wanted = [str(PurePosixPath(HOME, path)) for path in paths]
        files, refused = await sandbox.get(wanted, HANDED_BYTES)
        own = f"{HOME}/from-{copy.name}"
        moved = [File(f"{own}/{_below_home(file.path)}", file.data, file.mode) for file in files]
        try:
            if moved:
                await parent.take_in(moved)
        except ScenarioError:  # the parent's home is the parent's to keep room in
            refused.append(f"not all of them could be put into {own}: it may have no room")
        handed = FilesHanded([self.setting.kept(file) for file in moved], refused)
        self.setting.transcript.write(handed, copy.name)
        return handed.fields()

    def _why_ended(self, parent: str) -> str:
        """Why an agent was cut off together with its parent."""
        if trouble := self.family.trouble(parent):
            return f"its parent {parent} ended, or another copy ended the run: {trouble}"
        if self.setting.steering.stopping:
            return f"a person ended the run, its parent {parent} with it"
        wall_s = self.setting.scenario.budget.wall_s
        if wall_s is not None and self.setting.steering.wall.now_s() - self._began_s >= wall_s:
            return f"the time of the run was over, and its parent {parent} ended"
        return f"its parent {parent} ended; what came of that one says why"


def _ends_the_run(error: AgentEvalError) -> bool:
    """Whether what ended a copy is nothing that it did or was allowed.

    A person who ends the run lets every agent come to the end of its step. A sandbox that cannot
    be copied may be its agent's work, who would otherwise have a way out of every rate.
    """
    own = error.blame in (Blame.MODEL, Blame.LIMIT) or isinstance(error, Stopped | NoSnapshot)
    return isinstance(error, Overspent) or not own


def _below_home(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_relative_to(HOME):
        return str(pure.relative_to(HOME))
    return str(pure).lstrip("/")
