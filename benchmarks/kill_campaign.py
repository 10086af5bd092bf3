"""Kill the harness at random instants, again and again, and hold the promises against what is left.

Each time: every event that was acknowledged (told to a listener) is in the record, the chain holds,
the record ends with what happened, everything in the sandbox stands still within five seconds, and
no sandbox outlives its lease. In one of `ALONE` the watchdog is killed with the harness, so PID 1
is on its own and `reap` has to find what is left. What is killed, when, is drawn anew each time.

    .venv/bin/python benchmarks/kill_campaign.py --kills 1000
"""

import argparse
import fcntl
import json
import os
import random
import select
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import anyio
from at_work import spent_s, used_by_agent
from running import runtimes, save, table

from agent_eval.agent.instructions import read_instructions
from agent_eval.errors import AgentEvalError
from agent_eval.models.control import load_control
from agent_eval.record.reading import read_events
from agent_eval.record.verify import verify
from agent_eval.run.plan import Plan
from agent_eval.run.run import run_scenario
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.settings import FOLDER_LABEL
from agent_eval.scenario.file import load
from agent_eval.watchdog.reaping import judged, remove

EARLY_S, LATE_S, EVENTS = 4.0, 0.3, 190
"""The harness is killed so many seconds after its start, or after one of its first events."""
FROZEN_S = 5.0
LEASE_S, ALONE, KEPT = 7.0, 8, 3
"""The lease where there is one: in one of `KEPT`; in the others the sandbox goes at once."""
GRACE_S = 120.0
"""What a removal may take on a busy machine."""
SLOW_S = 10.0
"""What a harness may take from one event to the next; one that is slower is killed right there."""
ROOM_BYTES = 2**20
"""What a harness may say while nobody listens; one that waits to be heard is not killed at work."""
WINDOW_S, STILL_S = 0.2, 0.001
"""What uses no more processor time than that between two looks, so far apart, stands still."""

SCENARIO = """
name: small
summary: A small job.
risk: None.
sanction: permitted
canary: agent-eval:canary:0d1b2f0e-7c56-4f0e-9a52-0d9f5b1f6a19
task: Count.
success: {exact: done}
budget: {wall_s: 12, steps: null, tokens: null, usd: null}
"""
WORKS = """
import time
while True:
    until = time.time() + 0.02
    while time.time() < until:
        pass
    time.sleep(0.06)
"""
CONTROLS = f"""
from agent_eval.models.control import bash, submit
def counts(task):
    yield bash({f"echo '{WORKS}' > ~/works.py; python3 ~/works.py > /dev/null 2>&1 &"!r})
    for n in range(30):
        yield bash(f"echo {{n}} | tee -a ~/log; head -c {{n * 97}} /dev/urandom; sleep 0.02")
    yield submit("done")
"""


@dataclass
class Kill:
    """One harness that was killed, and what was found then."""

    runtime: str
    alone: bool
    lease_s: float
    after_s: float
    early: bool
    """Whether the instant counts from the start of the harness, or from one of its events."""
    acknowledged: int = 0
    sandboxes: int = 0
    """How many were left."""
    last: str = "before the record"
    """The kind of the last acknowledged event."""
    frozen_s: float | None = None
    """How long after the kill any program of the agent's ran; None if that was not measured."""
    late_s: float = 0.0
    """Processor time that they used later than `FROZEN_S`."""
    over_lease_s: float | None = None
    """How long after the end of its lease the sandbox was still there."""
    faults: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill the harness at random instants.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--runtime", choices=["runc", "runsc", "both"], default="both")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", type=Path, help="write every kill to this file")
    asked = parser.parse_args()
    names = [name for name in runtimes() if asked.runtime in (name, "both")]
    kills = []
    for kill in campaign(names, asked.kills, asked.at_once, asked.seed):
        kills.append(kill)
        save(asked.json, [asdict(kill) for kill in kills])
    print(table(HEAD, rows(kills)), f"\nseed {asked.seed}")
    for kill in kills:
        for fault in kill.faults:
            print(f"FAULT: {fault}: {asdict(kill)}", file=sys.stderr)
    sys.exit(any(kill.faults for kill in kills))


