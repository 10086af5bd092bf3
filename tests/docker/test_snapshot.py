"""A sandbox is saved while it lives, and others begin as what it was then."""

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.errors import NoSnapshot
from agent_eval.record.budget import Account, limits_of
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox import taking_over
from agent_eval.sandbox.gvisor import GvisorSource
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.recorder import Recorder
from agent_eval.sandbox.snapshot import Snapshots
from tests.docker.boxes import ROOM, RUNTIMES, bash, python
from tests.docker.copies import family, said
from tests.sandbox.outside import Outside

pytestmark = [pytest.mark.docker, pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="saving memory takes root")

LIVES = """
x=kept; cd /tmp; f() { echo from a function; }
(while sleep 0.2; do echo beat >> /tmp/beats; done) &
mkdir -p ~/deep/empty; echo here > ~/file; ln -s file ~/link; ln ~/file ~/second
touch -d 2021-02-03T04:05:06.789012345 ~/file; chmod 0 ~/file; mkdir -m 0500 ~/closed
echo shm > /dev/shm/one; mkfifo ~/fifo; touch ~/$'odd \\n\\xff name'
"""

TREE = (
    "cd / && find home/user tmp/old dev/shm -mindepth 1 "
    r"-printf '%p %y %m %n %s %TY-%Tm-%Td %TT %l\n' | sort"
)


def kept(run: Path) -> list[Path]:
    return list(run.glob("snapshots/*"))


@pytest.mark.gvisor
@ROOT
async def test_a_live_copy_goes_on_where_its_original_was(tmp_path: Path) -> None:
    async with family("runsc", tmp_path) as kin, kin.one() as first:
        await bash(first, LIVES)
        await python(first, "import random, itertools; count = itertools.count(41)")
        saved = await first.snapshot(kin.store, "memory")
        async with kin.one(saved, hostname="twin") as copy, kin.one(saved) as other:
            assert await said(copy, "hostname; cat /etc/hostname") == "twin\ntwin"
            assert await said(first, "hostname") == await said(other, "hostname") != "twin"
            for box in (first, copy, other):
                assert await said(box, "echo $x; pwd; f") == "kept\n/tmp\nfrom a function"
                assert (await python(box, "print(next(count))")).output == b"41\n"
                assert "Running" in await said(box, "jobs")
            draws = {(await python(box, "print(random.random())")).output for box in (copy, other)}
            assert len(draws) == 2, "each has random numbers of its own"
            assert await said(copy, "echo $RANDOM") != await said(other, "echo $RANDOM")
            for number, box in enumerate((first, copy, other)):
                await bash(box, f"echo {number} > ~/mine; before=$(wc -l < /tmp/beats)")
            await anyio.sleep(1)
            for number, box in enumerate((first, copy, other)):
                assert await said(box, "cat ~/mine") == str(number), "files are each one's own"
                beats = "until [ $(wc -l < /tmp/beats) -gt $before ]; do sleep 0.1; done; echo on"
                assert await said(box, beats) == "on", "background jobs go on in all of them"
            again = await copy.snapshot(kin.store, "memory")
            async with kin.one(again) as grandchild:
                assert await said(grandchild, "echo $x; cat ~/mine") == "kept\n1"


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_files_come_out_as_they_went_in(runtime: str, tmp_path: Path) -> None:
    async with family(runtime, tmp_path) as kin, kin.one() as first:
        await bash(first, LIVES.replace("(while", "mkdir /tmp/old; : > /tmp/old/one; (while"))
        tree = await said(first, TREE)
        saved = await first.snapshot(kin.store, "files")
        assert await said(first, "echo $x") == "kept"
        assert await said(first, TREE) == tree, "saving changes nothing"
        async with kin.one(saved) as copy:
            assert copy.left_out == 0
            assert await said(copy, TREE) == tree
            assert await said(copy, "echo ${x:-gone}; jobs") == "gone"
            await bash(copy, "chmod 600 ~/file; echo there > ~/file")
            look = "chmod 600 ~/file; cat ~/file ~/second"
            assert await said(copy, look) == "there\nthere", "hard links are links"
            assert await said(first, look) == "here\nhere"


@pytest.mark.gvisor
@ROOT
async def test_many_copies_of_one_moment_at_once(tmp_path: Path) -> None:
    """With a heap that is large, while its programs spin, fork and write."""
    wishes: dict[str, Any] = {"memory_bytes": "768MiB", "cpus": 2}
    async with family("runsc", tmp_path, **wishes) as kin, kin.one() as first:
        await python(first, "import os; heap = os.urandom(50_000_000); x = hash(heap)")
        busy = ":", "(:)", "head -c 1000000 /dev/urandom > /tmp/w", "echo aloud"
        await bash(first, "; ".join(f"(while {each}; do :; done) &" for each in busy) + " true")
        saved = await first.snapshot(kin.store, "memory")
        assert saved.size_bytes > 50_000_000
        assert (await python(first, "print(x == hash(heap))", 60)).output == b"True\n"
        same: list[bytes] = []

        async def one(number: int) -> None:
            async with kin.one(saved, cpus=1.0) as copy:
                await python(copy, f"mine = {number}", 60)
                told = await python(copy, "print(mine, x == hash(bytes(heap[:])))", 60)
                same.append(told.output)

        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(one, number)
        assert sorted(same) == [b"%d True\n" % number for number in range(3)]


