"""The watchdog's process: cheap, outlives what it watches, and ends when nothing is left to do."""

import json
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

from agent_eval.watchdog.__main__ import wait
from agent_eval.watchdog.leash import Leash

HEAVY = ("docker", "pydantic", "anyio", "requests")

HOLDS = """
import sys, time
from pathlib import Path
from agent_eval.watchdog.leash import leash
leash().watch("run-1", Path(sys.argv[1]), 0)
print(leash()._process.pid, flush=True)
{then}
"""


def watch(run: str) -> bytes:
    return json.dumps({"watch": {"run": run, "folder": "/x", "lease_s": 1}}).encode() + b"\n"


def forget(run: str) -> bytes:
    return json.dumps({"forget": run}).encode() + b"\n"


def test_what_was_not_forgotten_is_left_at_the_end() -> None:
    said = watch("a") + watch("b") + forget("a") + forget("never") + watch("c")
    assert [one["run"] for one in wait(BytesIO(said))] == ["b", "c"]
    assert wait(BytesIO(watch("a") + forget("a"))) == []


def test_it_ends_at_once_when_all_is_forgotten(tmp_path: Path) -> None:
    leash = Leash()
    leash.watch("run-1", tmp_path, 3600)
    process = leash._process
    assert process
    assert process.poll() is None
    leash.forget("run-1")
    leash.close()
    assert process.returncode == 0
    leash.close()


def test_one_that_was_killed_is_replaced_and_knows_all(tmp_path: Path) -> None:
    leash = Leash()
    leash.watch("run-1", tmp_path, 3600)
    first = leash._process
    assert first
    first.kill()
    first.wait(100)
    leash.watch("run-2", tmp_path, 3600)
    assert leash._process
    assert leash._process.pid != first.pid
    for run in ("run-1", "run-2"):
        leash.forget(run)
    leash.close()


def test_waiting_imports_nothing_heavy() -> None:
    look = "import sys, agent_eval.watchdog.__main__; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_it_is_there_while_its_harness_is_stopped_and_outlives_one_that_is_killed(
    tmp_path: Path,
) -> None:
    """It has a session of its own, and nothing of the harness's descriptors."""
    reads, writes = os.pipe()
    os.set_inheritable(writes, True)
    script = HOLDS.format(then="time.sleep(600)")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        pass_fds=[writes],
        start_new_session=True,
    ) as harness:
        os.close(writes)
        assert harness.stdout
        watchdog = int(harness.stdout.readline())
        assert os.getsid(watchdog) == watchdog
        harness.send_signal(signal.SIGSTOP)
        os.kill(watchdog, signal.SIGINT)
        os.kill(watchdog, signal.SIGHUP)
        time.sleep(0.5)
        assert cpu_s(watchdog) < 0.5
        os.killpg(harness.pid, signal.SIGKILL)
    assert os.read(reads, 1) == b"", "it holds none of the harness's files open"
    os.close(reads)
    until = time.monotonic() + 200  # there is no sandbox and no record: nothing to do
    while Path(f"/proc/{watchdog}").exists() and "\tZ" not in status(watchdog):
        assert time.monotonic() < until
        time.sleep(0.1)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\tZ"
