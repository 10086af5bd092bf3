"""PID 1 against its own agent: it cannot be reached, muted, filled up, imitated or worn out."""

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from agent_eval.errors import Blame, SandboxDied
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Engine, runtime_for
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.settings import asked_for
from agent_eval.scenario.model import Sandbox as Wishes
from tests.docker.boxes import ROOM, RUNTIMES, bash, box, python

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

ON_BOTH = pytest.mark.parametrize("runtime", RUNTIMES)


async def pong(sandbox: Sandbox) -> dict[str, Any]:
    """What PID 1 says it holds."""
    supervisor = sandbox._supervisor
    await supervisor._pipe.order("ping", number=1)
    return await supervisor._answer(None, 10)


async def evidence(sandbox: Sandbox) -> tuple[int, dict[str, bytes], list[str]]:
    """What a run does at its end: freeze, then export the home folder."""
    moving = await sandbox.freeze()
    files, refused = await sandbox.get(["/home/user"], ROOM)
    return moving, {file.path.rpartition("/")[2]: file.data for file in files}, refused


async def latencies(sandbox: Sandbox, program: str, code: str, count: int) -> list[float]:
    """Seconds that each of some equal actions took."""
    return [(await sandbox.execute(program, code, 20, ROOM)).duration_s for _ in range(count)]


OUT_OF_REACH = """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
through = []
def attempt(name, act):
    try:
        if act() != -1:
            through.append(name)
    except OSError:
        pass
for number in range(1, 65):
    attempt("signal %d" % number, lambda: os.kill(1, number))
attempt("attach", lambda: libc.ptrace(16, 1, 0, 0))
attempt("seize", lambda: libc.ptrace(0x4206, 1, 0, 0))
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
here = ctypes.create_string_buffer(8)
ours, theirs = Vector(ctypes.addressof(here), 8), Vector(0x400000, 8)
for call in ("process_vm_readv", "process_vm_writev"):
    act = getattr(libc, call)
    attempt(call, lambda: act(1, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))
attempt("limits", lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (3, 3)))
attempt("processors", lambda: os.sched_setaffinity(1, {0}))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))
for name in ("mem", "environ", "stack", "cwd", "root", "exe", "maps", "auxv", "oom_score_adj",
             "clear_refs", "coredump_filter", "comm", "ns/pid", "map_files", "task/1/mem"):
    for how in (os.O_RDONLY, os.O_WRONLY):
        if name not in READABLE or how != os.O_RDONLY:
            attempt("%s %d" % (name, how), lambda: os.close(os.open("/proc/1/" + name, how)))
for fd in range(300):
    for how in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        path = "/proc/1/fd/%d" % fd
        try:
            got = os.open(path, how | os.O_NONBLOCK)
        except OSError:
            continue
        if how != os.O_WRONLY or os.fstat(got).st_ino not in OWN:
            through.append("%s %d" % (path, how))
        os.close(got)
print(through)
"""


@ON_BOTH
async def test_pid1_is_out_of_reach(runtime: str) -> None:
    readable = ["oom_score_adj", "comm", "coredump_filter"]
    harmless = b"[]\n"
    if runtime == "runsc":
        # It shows these of every process to every user, and nothing in them is secret. Where and
        # how soon a process runs are numbers that it keeps and does nothing with.
        readable += ["environ", "auxv", "maps", "cwd", "exe", "root", "ns/pid"]
        harmless = b"['processors', 'priority']\n"
    async with box(runtime) as sandbox:
        own = [await python(sandbox, "import os; os.fstat(1).st_ino")]
        own += [await bash(sandbox, "stat -L -c %i /proc/self/fd/1")]
        settings = f"READABLE = {readable}\nOWN = {[int(seen.output) for seen in own]}\n"
        assert (await python(sandbox, settings + OUT_OF_REACH)).output == harmless


@ON_BOTH
async def test_the_file_with_the_code_can_be_read_and_nothing_else(runtime: str) -> None:
    tries = """#read me
file=$(ls -d /run/sessions/*)
head -1 $file
for act in 'echo x >> '$file 'rm -f '$file 'mv '$file' /run/sessions/0' 'ln -s /tmp/x '$file'x' \\
    'mkdir /run/sessions/x' 'touch /run/x' 'chmod 777 '$file 'mkfifo /run/sessions/output' \\
    'mv /run/sessions /run/s'; do eval "$act" 2>/dev/null && echo "$act worked"; done
stat -c '%U %a' /run/sessions $file
"""
    async with box(runtime) as sandbox:
        seen = await bash(sandbox, tries)
        assert seen.output.decode().splitlines() == ["#read me", "root 755", "root 644"]


