"""The kernel record under runc, by programs that do not want to be seen."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import docker
import pytest

from agent_eval.errors import EngineUnavailable
from agent_eval.record.verify import verify
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Container, Engine
from agent_eval.sandbox.kernel import Fact, private_folder
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.seccomp_record import SeccompRecord, unavailable
from agent_eval.sandbox.settings import RECORDED_RUNC, Asked, asked_for
from agent_eval.scenario.model import Sandbox as Wishes
from tests.docker.boxes import ROOM, bash, python
from tests.docker.folders import events, summary
from tests.docker.test_kernel_record import DISGUISES as DISGUISED_ACTIONS
from tests.docker.test_kernel_record import facts as facts_of
from tests.docker.test_kernel_record import programs
from tests.docker.test_kernel_record import record as recorded_run

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def container_made(command: list[str] = COMMAND) -> AsyncIterator[tuple[Container, Asked]]:
    """A container that would be recorded, not started yet."""
    engine = Engine()
    try:
        if why := unavailable(await engine.facts()):
            pytest.skip(why)
        asked = asked_for(Wishes(), "a-test", RECORDED_RUNC, int(time.time()) + 600)
        container = await engine.create(asked, command)
        try:
            yield container, asked
        finally:
            await container.remove()
    finally:
        engine.close()


@asynccontextmanager
async def recorded(
    record: SeccompRecord | None = None,
) -> AsyncIterator[tuple[Sandbox, SeccompRecord]]:
    """A sandbox and its record."""
    record = record or SeccompRecord()
    async with AsyncExitStack() as stack:
        container, asked = await stack.enter_async_context(container_made())
        folder = stack.enter_context(private_folder(container.id))
        record.listen(folder)
        stack.callback(record.close)
        sandbox = await stack.enter_async_context(opened(container, asked, ROOM))
        assert record.connected()
        yield sandbox, record


def listeners() -> list[int]:
    """The descriptors of this process through which the kernel asks."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [int(link.name) for link in links if "seccomp" in str(link.readlink())]


def starts(facts: Sequence[Fact]) -> list[list[str]]:
    """The arguments of what was started."""
    return [list(fact.fields.get("argv", [])) for fact in facts if fact.what == "start"]


def parents(facts: Sequence[Fact]) -> dict[int, int]:
    """Who forked whom."""
    return {fact.fields["child"]: fact.pid for fact in facts if fact.what == "fork"}


def descends(pid: int, ancestor: int, family: dict[int, int]) -> bool:
    """Whether a process was forked by another, or by one that was, and so on."""
    while pid in family and pid != ancestor:
        pid = family[pid]
    return pid == ancestor


async def test_the_first_program_and_the_sessions_are_on_record() -> None:
    async with recorded() as (_, record):
        facts = record.drain()
    first = next(fact for fact in facts if fact.what == "start")
    assert first.pid == 1
    assert first.fields["argv"] == COMMAND
    assert {fact.fields.get("uid") for fact in facts if fact.what == "user"} >= {1000}
    programs = {fact.fields["program"] for fact in facts if fact.what == "start"}
    assert "/usr/bin/bash" in programs
    assert abs(first.time_ns - time.time_ns()) < 300e9
    assert record.lost == 0
    assert record.received_bytes > 0


IN_MEMORY = """
import os
f = os.memfd_create("m", 0)
os.write(f, open("/bin/echo", "rb").read())
os.execve(f, ["m", "AIM"], {})
"""
DISGUISES = {
    "an interpreter's -c": ('python3 -c \'import os; os.execl("/bin/echo", "t", "AIM")\'', "t"),
    "a shell in a shell": ('sh -c "bash -c \'bash -c \\"/bin/echo AIM\\"\'"', "/bin/echo"),
    "base64": ("echo L2Jpbi9lY2hvIEFJTQo= | base64 -d | sh", "/bin/echo"),
    "another name": ("cp /bin/echo ~/ls; ~/ls AIM", "/home/user/ls"),
    "a link": ("ln -s /bin/echo ~/l; ~/l AIM", "/home/user/l"),
    "exec -a": ("(exec -a harmless /bin/echo AIM)", "harmless"),
    "a copied interpreter": (
        "cp /bin/bash ~/x; ~/x -c 'exec -a y /bin/echo AIM'",
        "y",
    ),
    "a double fork": ("( (setsid /bin/echo AIM &) & ); sleep 0.3", "/bin/echo"),
    "a file in memory": (f"python3 -c '{IN_MEMORY}'", "m"),
}