@pytest.mark.gvisor
@ROOT
async def test_what_a_copy_does_belongs_to_the_action_that_caused_it(tmp_path: Path) -> None:
    """To one of the original's, where that left it behind, and else to the copy's own."""
    account = Account("0", limits_of({}))
    with Transcript.create(tmp_path / "run") as record:
        async with family("runsc", tmp_path) as kin:
            source, again = GvisorSource(), GvisorSource()
            async with kin.one(source=source) as first:
                recorder = Recorder(source, first.id, record, account, "0")
                async with first.recorded(recorder):
                    loop = "(while sleep 0.3; do /usr/bin/uname > ~/said; done) &"
                    await first.execute("bash", loop, 20, ROOM, Cause(1, "0"))
                    saved = await first.snapshot(kin.store, "memory")
                    async with kin.one(saved, again) as copy:
                        copied = Recorder(again, copy.id, record, account, "0.1")
                        async with copy.recorded(copied):
                            await copy.execute("bash", "id; sleep 1", 20, ROOM, Cause(2, "0.1"))
                    copied.close()
                recorder.close()
    kinds = [event for event in read_events(tmp_path / "run") if event["kind"] == "process.started"]
    caused = {
        (event["sandbox"] == copy.id[:12], event["program"], event.get("action"), event["agent"])
        for event in kinds
        if event["program"] in ("/usr/bin/uname", "/usr/bin/id")
    }
    assert (True, "/usr/bin/id", 2, "0.1") in caused
    assert (True, "/usr/bin/uname", 1, "0") in caused, "what the original left behind goes on"
    assert len([one for one in caused if one[0]]) == 2


@pytest.mark.gvisor
@ROOT
async def test_a_live_copy_is_locked_down_and_seen_from_its_first_moment(tmp_path: Path) -> None:
    async with family("runsc", tmp_path) as kin, kin.one(source=GvisorSource()) as first:
        await bash(first, "(while sleep 0.3; do /usr/bin/uname > ~/said; done) &")
        saved = await first.snapshot(kin.store, "memory")
        source = GvisorSource()
        async with kin.one(saved, source) as copy:
            rows = {row.setting: (row.asked, row.measured) for row in first.audit}
            assert {row.setting: (row.asked, row.measured) for row in copy.audit} == rows
            assert await said(copy, "id -u; hostid; sleep 1")
            facts: list[Any] = source.drain()
            started = [str(fact.fields.get("program")) for fact in facts if fact.what == "start"]
            assert {"/usr/bin/id", "/usr/bin/hostid"} <= set(started)
            assert "/usr/bin/uname" in started, "what it was born with is seen as well"
            assert source.lost == 0
            assert source.broken is None


async def test_runc_says_that_it_cannot_save_memory(tmp_path: Path) -> None:
    async with family("runc", tmp_path) as kin, kin.one() as first:
        with pytest.raises(NoSnapshot, match="only gVisor"):
            await first.snapshot(kin.store, "memory")
        assert await said(first, "echo on") == "on"
        assert kept(tmp_path) == []


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_snapshot_that_does_not_fit_is_refused_and_all_goes_on(
    runtime: str, tmp_path: Path
) -> None:
    async with family(runtime, tmp_path) as kin, kin.one() as first:
        await bash(first, "x=1; head -c 3000000 /dev/urandom > ~/data")
        store = Snapshots(tmp_path, 1_000_000)
        with pytest.raises(NoSnapshot, match="does not fit"):
            await first.snapshot(store, "files")
        assert await said(first, "echo $x") == "1"
        assert kept(tmp_path) == []


FLOOD = """
import contextlib, socket, threading
def flood():
    with contextlib.suppress(OSError), socket.create_connection(("echo.internal", 9)) as sock:
        while True:
            sock.sendall(bytes(65536))
for _ in range(4):
    threading.Thread(target=flood, daemon=True).start()
"""
CALL = """
with socket.create_connection(("echo.internal", 7), 60) as sock:
    sock.sendall(b"still")
    print(sock.recv(9))
"""


@pytest.mark.gvisor
@ROOT
async def test_one_is_taken_over_in_the_middle_of_whatever_it_says(tmp_path: Path) -> None:
    """While its pipe is full of streams and output, and an action never ends."""
    outside = Outside("echo.internal")
    async with family("runsc", tmp_path, networked=True) as kin:
        async with kin.one(network=outside.network()) as first:
            await bash(first, "x=kept; cd /tmp")
            await python(first, FLOOD)
            async with anyio.create_task_group() as tasks:
                loud = "while :; do echo aloud; done"
                tasks.start_soon(first.execute, "bash", loud, 100, 10**8)
                await anyio.sleep(1)
                (container,) = [one for one in await kin.engine.ours() if one.id == first.id]
                nobody: dict[str, Any] = {"causes": {}, "of_pid_1": [], "sessions": {}}
                saved = await taking_over.saved(container, kin.asked, kin.store, nobody)
                tasks.cancel_scope.cancel()
        async with kin.one(saved, network=outside.network()) as same:
            assert (await python(same, CALL)).output == b"b'still'\n", "streams begin anew"
            ended = await bash(same, "echo $x; pwd")
            assert ended.output.splitlines()[-2:] == [b"kept", b"/tmp"]