@ON_BOTH
async def test_output_may_be_opened_by_name_to_write_and_reports_may_not(runtime: str) -> None:
    async with box(runtime) as sandbox:
        for code, said in (
            ("echo out > /dev/stdout; echo err > /dev/stderr", "out\nerr\n"),
            ("echo twice | tee /dev/stderr", "twice\ntwice\n"),
            ("cat /dev/stdout", "Permission denied"),
            ("echo x > /proc/self/fd/199", "Permission denied"),
        ):
            assert said in (await bash(sandbox, code)).output.decode(), code


PLANT = r"""
mkdir bin && cd bin
for name in python3 bash sh env tar; do printf '#!/bin/sh\necho planted\n' > $name; done
chmod +x *; cd
echo 'export PATH=~/bin:$PATH; echo planted' | tee .bashrc .bash_profile .profile > .bash_login
export PATH=~/bin:$PATH BASH_ENV=~/.bashrc PYTHONPATH=~ PYTHONSTARTUP=~/os.py
for name in ast os sys struct tarfile json linecache traceback types zlib pwd grp copy stat; do
    echo 'print("planted"); open("/home/user/proof", "w").close()' > $name.py
done
echo evidence > evidence
"""


@ON_BOTH
async def test_planted_programs_and_modules_are_not_what_the_host_starts(runtime: str) -> None:
    async with box(runtime) as sandbox:
        assert (await bash(sandbox, PLANT)).reported_exit == 0
        assert (await bash(sandbox, "exit")).session_lost
        assert (await python(sandbox, "import os; os._exit(0)")).session_lost
        seen = await bash(sandbox, "type -P python3 bash; echo $PATH:$BASH_ENV:$PYTHONPATH")
        assert seen.output.splitlines()[:2] == [b"/usr/bin/python3", b"/usr/bin/bash"]
        assert b"planted" not in seen.output
        assert b"/home" not in seen.output
        assert (await python(sandbox, "6 * 7")).output == b"42\n"
        await sandbox.put([File("/home/user/put", b"put")])
        moving, files, refused = await evidence(sandbox)
        assert (moving, refused) == (0, [])
        assert files["evidence"] == b"evidence\n"
        assert files["put"] == b"put"
        assert "proof" not in files
        _, files, _ = await evidence(sandbox)
        assert "proof" not in files, "nothing of the agent's runs in a transfer"


ENDS_AS_ORPHANS = """
for i in $(seq 100); do (setsid true &); done
for i in $(seq 300); do ps -eo stat | grep -q Z || break; sleep 0.1; done
"""


@ON_BOTH
async def test_restarts_and_transfers_leave_nothing_behind(runtime: str) -> None:
    restarts = 300 if runtime == "runc" else 60
    async with box(runtime, open_files=256) as sandbox:
        await python(sandbox, "None")
        before = await pong(sandbox)
        for number in range(restarts):
            assert (await bash(sandbox, "(sleep 0.01 & sleep 0.02 &) ; exit 3")).session_lost
            if number % 10 == 0:
                assert (await python(sandbox, "import os; os._exit(4)")).session_lost
                assert (await python(sandbox, "1 + 1")).output == b"2\n"
                await sandbox.put([File(f"/home/user/{number}", b"x")])
                assert len((await sandbox.get(["/home/user"], ROOM))[0]) == number // 10 + 1
        await bash(sandbox, ENDS_AS_ORPHANS)
        after = await pong(sandbox)
        assert (after["descriptors"], after["children"]) == (before["descriptors"], 2)
        seen = await bash(sandbox, "ls /run/sessions | wc -l; ps -eo stat | grep -c Z")
        assert seen.output.split() == [b"1", b"0"], "neither files nor zombies"


@ON_BOTH
async def test_floods_while_nobody_asks_cost_and_lose_nothing(runtime: str) -> None:
    ticks = "cut -d')' -f2 /proc/1/stat | cut -d' ' -f13,14"
    async with box(runtime) as sandbox:
        await python(sandbox, "import subprocess\nsubprocess.Popen(['yes'])")
        await anyio.sleep(0.5)
        first = sum(map(int, (await bash(sandbox, ticks)).output.split()))
        await anyio.sleep(1)
        spent = sum(map(int, (await bash(sandbox, ticks)).output.split())) - first
        assert spent < 30, "hundredths of a second in which PID 1 did not rest"
        assert not (await bash(sandbox, "pkill -9 yes")).session_lost
        seen = await python(sandbox, "print('end')")
        assert (seen.cause, seen.dropped_bytes) == (None, 0)
        assert seen.output.endswith(b"end\n")
        assert len(seen.output) > 200_000, "what it wrote up to then is there"