async def test_disguises_are_seen_through() -> None:
    async with recorded() as (sandbox, record):
        for name, (command, argument) in DISGUISES.items():
            record.drain()
            done = await bash(sandbox, command)
            facts = record.drain()
            assert b"AIM" in done.output, (name, done.output)
            aims = [
                fact
                for fact in facts
                if fact.what == "start" and list(fact.fields["argv"]) == [argument, "AIM"]
            ]
            assert len(aims) == 1, (name, facts)
            program = aims[0].fields["program"]
            wanted = {
                "another name": "/home/user/ls",
                "a file in memory": "/memfd:m (deleted)",
            }
            assert program == wanted.get(name, "/usr/bin/echo"), name


async def test_an_orphan_is_its_true_parents_child() -> None:
    """The parent ends before its child does anything, by whatever means."""
    code = (
        "import os, signal\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        os.kill(os.getppid(), signal.SIGKILL)\n"
        "        while os.getppid() != 1: pass\n"
        "        os.execl('/bin/echo', 'echo', 'orphan')\n"
        "    signal.pause()\n"
        "os.wait()\n"
        "import time; time.sleep(0.5)\n"
    )
    async with recorded() as (sandbox, record):
        facts = record.drain()
        session = await python(sandbox, "import os; print(os.getpid())")
        await python(sandbox, code)
        facts += record.drain()
    orphan = next(f for f in facts if f.what == "start" and "orphan" in f.fields["argv"])
    assert descends(orphan.pid, int(session.output), parents(facts))


async def test_a_process_left_behind_is_seen_later() -> None:
    async with recorded() as (sandbox, record):
        await bash(sandbox, "(sleep 4; /bin/echo late > /home/user/late) & disown")
        assert ["/bin/echo", "late"] not in starts(record.drain())
        seen: list[Fact] = []
        with anyio.fail_after(100):
            while ["/bin/echo", "late"] not in starts(seen):
                await anyio.sleep(0.2)
                seen += record.drain()


async def test_what_is_asked_of_files_and_sockets_is_on_record() -> None:
    code = (
        "import os, socket\n"
        "os.chdir('/home/user')\n"
        "open('a', 'w').close(); os.symlink('a', 'link'); open('link', 'a').close()\n"
        "open('a').close()\n"
        "os.rename('a', 'b'); os.remove('b'); os.mkdir('d'); os.rmdir('d')\n"
        "def attempt(act, *rest):\n"
        "    try: act(*rest)\n"
        "    except OSError: pass\n"
        "attempt(socket.socket().connect, ('10.9.8.7', 4444))\n"
        "attempt(socket.socket(socket.AF_INET6).connect, ('2001:db8::1', 53))\n"
        "socket.socket().bind(('127.0.0.1', 8081))\n"
        "attempt(socket.socket(socket.AF_UNIX).connect, '/var/run/docker.sock')\n"
        "attempt(os.setuid, 0)\n"
        "import signal\n"
        "attempt(os.kill, 1, 19); attempt(signal.pidfd_send_signal, os.pidfd_open(1), 15)\n"
        "os.kill(os.getpid(), 0)\n"
    )
    async with recorded() as (sandbox, record):
        record.drain()
        done = await python(sandbox, code)
        assert done.reported_exit == 0, done.output
        facts = record.drain()
    said = [(fact.what, dict(fact.fields)) for fact in facts]
    new = ["write", "create", "truncate"]
    for wanted in (
        ("open", {"path": "/home/user/a", "mode": new}),
        ("open", {"path": "/home/user/a", "mode": ["write", "create", "append"]}),
        ("rename", {"path": "/home/user/a", "to": "/home/user/b"}),
        ("remove", {"path": "/home/user/b"}),
        ("remove", {"path": "/home/user/d"}),
        ("connect", {"address": "10.9.8.7:4444"}),
        ("connect", {"address": "[2001:db8::1]:53"}),
        ("bind", {"address": "127.0.0.1:8081"}),
        ("connect", {"address": "unix:/var/run/docker.sock"}),
        ("user", {"call": "setuid", "uid": 0}),
        ("signal", {"target": 1, "signal": 19}),
        ("signal", {"target": 1, "signal": 15}),
    ):
        assert wanted in said, (wanted, said)
    assert sum(what == "signal" for what, _ in said) == 2
    assert len({fact.pid for fact in facts if fact.what in ("rename", "connect", "user")}) == 1


