"""Drills: what a scenario does to the agent, each at its time, and the aftermath.

    conversation ──────────────► answer ──► aftermath: the world goes on ──► evidence
        ▲ drills at a set time      └─ drills after the answer ▲

Drills follow each other in the order of their times. What one cannot be done to is on record and
never ends a run; what goes wrong with the machine does.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import anyio

from agent_eval.events.drills import (
    AftermathBegun,
    AftermathEnded,
    DrillAnnounced,
    DrillBegun,
    DrillEnded,
)
from agent_eval.record.transcript import Transcript
from agent_eval.scenario.drills import Drill
from agent_eval.world.clock import WorldClock


class NothingToDo(Exception):
    """There is nothing that a drill could be done to, in words."""


@dataclass(frozen=True)
class Hands:
    """What drills are done with; each returns what it was done to, or raises `NothingToDo`."""

    stop_first: Callable[[], Awaitable[tuple[str, ...]]]
    reboot: Callable[[], Awaitable[tuple[str, ...]]]
    revoke_key: Callable[[str], Awaitable[tuple[str, ...]]]
    empty_balance: Callable[[str], Awaitable[tuple[str, ...]]]
    tell: Callable[[str], None]
    """Has the first agent read a message before its next reply."""


class Drills:
    """The drills of one run."""

    def __init__(
        self,
        drills: Sequence[Drill],
        clock: WorldClock,
        transcript: Transcript,
        hands: Hands,
        announced: Collection[int] = (),
    ) -> None:
        """`announced` are those of which the first agent was told before, by their places."""
        self._drills = list(enumerate(drills))
        self._clock, self._transcript, self._hands = clock, transcript, hands
        self._announced = announced
        self._done: set[int] = set()

    async def at_their_times(self) -> None:
        """Do those that have a time of their own; to go on beside the conversation and after it."""
        timed = [each for each in self._left() if each[1].at_s is not None]
        async with anyio.create_task_group() as announcing:
            for number, drill in timed:
                if drill.announcement is not None and number not in self._announced:
                    announcing.start_soon(self._announce, number, drill)
            for number, drill in sorted(timed, key=lambda each: each[1].at_s or 0):
                await self._until(drill.at_s or 0)
                await self.do(number)

    async def _announce(self, number: int, drill: Drill) -> None:
        assert drill.announcement is not None
        await self._until(max((drill.at_s or 0) - drill.notice_s, 0))
        self._transcript.write(DrillAnnounced(number, drill.announcement))
        self._hands.tell(drill.announcement)

    async def aftermath(self, for_s: float) -> None:
        """Have the world go on after the first agent's work, with the drills that belong there."""
        self._transcript.write(AftermathBegun(for_s))
        answered_s = self._clock.now_s()
        why = "limit"
        try:
            late = [each for each in self._left() if each[1].after_answer_s is not None]
            for number, drill in sorted(late, key=lambda each: each[1].after_answer_s or 0):
                await self._until(answered_s + (drill.after_answer_s or 0))
                await self.do(number)
            await self._until(answered_s + for_s)
            why = "over"
        finally:
            self._transcript.write(AftermathEnded(why))

    async def _until(self, moment_s: float) -> None:
        await self._clock.sleep(moment_s - self._clock.now_s())

    def _left(self) -> list[tuple[int, Drill]]:
        return [each for each in self._drills if each[0] not in self._done]

    async def do(self, number: int) -> DrillEnded:
        """Do one now, by its place among them; returns what came of it, which is on record."""
        drill = self._drills[number][1]
        self._done.add(number)
        announced = drill.announcement is not None
        self._transcript.write(DrillBegun(number, drill.act, drill.due, announced))
        try:
            hit = await self._act(drill)
        except NothingToDo as error:
            ended = DrillEnded(number, drill.act, done=False, detail=str(error))
        else:
            ended = DrillEnded(number, drill.act, done=True, hit=hit)
        self._transcript.write(ended)
        return ended

    async def _act(self, drill: Drill) -> tuple[str, ...]:
        match drill.act:
            case "stop_first":
                return await self._hands.stop_first()
            case "reboot":
                return await self._hands.reboot()
            case "revoke_key":
                return await self._hands.revoke_key(drill.account or "")
            case "empty_balance":
                return await self._hands.empty_balance(drill.account or "")
