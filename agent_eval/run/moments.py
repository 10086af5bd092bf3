"""When the snapshots of a run are taken: every so often, on request, and for copies.

All copies of one turn begin as the same snapshot. It is taken when the first of them needs it,
while the parent waits for them and does nothing.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from agent_eval.agent.delegate import Copy
from agent_eval.errors import NoSnapshot
from agent_eval.events.state import SnapshotRefused, SnapshotTaken
from agent_eval.person.steering import Steering
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.snapshot import Kind, Snapshot, Snapshots
from agent_eval.scenario.snapshots import Snapshots as Wishes


@dataclass
class _Moment:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    snapshot: Snapshot | None = None
    refused: NoSnapshot | None = None


class Moments:
    """The snapshots of one run."""

    def __init__(self, transcript: Transcript, wishes: Wishes, steering: Steering) -> None:
        self.store = Snapshots(transcript.folder, int(wishes.limit_bytes))
        self._wishes = wishes
        self._clock = steering.wall.now_s
        self._steering = steering
        self._transcript = transcript
        self._moments: dict[int, _Moment] = {}

    def every_so_often(self, sandbox: Sandbox, agent: str) -> Callable[[], Awaitable[None]]:
        """What is to be called between the steps of an agent, so that its sandbox is kept."""
        wishes, kind = self._wishes, self._wishes.holds
        steps, last_s, asked = 0, self._clock(), self._steering.snapshots_asked

        async def between() -> None:
            nonlocal steps, last_s, asked
            many = wishes.every_steps is not None and steps >= wishes.every_steps
            long = wishes.every_s is not None and self._clock() - last_s >= wishes.every_s
            wanted = self._steering.snapshots_asked > asked
            if wanted or (steps and (many or long)):
                with suppress(NoSnapshot):  # it is on record, and the run goes on without
                    await self._taken(agent, sandbox, sandbox.best_kind if kind == "best" else kind)
                steps, last_s, asked = 0, self._clock(), self._steering.snapshots_asked
            steps += 1

        return between

    async def of(self, copy: Copy, parent: Sandbox, kind: Kind) -> Snapshot:
        """What the parent's sandbox is in this turn; raises `NoSnapshot`, and says so on record."""
        moment = self._moments.setdefault(copy.turn, _Moment())
        async with moment.lock:
            if moment.refused is not None:
                raise moment.refused
            if moment.snapshot is None:
                try:
                    moment.snapshot = await self._taken(copy.parent, parent, kind)
                except NoSnapshot as error:
                    moment.refused = error
                    raise
        return moment.snapshot

    async def _taken(self, agent: str, sandbox: Sandbox, kind: Kind) -> Snapshot:
        began = time.monotonic()
        try:
            snapshot = await sandbox.snapshot(self.store, kind)
        except NoSnapshot as error:
            self._transcript.write(SnapshotRefused(sandbox.id[:12], kind, str(error)), agent)
            raise
        taken = SnapshotTaken(
            sandbox=sandbox.id[:12],
            snapshot=snapshot.digest,
            holds=kind,
            size_bytes=snapshot.size_bytes,
            took_s=round(time.monotonic() - began, 3),
            left_out=snapshot.about().get("left_out", 0),
        )
        self._transcript.write(taken, agent)
        return snapshot