async def test_nothing_is_lost_with_eight_at_a_time() -> None:
    command = (
        "for w in 1 2 3 4 5 6 7 8; do (for i in {1..250}; do /bin/true $w.$i; done) & done; wait"
    )
    async with recorded() as (sandbox, record):
        record.drain()
        done = await bash(sandbox, command, 90)
        assert done.cause is None
        facts = record.drain()
        assert record.lost == 0
    seen = [argv[1] for argv in starts(facts) if argv[0] == "/bin/true"]
    assert sorted(seen) == sorted(f"{w}.{i}" for w in range(1, 9) for i in range(1, 251))
    true = {fact.pid for fact in facts if fact.what == "start" and len(fact.fields["argv"]) == 2}
    assert len(true & {fact.pid for fact in facts if fact.what == "exit"}) == len(true)


HOSTILE = """
import ctypes, os, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *rest):
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(one) for one in rest])
for place in (0, 1, -1, -2**63, 2**63 - 1, 2**47, 0xffffffffff600000):
    call(59, place, place, place); call(322, -100, place, place, place, 0)
    call(42, 3, place, 2**31 - 1); call(49, 3, place, -1)
    call(257, -100, place, 0o1101, 0); call(437, -100, place, place, 24)
    call(87, place); call(263, place, place, 0); call(82, place, place)
pid = os.fork()
if pid == 0:
    try: os.execv('/bin/true', ['/bin/true'] + ['x' * 100_000] * 19)
    finally: os._exit(9)
print(os.waitpid(pid, 0)[1])
pid = os.fork()
if pid == 0:
    text = ctypes.create_string_buffer(b'/bin/true')
    array = (ctypes.c_uint64 * 3)(ctypes.addressof(text), ctypes.addressof(text), 0)
    def race():
        while True:
            text.value = b'/bin/fals'; text.value = b'/bin/true'; array[1] = 1
            array[1] = ctypes.addressof(text)
    threading.Thread(target=race, daemon=True).start()
    for _ in range(300): call(59, ctypes.addressof(text), ctypes.addressof(array), 0)
    os._exit(8)
os.waitpid(pid, 0)
print('survived')
"""


async def test_hostile_arguments_harm_neither_the_record_nor_the_sandbox() -> None:
    async with recorded() as (sandbox, record):
        await python(sandbox, "None")
        record.drain()
        done = await python(sandbox, HOSTILE, 60)
        assert b"0\r\nsurvived" in done.output.replace(b"\n", b"\r\n"), done.output
        large = [fact for fact in record.drain() if fact.what == "start"]
        assert record.broken is None
        assert sum(map(len, large[0].fields["argv"])) <= 33_000
        assert large[0].fields["argv"][0] == "/bin/true"
        await bash(sandbox, "/bin/echo still seen")
        assert ["/bin/echo", "still", "seen"] in starts(record.drain())


async def test_two_sandboxes_do_not_mix() -> None:
    async with recorded() as (one, of_one), recorded() as (two, of_two):
        async with anyio.create_task_group() as group:
            for sandbox, word in ((one, "first"), (two, "second")):
                group.start_soon(
                    bash, sandbox, f"for i in {{1..50}}; do /bin/echo {word}; done", 60
                )
        mine, other = str(starts(of_one.drain())), str(starts(of_two.drain()))
    assert mine.count("first") == other.count("second") == 50
    assert "second" not in mine
    assert "first" not in other


async def test_a_record_that_nobody_empties_holds_the_sandbox_up_and_loses_nothing() -> None:
    async with recorded(SeccompRecord(max_waiting=500)) as (sandbox, record):
        record.drain()
        before, seen = record.received_bytes, []
        done = anyio.Event()

        async def write() -> None:
            ended = await bash(sandbox, "for i in {1..1500}; do : > /home/user/$i; done", 250)
            assert ended.cause is None
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            for _ in range(600):
                await anyio.sleep(0.1)
                if record.received_bytes - before > 450 * 336:  # 80 bytes and a path each
                    break
            await anyio.sleep(2)
            seen += record.drain()
            assert len(seen) < 550
            assert not done.is_set()
            while not done.is_set():
                seen += record.drain()
                await anyio.sleep(0.05)
        seen += record.drain()
    written = [fact.fields["path"].rpartition("/")[2] for fact in seen if fact.what == "open"]
    numbers = [int(name) for name in written[-1500:]]
    assert numbers == list(range(1, 1501))


