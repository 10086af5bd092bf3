"""What a parent's sandbox was at the moment when copies were asked for.

All copies of one turn begin as the same snapshot. It is taken when the first of them needs it,
while the parent waits for them and does nothing.
"""

import time
from dataclasses import dataclass, field

import anyio

from agent_eval.delegate import Copy
from agent_eval.errors import NoSnapshot
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.snapshot import Kind, Snapshot, Snapshots
from agent_eval.state_events import SnapshotRefused, SnapshotTaken
from agent_eval.transcript import Transcript


@dataclass
class _Moment:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    snapshot: Snapshot | None = None


class Moments:
    """The snapshots that the copies of a run begin as."""

    def __init__(self, transcript: Transcript) -> None:
        self.store = Snapshots(transcript.folder)
        self._transcript = transcript
        self._moments: dict[int, _Moment] = {}

    async def of(self, copy: Copy, parent: Sandbox, kind: Kind) -> Snapshot:
        """What the parent's sandbox is in this turn; raises `NoSnapshot`, and says so on record."""
        moment = self._moments.setdefault(copy.turn, _Moment())
        async with moment.lock:
            if moment.snapshot is None:
                moment.snapshot = await self._taken(copy.parent, parent, kind)
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
