"""Nothing runs unseen: while the harness is silent PID 1 keeps all of the agent's standing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from agent_eval.basics.clock import SILENCE_S, WorkingClock
from agent_eval.record.verify import verify
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.supervisor import Execution
from tests.docker.boxes import RUNTIMES, bash, box
from tests.docker.folders import events, only_run, scenario
from tests.docker.test_run import wait_for_event

pytestmark = [pytest.mark.docker, pytest.mark.anyio, pytest.mark.slow]

FROZEN_S = 5.0

LOOKS_AT_THE_CLOCK = """
import os, time
def write(path, text):  # in one go: it may be killed at any instant
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
last = time.time()
while True:
    now = time.time()
    write("/tmp/NAME", str(now))
    if now - last > 1:
        write("/tmp/NAME-stood", f"{last} {now}")
    last = now
    time.sleep(0.01)
"""

WAKES_ITSELF = (
    """
import ctypes, signal
signal.signal(signal.SIGCONT, lambda *_: None)
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int),
                ("rest", ctypes.c_char * 48)]
call = ctypes.CDLL(None)
for number in range(20):  # one that is due just when it is stopped is lost
    event, timer = Event(None, signal.SIGCONT, 0), ctypes.c_void_p()
    assert call.timer_create(1, ctypes.byref(event), ctypes.byref(timer)) == 0
    every = (ctypes.c_long * 4)(0, 10_000_000 + number * 1_700_000, 0, 20_000_000)
    assert call.timer_settime(timer, 0, every, None) == 0
"""
    + LOOKS_AT_THE_CLOCK
)
"""A timer of the kernel's goes on in a process that stands, and may send it any signal."""


async def started(sandbox: Sandbox, name: str, code: str) -> int:
    """Leave a program running in the background, in a group of its own; returns its number."""
    await sandbox.put([File(f"/home/user/{name}.py", code.replace("NAME", name).encode())])
    await bash(
        sandbox, f"setsid python3 ~/{name}.py 2> ~/said & until [ -e /tmp/{name} ]; do :; done"
    )
    return int((await bash(sandbox, f"pgrep -f {name}.py")).output)


async def fall_silent(silent_s: list[float]) -> float:
    """Let the whole harness stand still for a while; returns when that began."""
    since = time.time()
    time.sleep(SILENCE_S + 4)  # noqa: ASYNC251 - nothing of this process may go on
    with anyio.fail_after(150):
        while not silent_s:  # noqa: ASYNC110 - the next beat tells
            await anyio.sleep(0.05)
    return since


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_in_silence_all_stands_still_and_then_goes_on(runtime: str) -> None:
    """One that wakes itself is killed, unless its timers were lost; then it stood as well."""
    silent_s: list[float] = []
    clock = WorkingClock()
    clock.on_gap = silent_s.append
    async with box(runtime, clock=clock) as sandbox:
        await started(sandbox, "honest", LOOKS_AT_THE_CLOCK)
        wakes = await started(sandbox, "wakes", WAKES_ITSELF)
        await bash(sandbox, "x=kept; setsid sh -c 'kill -STOP $$; echo over > ~/over' & y=$!")
        since = await fall_silent(silent_s)
        with anyio.fail_after(150):
            while not (stood := (await bash(sandbox, "cat /tmp/honest-stood 2>&-")).output):  # noqa: ASYNC110
                await anyio.sleep(0.1)
        first, then = map(float, stood.split())
        assert first - since < FROZEN_S
        assert then - first > 1
        told = await bash(sandbox, "echo $x; ls ~/over; kill -CONT $y; wait $y; cat ~/over")
        assert b"kept\n" in told.output, "the session is the same"
        assert b"cannot access" in told.output, "who had stood before still did"
        assert b"over\n" in told.output
        over = f"[ -e /tmp/wakes-stood ] || ! kill -0 {wakes} 2>&-"
        look = f"until {over}; do sleep 0.1; done; cat /tmp/wakes-stood 2>&- || cat /tmp/wakes"
        assert float((await bash(sandbox, look)).output.split()[0]) - since < FROZEN_S
    assert silent_s[0] > SILENCE_S


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_while_its_clock_is_held_all_stands_still_and_no_deadline_passes(
    runtime: str,
) -> None:
    """Who wakes itself is killed; what was sent to the sandbox meanwhile wakes nobody."""
    clock = WorkingClock()
    async with box(runtime, clock=clock) as sandbox:
        await started(sandbox, "honest", LOOKS_AT_THE_CLOCK)
        await started(sandbox, "wakes", WAKES_ITSELF)
        answers: list[Execution] = []
        async with anyio.create_task_group() as tasks:

            async def counts() -> None:
                words = "x=kept; for i in $(seq 4); do sleep 0.3; done; echo over"
                answers.append(await bash(sandbox, words, timeout_s=10))

            tasks.start_soon(counts)
            await anyio.sleep(0.5)
            clock.hold()
            since = time.time()
            await anyio.sleep(15)
            assert not answers
            clock.let_go()
        (answer,) = answers
        assert (answer.rung, answer.output) == ("none", b"over\n")
        assert answer.duration_s < 10
        assert (await bash(sandbox, "echo $x")).output == b"kept\n", "the session is the same"
        with anyio.fail_after(150):
            while not (stood := (await bash(sandbox, "cat /tmp/honest-stood 2>&-")).output):  # noqa: ASYNC110
                await anyio.sleep(0.1)
        first, then = map(float, stood.split())
        assert first - since < FROZEN_S
        assert then - first > 15 - FROZEN_S - 1


def test_a_stopped_harness_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ctrl-Z for longer than an action may take: no deadline was missed, and the gap is told."""
    wait = "for i in $(seq 5); do sleep 0.4; done; echo over"
    controls = f"def one(task):\n    yield bash({wait!r}, timeout_s=12)\n    yield submit('done')\n"
    folder = scenario(tmp_path, controls)
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:one"]
    with subprocess.Popen([*command, "--runs", str(runs)], stderr=subprocess.DEVNULL) as process:
        wait_for_event(runs, "action.started")
        process.send_signal(signal.SIGSTOP)
        time.sleep(15)
        process.send_signal(signal.SIGCONT)
        assert process.wait(250) == 0
    run = only_run(runs)
    assert verify(run).good
    (ended,) = events(run, "action.ended")
    assert (ended["rung"], ended["output"]["text"]) == ("none", "over\n")
    (gap,) = events(run, "harness.gap")
    assert 14 < gap["silent_s"] < 100
    (closed,) = events(run, "run.closed")
    worked_s = closed["elapsed_s"] - (gap["silent_s"] - SILENCE_S)
    assert closed["spent"]["wall_s"] <= worked_s, "nor is the gap in the wall time"