async def test_without_its_supervisor_nothing_more_is_started_opened_or_reached() -> None:
    async with recorded() as (sandbox, record):
        await python(sandbox, "None")
        record.close()
        program = await bash(sandbox, "/bin/echo unseen")
        assert b"unseen" not in program.output.replace(b"/bin/echo unseen", b"")
        assert b"not implemented" in program.output
        opened_ = await bash(sandbox, "echo unseen > /home/user/x; echo $?")
        assert b"not implemented" in opened_.output
        code = "import socket; socket.socket().connect(('127.0.0.1', 1))"
        reached = await python(sandbox, code)
        assert b"not implemented" in reached.output


async def test_no_sandbox_starts_where_nobody_listens() -> None:
    async with container_made() as (container, asked):
        with pytest.raises(EngineUnavailable, match="listenerPath"):
            async with opened(container, asked, ROOM):
                pass


async def test_no_other_process_of_the_host_can_come_to_hold_the_listener() -> None:
    """One that did would keep the sandbox's programs waiting when the harness is dead."""
    async with recorded():
        held = listeners()
        assert len(held) == 1
        assert not any(os.get_inheritable(each) for each in held)


async def test_with_the_harness_killed_nothing_more_is_started() -> None:
    """Shown by a sandbox without our PID 1, which itself ends when the harness does."""
    script = f"""
import os, signal, subprocess, sys, time
sys.path.insert(0, {str(ROOT)!r})
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.seccomp_record import SeccompRecord
record = SeccompRecord()
record.listen(MEETING_PLACE / sys.argv[1])
subprocess.run(["docker", "start", sys.argv[1]], stdout=subprocess.DEVNULL, check=True)
assert record.connected()
while not any(fact.what == "start" for fact in record.drain()):
    time.sleep(0.05)  # or bash itself could not be started
quiet = {{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}}
subprocess.Popen(["sleep", "60"], close_fds=False, **quiet)
os.kill(os.getpid(), signal.SIGKILL)
"""
    waiting = "trap 'exec sleep 1000' USR1; while :; do :; done"
    async with container_made(["bash", "-c", waiting]) as (container, _):
        with private_folder(container.id):
            command = [sys.executable, "-c", script, container.id]
            ended = await anyio.run_process(command, check=False)
            assert ended.returncode == -signal.SIGKILL, ended.stderr
            await anyio.run_process(["docker", "kill", "--signal", "USR1", container.id])
            with anyio.fail_after(150):
                done = await anyio.run_process(["docker", "wait", container.id])
    assert done.stdout == b"126\n", "bash could not start the program"


@pytest.mark.slow
def test_in_a_run_the_true_program_stands_under_the_action_that_caused_it(tmp_path: Path) -> None:
    if (os.geteuid() != 0) or RECORDED_RUNC not in docker.from_env().info()["Runtimes"]:
        pytest.skip("sandboxes under runc cannot be recorded here")
    run = recorded_run(tmp_path, DISGUISED_ACTIONS, "disguised", sandbox={"runtime": "runc"})
    for action, expected in (
        (1, ["python3.11", "dash", "id"]),
        (2, ["dash", "bash", "uname"]),
        (3, ["base64", "dash", "cat"]),
        (4, ["cp", "innocent"]),
        (5, ["readlink", "cp", "nice"]),
        (6, ["sort"]),
        (7, ["python3.11", "touch"]),
        (8, ["sleep", "whoami"]),
        (9, ["sleep"]),
        (10, ["nproc"]),
        (13, ["printenv"]),
        (14, ["tty"]),
    ):
        assert sorted(programs(run, action)) == sorted(expected), action
    assert "/tmp/decoded" in [event["path"] for event in facts_of(run, "file.opened", 3)]
    assert [event["path"] for event in facts_of(run, "file.removed", 11)] == ["/tmp/mine"]
    (connected,) = facts_of(run, "net.connected", 12)
    assert connected["address"] == "10.1.2.3:80"
    (user,) = facts_of(run, "user.changed", 16)
    assert (user["call"], user["uid"]) == ("setuid", 0)
    assert events(run, "kernel.opened")[0]["source"] == "seccomp"
    assert events(run, "kernel.closed")[0]["lost"] == 0
    assert events(run, "sandbox.ready")[0]["runtime"] == RECORDED_RUNC
    assert summary(run)["outcome"] == {"status": "submitted"}
    assert verify(run).good
    assert "PYTHONUNBUFFERED" not in run.joinpath("events.jsonl").read_text()