@ON_BOTH
async def test_a_flood_of_reports_holds_nothing_up(runtime: str) -> None:
    async with box(runtime) as sandbox:
        flood = "import subprocess\nsubprocess.Popen(['yes', '0 0'], stdout=199)"
        await python(sandbox, flood, timeout_s=10)
        assert statistics.median(await latencies(sandbox, "bash", ":", 20)) < 3
        # Its own report may drown in the flood; then the time is up, and what it wrote is there.
        assert (await python(sandbox, "1 + 1", timeout_s=20)).output == b"2\n"
        assert (await bash(sandbox, "pkill -9 yes")).reported_exit == 0
        assert (await python(sandbox, "2 + 2")).output == b"4\n"


SPOIL = """
import fcntl, os
for fd in (1, 2, 199):
    os.set_blocking(fd, False)
    try:
        fcntl.fcntl(fd, 1031, 1 << 20)
    except OSError:
        pass
def fill(fd, what=bytes(65536)):
    try:
        for _ in range(64):  # PID 1 may read as fast as this writes; then it is never full
            os.write(fd, what)
    except BlockingIOError:
        pass
"""


@ON_BOTH
async def test_pipes_that_the_agent_spoils_are_its_own(runtime: str) -> None:
    async with box(runtime) as sandbox:
        assert (await python(sandbox, SPOIL)).reported_exit == 0
        seen = await python(sandbox, "fill(1)\nfill(199)\nfill(199, b'9' * 5000)")
        assert seen.duration_s < 30
        # One that no longer reads is sent more than its pipe takes; the others notice nothing.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bash, sandbox, "kill -STOP $$", 200)
            await anyio.sleep(0.5)
            started = time.monotonic()
            seen = await python(sandbox, f"len({'x' * 400_000!r})")
            assert seen.output.endswith(b"400000\n")
            assert time.monotonic() - started < 60
            tasks.cancel_scope.cancel()
        stop = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
        assert (await python(sandbox, stop, timeout_s=0.2)).rung == "kill"
        seen = await python(sandbox, "x = " + repr("x" * 500_000) + "; len(x)")
        assert seen.output == b"500000\n"


@asynccontextmanager
async def box_with_little_room(runtime: str) -> AsyncIterator[Sandbox]:
    """A sandbox in which PID 1 has hardly any room for its files."""
    engine = Engine()
    try:
        name = runtime_for(runtime, await engine.facts())
        asked = asked_for(Wishes(), "a-test", name, int(time.time()) + 600)
        run = asked.tmpfs["/run"].replace("size=4194304", "size=131072")
        asked = replace(asked, tmpfs={**asked.tmpfs, "/run": run})
        container = await engine.create(asked, COMMAND)
        try:
            async with opened(container, asked, ROOM) as sandbox:
                yield sandbox
        finally:
            await container.remove()
    finally:
        engine.close()


@ON_BOTH
async def test_a_full_disk_of_its_own_costs_an_action_and_no_more(runtime: str) -> None:
    async with box_with_little_room(runtime) as sandbox:
        for _ in range(3):
            seen = await bash(sandbox, "echo ran #" + "x" * 200_000)
            assert seen.session_lost
            assert b"No space left" in seen.output
            assert b"ran" not in seen.output
            assert (await bash(sandbox, "echo next")).output == b"next\n"
        holds = "(setsid sleep 300 7<$(ls -d /run/sessions/*) &); exit #"
        assert (await bash(sandbox, holds + "x" * 100_000)).session_lost
        seen = await bash(sandbox, "echo fits #" + "x" * 100_000)
        assert seen.output == b"fits\n", "the file of the ended session is gone, even if held open"


FORKS = """cat > forks.py <<'END'
import os
while True:
    try:
        os.fork()
        os.setsid()
    except OSError:
        pass
END
echo evidence > evidence
"""


async def test_fork_bombs_end_with_their_session_or_stop_with_the_rest() -> None:
    async with box("runc", processes=64) as sandbox:
        bomb = "trap '' INT; bomb() { bomb | bomb & }; bomb; sleep 30"
        seen = await bash(sandbox, FORKS + bomb, timeout_s=1)
        assert (seen.rung, seen.session_lost) == ("kill", True)
        assert (await bash(sandbox, "echo a new one")).output == b"a new one\n"
        # These leave their session, so they outlive it and hold every place there is.
        assert (await bash(sandbox, "python3 forks.py", timeout_s=1)).session_lost
        for _ in range(3):
            seen = await bash(sandbox, "echo got in", timeout_s=20)
            refused = b"Resource temporarily unavailable" in seen.output
            assert refused or seen.output == b"got in\n", seen
        started = time.monotonic()
        assert await evidence(sandbox) == (
            0,
            {"evidence": b"evidence\n", "forks.py": FORKS.split("END")[1][2:].encode()},
            [],
        )
        assert time.monotonic() - started < 50
        assert (await pong(sandbox))["op"] == "pong"


