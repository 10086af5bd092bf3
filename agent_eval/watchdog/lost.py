"""What becomes of sandboxes whose harness is gone: paused at once, removed when their lease ends.

Until then the run can be resumed. Whoever does so writes to its record; from then on the run is no
business of this watchdog any more. All that happens is put on record where that can be written.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from agent_eval.errors import AgentEvalError, EngineUnavailable, OperatorError, TranscriptBroken
from agent_eval.events.kinds import HarnessLost, SandboxPaused
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import EVENTS
from agent_eval.record.verify import reopened
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.lease import Moment
from agent_eval.sandbox.snapshot import remove_disks
from agent_eval.watchdog.closing import State, agents_of, end_record, state_of

POLL_S = 1.0
"""Between two looks at whether a lost run is still there to be looked after."""

PATIENCE_S = 10.0
"""How long the record may be in use by others before that means that the run goes on."""

STUCK_S = 3600.0
"""How long the removal of a sandbox is tried after its lease."""

Now = Callable[[], Moment]


@dataclass(frozen=True)
class Lost:
    """A run whose harness is gone."""

    run: str
    folder: Path
    lease_s: float


def look_after(left: list[dict[str, Any]]) -> None:
    """See all of these runs to their end; each is what the harness said of it."""
    runs = [Lost(one["run"], Path(one["folder"]), float(one["lease_s"])) for one in left]
    anyio.run(_all, runs)


async def _all(runs: list[Lost]) -> None:
    async with anyio.create_task_group() as tasks:
        for lost in runs:
            tasks.start_soon(keep, lost)


async def keep(lost: Lost, now: Now = Moment.now) -> None:
    """Look after one run until its sandboxes are gone or somebody has resumed it."""
    until = now().after(lost.lease_s)
    engine = await _engine(until, now)
    try:
        containers = await _still_there(engine, lost)
        state = _state(lost)
        if state is State.NONE:
            for container in containers:
                await removed_for_good(container)
            return
        if state is State.CLOSED:
            await _end(lost, _size(lost), containers)
            return
        paused = [one for one in containers if await _paused(one)]
        size = await _write_down(lost, until, paused)
        if size is None:
            return
        while paused and until.left_s(now()) > 0 and _size(lost) == size:
            await anyio.sleep(min(POLL_S, max(until.left_s(now()), 0)))
            paused = await _still_there(engine, lost)
        await _end(lost, size, await _still_there(engine, lost))
    finally:
        engine.close()


async def _engine(until: Moment, now: Now) -> Engine:
    """The engine, waited for beyond the end of the lease where it does not answer."""
    while True:
        try:
            return await anyio.to_thread.run_sync(Engine)
        except EngineUnavailable:
            if until.left_s(now()) < -STUCK_S:
                raise
            await anyio.sleep(POLL_S)


async def _still_there(engine: Engine, lost: Lost) -> list[Container]:
    """The run's sandboxes; the engine is asked until it answers."""
    while True:
        try:
            return await engine.ours(lost.run)
        except EngineUnavailable:
            await anyio.sleep(POLL_S)


def _state(lost: Lost) -> State:
    """How far the record has come; one that cannot be read may be mended, so the run is kept."""
    try:
        return state_of(lost.folder)[0]
    except (OSError, AgentEvalError):
        return State.OPEN


def _size(lost: Lost) -> int:
    with contextlib.suppress(OSError):
        return lost.folder.joinpath(EVENTS).stat().st_size
    return -1


async def _paused(container: Container) -> bool:
    """Pause a sandbox; whether there is anything of it to be kept."""
    try:
        return await container.pause()
    except EngineUnavailable:
        return True  # PID 1 has frozen it in any case


async def _write_down(lost: Lost, until: Moment, paused: list[Container]) -> int | None:
    """Say on record what has happened; returns its size then, or None if the run goes on."""
    with anyio.move_on_after(PATIENCE_S):
        while True:
            with contextlib.suppress(OperatorError):  # somebody else writes it
                return _written_down(lost, until, paused)
            await anyio.sleep(POLL_S / 4)
    return None


def _written_down(lost: Lost, until: Moment, paused: list[Container]) -> int:
    try:
        with reopened(lost.folder) as transcript:
            transcript.write(HarnessLost(lost.lease_s, until.label()))
            agents = agents_of(read_events(lost.folder))
            for container in paused:
                event = SandboxPaused(container.id, until.words(), until.label())
                transcript.write(event, agents.get(container.id, "0"))
            transcript.sync()
    except TranscriptBroken:
        pass  # the sandboxes go when their lease is over all the same
    return _size(lost)


async def _end(lost: Lost, size: int, containers: list[Container]) -> None:
    """Remove what is left and end the record, unless somebody has resumed the run."""
    why = "its lease is over" if containers else "none of its sandboxes was left"
    with contextlib.suppress(OperatorError):
        await remove_and_end(lost.folder, containers, why, size)


async def remove_and_end(
    folder: Path, containers: list[Container], why: str, size: int | None = None
) -> None:
    """Remove sandboxes of a lost run and end its record, which nobody else can write meanwhile.

    Does nothing if the record is not of this `size` any more. Raises `OperatorError` while another
    process writes it.
    """
    try:
        with reopened(folder) as transcript:
            if size in (None, transcript.folder.joinpath(EVENTS).stat().st_size):
                removed = {one.id: await removed_for_good(one) for one in containers}
                remove_disks(transcript.folder)
                end_record(transcript, removed, why)
    except TranscriptBroken:
        for container in containers:
            await removed_for_good(container)


async def removed_for_good(container: Container) -> dict[str, Any]:
    """Remove a sandbox, trying for as long as makes sense."""
    state: dict[str, Any] = {"removed": False}
    with anyio.move_on_after(STUCK_S):
        while True:
            try:
                state = await container.remove()
                break
            except EngineUnavailable as error:
                state["error"] = str(error)
                await anyio.sleep(POLL_S)
    return state