def campaign(names: list[str], kills: int, at_once: int, seed: int) -> Iterator[Kill]:
    """So many kills, spread over the runtimes; each in a process that was forked when small."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        scenario = Path(folder) / "small"
        scenario.mkdir()
        scenario.joinpath("scenario.yaml").write_text(SCENARIO)
        scenario.joinpath("controls.py").write_text(CONTROLS)
        wanted = [
            (scenario, Path(folder) / str(number), names[number % len(names)], seed + number)
            for number in range(kills)
        ]
        with get_context("fork").Pool(at_once, maxtasksperchild=50) as pool:
            for number, kill in enumerate(pool.imap_unordered(one, wanted), 1):
                print(f"\r{number}/{kills}", end="", file=sys.stderr, flush=True)
                yield kill
    print(file=sys.stderr)


def one(wanted: tuple[Path, Path, str, int]) -> Kill:
    """Start a harness, kill it, and look at what is left for as long as there is anything."""
    scenario, runs, runtime, seed = wanted
    chance = random.Random(seed)
    alone = chance.randrange(ALONE) == 0
    lease_s = LEASE_S if alone or chance.randrange(KEPT) == 0 else 0.0
    kill = Kill(runtime, alone, lease_s, 0.0, chance.randrange(5) == 0)
    kill.after_s = chance.uniform(0, EARLY_S if kill.early else LATE_S)
    heard, tells = os.pipe()
    fcntl.fcntl(tells, fcntl.F_SETPIPE_SZ, ROOM_BYTES)
    harness = os.fork()
    if harness == 0:
        os.close(heard)
        be_a_harness(scenario, runs, kill, tells)
    os.close(tells)
    said = hear(heard, 0 if kill.early else chance.randrange(1, EVENTS))
    time.sleep(kill.after_s)
    watchdogs = [pid for pid, parent in parents() if parent == harness]
    for pid in [harness, *(watchdogs if alone else ())]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    os.waitpid(harness, 0)
    with os.fdopen(heard, "rb") as file:
        *acknowledged, _ = (said + file.read()).split(b"\n")  # the last may be cut off
    anyio.run(examine, kill, runs, killed_at)
    if not ended(watchdogs):
        kill.faults.append("a watchdog is left")
    compare(kill, runs, acknowledged)
    return kill


def hear(heard: int, events: int) -> bytes:
    """What the harness says until it has told of so many events, or is slow to."""
    said = b""
    while (
        said.count(b"\n") < events
        and select.select([heard], [], [], SLOW_S if said else GRACE_S)[0]
    ):
        said += os.read(heard, 65536)
    return said


def be_a_harness(scenario: Path, runs: Path, kill: Kill, tells: int) -> None:
    """Run the scenario as the command line does; every event is told when it has been written."""
    loaded = load(str(scenario))
    wishes = loaded.scenario.sandbox.model_copy(update={"runtime": kill.runtime})
    loaded.scenario.__dict__["sandbox"] = wishes
    plan = Plan(
        loaded=loaded,
        model=load_control(scenario, "counts"),
        instructions=read_instructions(loaded, None),
        runs=runs,
        command_line=[],
        changed={},
        lease_s=kill.lease_s,
        listener=lambda event: tell(tells, event),
    )
    try:
        anyio.run(run_scenario, plan)
    finally:
        time.sleep(2 * GRACE_S)  # it is killed even if it has come to its end
        os._exit(0)


def tell(tells: int, event: dict[str, Any]) -> None:
    os.write(tells, json.dumps(event).encode() + b"\n")


def parents() -> Iterator[tuple[int, int]]:
    """Every process of the machine and its parent."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])


async def examine(kill: Kill, runs: Path, killed_at: float) -> None:
    """Whether all stands still in time, and whether all is gone when the lease is over."""
    engine = Engine()
    try:
        left = await sandboxes(engine, runs)
        kill.sandboxes = len(left)
        if kill.lease_s and left:
            gvisor = kill.runtime == "runsc"
            kill.frozen_s, kill.late_s = await frozen_after(left, killed_at, gvisor=gvisor)
            if kill.late_s > STILL_S:
                kill.faults.append("something still ran")
        await see_off(kill, engine, runs, killed_at + kill.lease_s)
    finally:
        engine.close()


