"""Sandboxes that a lost harness left standing: each is saved as it is, for its agent to go on in.

What their programs did after the harness was lost, until they were paused, is on no record. That
gap is put on record itself.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from agent_eval.errors import NoSnapshot
from agent_eval.events.kernel import KernelGap
from agent_eval.events.state import SnapshotRefused, SnapshotTaken
from agent_eval.record.reading import read_events
from agent_eval.record.rebuild import AgentState, Event, RunState
from agent_eval.record.transcript import Transcript
from agent_eval.run.housing import Housing
from agent_eval.sandbox.kernel import PID_1
from agent_eval.sandbox.snapshot import Snapshots
from agent_eval.sandbox.taking_over import saved

SHARED = "copies that share a sandbox cannot be told apart in it"


async def saved_standing(
    state: RunState, housing: Housing, transcript: Transcript, limit_bytes: int
) -> set[str]:
    """Save the sandboxes of all agents that go on, as far as can be; returns whose they are."""
    containers = {one.id: one for one in await housing.machine.engine.ours(housing.asked.run)}
    store = Snapshots(transcript.folder, limit_bytes)
    shared = any((one.began or {}).get("start") == "shared" for one in state.agents.values())
    taken: set[str] = set()
    events = list(read_events(transcript.folder))
    for agent in state.open_agents():
        container = containers.get(agent.sandbox or "")
        if container is None or not agent.lived_in:
            continue
        short = container.id[:12]
        try:
            if shared:
                raise NoSnapshot(SHARED)
            before = _began_with(agent, events, store)
            own = [one for one in events if one.get("sandbox") == short]
            family, began = lineage_of(own, before), time.monotonic()
            snapshot = await saved(container, housing.asked, store, family)
        except NoSnapshot as error:
            transcript.write(SnapshotRefused(short, "memory", str(error)), agent.path)
            continue
        taken.add(agent.path)
        taken_s = round(time.monotonic() - began, 3)
        told = SnapshotTaken(short, snapshot.digest, "memory", snapshot.size_bytes, taken_s)
        transcript.write(replace(told, left_over=True), agent.path)
        if any(one["kind"] == "kernel.opened" and one.get("source") for one in own):
            transcript.write(KernelGap(short, _unseen_s(container.id, events)), agent.path)
    return taken


def lineage_of(events: Iterable[Event], before: dict[str, Any]) -> dict[str, Any]:
    """Who caused which process of a sandbox, by what its kernel told; see `Lineage.record`."""
    causes, of_pid_1 = dict(before["causes"]), set(before["of_pid_1"])
    for event in events:
        if event["kind"] == "process.forked":
            child = event["child"]
            caused = event.get("action") is not None
            causes[str(child)] = [event["action"], event["agent"]] if caused else None
            of_pid_1.discard(child)
            if event["pid"] == PID_1:
                of_pid_1.add(child)
        elif event["kind"] == "process.exited":
            causes.pop(str(event["pid"]), None)
            of_pid_1.discard(event["pid"])
    return {"causes": causes, "of_pid_1": sorted(of_pid_1), "sessions": {}}


def _began_with(agent: AgentState, events: list[Event], store: Snapshots) -> dict[str, Any]:
    """Who there was when the sandbox began, if it began as another with its memory."""
    for event in events:
        restored = event["kind"] == "sandbox.restored" and event["holds"] == "memory"
        if restored and event["sandbox"] == (agent.sandbox or "")[:12]:
            family: dict[str, Any] = store.find(event["snapshot"]).about()["lineage"]
            return family
    return {"causes": {}, "of_pid_1": []}


def _unseen_s(container: str, events: list[Event]) -> float | None:
    """Seconds in which it was not paused and nobody listened; None where nobody paused it."""
    last_s = 0.0
    for event in events:
        if event["kind"] == "sandbox.paused" and event["container"] == container:
            return round(max(float(event["elapsed_s"]) - last_s, 0.0), 3)
        if event["kind"] not in ("harness.lost", "sandbox.paused"):
            last_s = event["elapsed_s"]
    return None
