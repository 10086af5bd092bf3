"""The first agent's work in a world that can do something to it, and what comes after.

The drills of the scenario are done beside the conversation and after it; when it is over the world
goes on for a while, so that it can be seen what lives on.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import anyio

from agent_eval.basics.tasks import beside
from agent_eval.record.transcript import Transcript
from agent_eval.run.drills import Drills
from agent_eval.run.hands import Reach
from agent_eval.run.outcome import Outcome
from agent_eval.sandbox.container import Sandbox
from agent_eval.scenario.world import World as Asked
from agent_eval.world.world import World

Talk = Callable[[], Awaitable[Outcome]]
Aftermath = Callable[[], Awaitable[None]]

STOPPED = Outcome("stopped_by_drill", message="a drill stopped the first agent before its answer")


@dataclass
class Life:
    """The first agent in its world, from the first call of its model to the end of the world."""

    asked: Asked
    world: World
    sandbox: Sandbox
    transcript: Transcript
    tell: Callable[[str], None]
    """Has the agent read a message before its next reply."""
    announced: Collection[int] = ()
    """Drills of which it was told before, where its run is taken up again."""

    def __post_init__(self) -> None:
        self.reach = Reach(self.world, self.sandbox, self.transcript)
        hands = self.reach.hands(self._interrupt, self.tell)
        drills, clock = self.asked.drills, self.world.clock
        self.drills = Drills(drills, clock, self.transcript, hands, self.announced)
        self._talking, self._talked = anyio.CancelScope(), anyio.Event()

    async def through(self, talk: Talk, after: Callable[[Aftermath], Awaitable[None]]) -> Outcome:
        """Have the conversation, and the aftermath where it ended in a way that counts.

        `after` has the aftermath done, within what the run has left.
        """
        async with beside() as drills:
            drills.start_soon(self.drills.at_their_times)
            outcome = STOPPED
            with self._talking:
                outcome = await talk()
            self._talked.set()
            if outcome.counts and (self.asked.aftermath_s or self.asked.drills):
                await after(lambda: self.drills.aftermath(self.asked.aftermath_s))
        return outcome

    async def _interrupt(self) -> None:
        self._talking.cancel()
        await self._talked.wait()