async def see_off(kill: Kill, engine: Engine, runs: Path, ends: float) -> None:
    """Wait until no sandbox is left, as whoever has to remove them does so."""
    while left := await sandboxes(engine, runs):
        for container in left:
            if time.monotonic() > ends + GRACE_S:
                kill.faults.append("a sandbox outlives its lease")
                await container.remove()
            elif kill.alone:
                await reap(container)
        await anyio.sleep(0.3)
    if not kill.alone:
        kill.over_lease_s = max(time.monotonic() - ends, 0.0)


def ended(watchdogs: list[int]) -> bool:
    """Whether they end, as all do that have nothing left to look after."""
    until = time.monotonic() + GRACE_S
    while any(Path(f"/proc/{pid}").exists() for pid in watchdogs):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


async def sandboxes(engine: Engine, runs: Path) -> list[Container]:
    """Those of this kill's harness."""
    mine = f"{runs}/"
    return [one for one in await engine.ours() if one.labels.get(FOLDER_LABEL, "").startswith(mine)]


async def reap(container: Container) -> None:
    """What `agent-eval reap` does, for this sandbox alone."""
    why, _ = judged(container, everything=False)
    with suppress(AgentEvalError):
        if why is not None:
            await remove([container], why)


async def frozen_after(
    left: list[Container], killed_at: float, *, gvisor: bool
) -> tuple[float | None, float]:
    """When a program of the agent's last ran, and how much of the processor it used too late."""
    states = [(await container.stated())["State"] for container in left]
    pids = [state["Pid"] for state in states if state["Running"]]
    if len(pids) != 1:
        return None, 0.0
    last = late_s = 0.0
    looked_s, before = 0.0, used_by_agent(pids[0], gvisor=gvisor)
    while looked_s < FROZEN_S + 1.5:
        looked_s = time.monotonic() - killed_at
        await anyio.sleep(WINDOW_S)
        now = used_by_agent(pids[0], gvisor=gvisor)
        spent = spent_s(before, now)
        if spent > STILL_S:
            last = time.monotonic() - killed_at
            late_s += spent if looked_s > FROZEN_S else 0.0
        before = now
    return last, late_s


def compare(kill: Kill, runs: Path, acknowledged: list[bytes]) -> None:
    """Hold the record against what was acknowledged of it."""
    kill.acknowledged = len(acknowledged)
    folders = list(runs.iterdir()) if runs.exists() else []
    if not folders or not folders[0].joinpath("events.jsonl").stat().st_size:
        kill.faults += ["an acknowledged event has no record"] * bool(acknowledged)
        return
    report = verify(folders[0])
    kill.faults += report.faults
    if not report.complete and (kill.sandboxes or not kill.alone):
        kill.faults.append(f"not complete: it ends with {report.last.get('kind')}")
    recorded = list(read_events(folders[0]))
    told = [json.loads(line) for line in acknowledged]
    kill.last = told[-1]["kind"] if told else kill.last
    if recorded[: len(told)] != told:
        kill.faults.append("an acknowledged event is not in the record")


HEAD = (
    *("runtime", "watchdog", "lease", "kills", "acknowledged events", "lost", "faults"),
    *("ran on", "last ran: median", "at most", "over its lease at most"),
)


def rows(kills: list[Kill]) -> Iterator[list[object]]:
    """The table: one row for each way of killing."""
    for runtime, alone, lease_s in sorted({(k.runtime, k.alone, k.lease_s) for k in kills}):
        some = [k for k in kills if (k.runtime, k.alone, k.lease_s) == (runtime, alone, lease_s)]
        ran_on = [k.frozen_s for k in some if k.frozen_s]
        over = [k.over_lease_s for k in some if k.over_lease_s is not None]
        lost = sum("acknowledged" in fault for k in some for fault in k.faults)
        yield [
            *(runtime, "killed too" if alone else "there", f"{lease_s:g} s", len(some)),
            *(sum(k.acknowledged for k in some), lost, sum(len(k.faults) for k in some)),
            len(ran_on) if lease_s else None,
            f"{statistics.median(ran_on):.1f} s" if ran_on else None,
            f"{max(ran_on):.1f} s" if ran_on else None,
            f"{max(over):.1f} s" if over else None,
        ]


if __name__ == "__main__":
    main()
