"""A sandbox whose harness is gone, saved as it stands, so that it can go on in a new one.

Whoever starts a sandbox leaves word in its folder in the meeting place, which outlives the harness
and cannot be seen inside. gVisor saves one that is paused as any other. What was half said in its
pipe then stays behind, and the greeting lets PID 1 begin anew with whoever comes.
"""

import json
from typing import Any

import anyio

from agent_eval.errors import EngineUnavailable, NoSnapshot
from agent_eval.sandbox import checkpoint
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.settings import Asked
from agent_eval.sandbox.snapshot import Snapshot, Snapshots, needs

WORD = "word.json"
"""In a sandbox's folder: what has to be known to go on with it."""

GREETING = "greeting"
"""What of that only a snapshot has that was taken over."""


def leave_word(container: str, asked: Asked, greeting: str) -> None:
    """Leave word for a harness that may have to take a sandbox over."""
    folder = MEETING_PLACE / container
    if asked.gvisor and folder.is_dir():
        word = {GREETING: greeting, "needs": needs(asked), "hostname": asked.hostname}
        folder.joinpath(WORD).write_text(json.dumps(word), encoding="utf-8")


async def saved(
    container: Container, asked: Asked, store: Snapshots, lineage: dict[str, Any]
) -> Snapshot:
    """Save a sandbox that nobody commands; raises `NoSnapshot` where that cannot be.

    `lineage` says who caused which of its processes, as far as that is on record.
    """
    if why := checkpoint.hindrance(asked, container.id):
        raise NoSnapshot(why)
    try:
        if not await container.pause():
            raise NoSnapshot("it does not run any more")
        word = json.loads(MEETING_PLACE.joinpath(container.id, WORD).read_text(encoding="utf-8"))
    except EngineUnavailable as error:
        raise NoSnapshot(str(error)) from error
    except (OSError, ValueError) as error:
        raise NoSnapshot("it was started by another version of this program") from error
    with store.making() as folder:
        await checkpoint.save(container.id, folder)
        about = {"lineage": lineage, **word}
        return await anyio.to_thread.run_sync(store.keep, folder, "memory", about)
