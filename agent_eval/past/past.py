"""A run that is taken up again: where it stood, and how its sandboxes come to be what they were."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from agent_eval.agent.redo import Redo, Redoes, Redone
from agent_eval.basics.tasks import beside
from agent_eval.errors import Differs, NoSnapshot
from agent_eval.events.drills import DrillEnded
from agent_eval.events.state import ActionsRedone
from agent_eval.past.compared import answer_differences, drill_differences
from agent_eval.past.course import Course, Step
from agent_eval.past.following import Following
from agent_eval.past.worlds import has_world
from agent_eval.record.rebuild import AgentState, Event, RunState
from agent_eval.sandbox.snapshot import Snapshot, Snapshots
from agent_eval.world.clock import WorldClock
from agent_eval.world.services.recalled import Recalled


@dataclass(frozen=True)
class Stage:
    """The world around a sandbox in which actions are done again."""

    clock: WorldClock
    drill: Callable[[int], Awaitable[DrillEnded]]
    """Does the drill that is this one of the scenario's."""
    recalled: Recalled | None = None
    """What its models answered before."""


@dataclass(frozen=True)
class Past:
    """What there was before."""

    state: RunState
    redo: Redo
    allow_differences: bool = False
    left_open: bool = False
    """Whether its record stays open where differences end it, for another try."""
    anew: bool = False
    """Whether nothing begins as what a lost harness left."""
    course: Course | None = None
    """What is to be done again in a world."""

    @property
    def opened_at(self) -> datetime:
        """When its record was opened."""
        return datetime.fromisoformat(self.state.opened["time"])

    @property
    def began_at(self) -> datetime:
        """When the run began from which its sandboxes have their files and days."""
        origin = self.state.opened.get("origin") or {}
        return datetime.fromisoformat(origin.get("began") or self.state.opened["time"])

    def nearest(self, agent: AgentState) -> tuple[Snapshot | None, list[Event]]:
        """The last snapshot that holds all that the agent's sandbox was, and what came after it.

        For a copy that is at worst what it began as; for the first agent there may be none.
        """
        store = Snapshots(self.redo.run)
        for place in reversed(range(len(agent.history))):
            event = agent.history[place]
            whole = event["kind"] == "snapshot.taken" and event["holds"] == "memory"
            whole = whole and not (self.anew and event.get("left_over"))
            whole = whole and not has_world(self.state)  # the world would not be what it was then
            if whole or event["kind"] == "sandbox.restored":
                try:
                    return store.find(event["snapshot"]), agent.history[place + 1 :]
                except NoSnapshot:
                    if event["kind"] == "sandbox.restored":
                        raise
        return None, agent.history

    async def furnish(
        self, sandbox: Redoes, agent: AgentState, max_output_bytes: int, stage: Stage | None = None
    ) -> ActionsRedone:
        """Do again in a sandbox what the agent's had gone through since it was as this one is."""
        if stage is not None and self.course is not None and self.course.moves:
            redone = await self._in_its_world(sandbox, agent.path, max_output_bytes, stage)
        else:
            _, steps = self.nearest(agent)
            redone = await self.redo.all(sandbox, steps, agent.ends, max_output_bytes)
        if stage is not None and stage.recalled is not None:
            redone.differences += answer_differences(stage.recalled)
        return redone_event(sandbox.id, redone, self.redo)

    async def _in_its_world(
        self, sandbox: Redoes, agent: str, max_output_bytes: int, stage: Stage
    ) -> Redone:
        """Actions and drills, each when as much time of the world has passed as then."""
        assert self.course is not None
        redone = Redone()

        async def do(step: Step) -> bool:
            if step.event["kind"] == "drill.begun":
                ended = await stage.drill(step.event["drill"])
                redone.differences += drill_differences(step, ended)
            elif step.agent == agent:
                await self.redo.one(sandbox, step.event, step.end, max_output_bytes, redone)
            return True

        async def ready(_: Step) -> None:
            """The sandbox is up."""

        async with beside() as tasks:
            await Following(ready, do, stage.clock).through(self.course.steps, tasks)
        return redone

    def refuse_differences(self, event: ActionsRedone) -> None:
        """Raise `Differs` where a sandbox is not what it was, unless that is allowed."""
        if event.differences and not self.allow_differences:
            one = event.differences[0]
            action = f"action {one['action']} of agent {one['agent']}"
            raise Differs(
                f"{action if one['action'] else 'the world'} came out otherwise when it was done "
                f"again: {one['what']} was {one['expected']!r} and is {one['got']!r}. The "
                "record is as it was, with the differences in it. --allow-differences goes on all "
                "the same, --ignore REGEX says what does not matter"
            )


def redone_event(sandbox: str, redone: Redone, redo: Redo) -> ActionsRedone:
    """What came of doing actions again, for the record."""
    return ActionsRedone(
        sandbox=sandbox[:12],
        actions=redone.actions,
        differences=[each.record() for each in redone.differences],
        left_out=redone.left_out,
        ignored=[each.pattern.decode() for each in redo.ignore],
    )