async def test_a_fork_bomb_in_gvisor_is_over_or_has_somebody_to_blame() -> None:
    """Nothing there counts processes, so the sandbox may die of it."""
    bomb = "trap '' INT; bomb() { bomb | bomb & }; bomb; sleep 30"
    try:
        async with box("runsc", memory_bytes="256MiB") as sandbox:
            await bash(sandbox, bomb, timeout_s=1)
            assert (await bash(sandbox, "echo a new one")).output == b"a new one\n"
    except SandboxDied as died:
        assert died.blame in (Blame.MODEL, Blame.LIMIT)


DEAF = """
import ctypes, os, signal
ctypes.CDLL(None).prctl(15, b"\\xff) R 1 (\\n", 0, 0, 0)
for number in set(range(1, 65)) - {9, 19, 32, 33}:
    signal.signal(number, signal.SIG_IGN)
for name in ("left", "setsid", "stopped"):
    if os.fork() == 0:
        if name == "setsid": os.setsid()
        if name == "stopped": os.kill(os.getpid(), 19)
        while True: signal.pause()
while True: signal.pause()
"""

KILLER = """
import os
open("evidence", "w").write("evidence")
if os.fork() == 0:
    os.setsid()
    while True:
        try: os.kill(-1, 9)
        except OSError: pass
"""


@ON_BOTH
async def test_neither_the_unkillable_nor_killers_outlast_it(runtime: str) -> None:
    async with box(runtime) as sandbox:
        seen = await python(sandbox, DEAF, timeout_s=0.5)
        assert (seen.rung, seen.session_lost) == ("kill", True)
        seen = await bash(sandbox, "ps -eo pid,args | grep -c '[p]ython3 -c'")
        assert seen.output == b"0\n", "its family went with it"
        await python(sandbox, KILLER)
        for _ in range(4):
            started = time.monotonic()
            seen = await bash(sandbox, "sleep 1; echo not reached")
            assert (seen.session_lost, seen.cause) == (True, None)
            assert time.monotonic() - started < 50
        assert (await evidence(sandbox))[:2] == (0, {"evidence": b"evidence"})
        assert (await pong(sandbox))["op"] == "pong"


HIDE = """
import ctypes, fcntl, os, signal, struct, time
from pathlib import Path
home = Path("/home/user")
home.joinpath("evidence").write_text("evidence")
if os.fork() == 0:  # has a timer wake it whenever it is stopped
    os.setsid()
    signal.signal(signal.SIGCONT, lambda *_: None)
    number = ctypes.c_void_p()
    event = struct.pack("qii48x", 0, signal.SIGCONT, 0)
    assert ctypes.CDLL(None).timer_create(1, event, ctypes.byref(number)) == 0
    spec = struct.pack("qqqq", 0, 5_000_000, 0, 5_000_000)
    assert ctypes.CDLL(None).timer_settime(number, 0, spec, None) == 0
    while True:
        home.joinpath("clock").write_text(str(time.time()))
if os.fork() == 0:  # a file with a lease on it is closed to others
    os.setsid()
    file = os.open(home / "evidence", os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        pass  # gVisor has none
    home.joinpath("leased").touch()
    signal.pause()
while not home.joinpath("leased").exists() or not home.joinpath("clock").exists():
    time.sleep(0.01)
os.chmod(home, 0)
"""


@ON_BOTH
async def test_what_was_frozen_is_not_woken_and_hides_nothing(runtime: str) -> None:
    async with box(runtime) as sandbox:
        assert (await python(sandbox, HIDE)).reported_exit == 0
        assert (await bash(sandbox, "exit")).session_lost
        assert (await bash(sandbox, "pwd; cd")).output.startswith(b"/\n")
        moving, files, refused = await evidence(sandbox)
        assert (moving, refused, files["evidence"]) == (0, [], b"evidence")
        await anyio.sleep(0.2)
        assert await evidence(sandbox) == (0, files, [])


@ON_BOTH
async def test_thousands_of_small_actions_stay_quick(runtime: str) -> None:
    count = 1000 if runtime == "runc" else 250
    async with box(runtime) as sandbox:
        for program, code in (("bash", "x=$((x + 1))"), ("python", "x = 1")):
            took = await latencies(sandbox, program, code, count)
            fifth = count // 5
            first, last = min(took[:fifth]), min(took[-fifth:])  # the rest is what else there is
            assert last < 2 * first + 0.02, f"{program}: {first:.4f} s, then {last:.4f} s"
        assert (await bash(sandbox, "echo $x")).output == b"%d\n" % count
