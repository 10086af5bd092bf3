"""Steering from another terminal: who is heard, what is on record, and what the dead leave."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_eval.errors import OperatorError
from agent_eval.person.steering import Steering
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import Transcript
from agent_eval.run.remote import (
    NobodyListens,
    _address,
    living,
    meeting_place,
    steer,
    within_reach,
)

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def run(tmp_path: Path, name: str = "a-run") -> AsyncIterator[tuple[Steering, Path]]:
    """A run that can be steered and does nothing else."""
    steering = Steering()
    with Transcript.create(tmp_path / name) as transcript, steering.scope:
        async with within_reach(steering, transcript):
            yield steering, transcript.folder


async def asked(folder: Path, act: str) -> str:
    """What the harness says, asked from another thread, as from another process."""
    return await anyio.to_thread.run_sync(steer, folder, act, "/dev/pts/7")


def steered(folder: Path) -> list[tuple[str, int, int, str]]:
    found = [event for event in read_events(folder) if event["kind"] == "operator.steered"]
    return [(one["act"], one["uid"], one["pid"], one["tty"]) for one in found]


async def test_each_act_is_on_record_with_who_before_it_is_done(tmp_path: Path) -> None:
    me = os.getuid(), os.getpid(), "/dev/pts/7"
    with anyio.fail_after(60):
        async with run(tmp_path) as (steering, folder):
            assert "is paused" in await asked(folder, "pause")
            assert steering.paused
            assert "goes on" in await asked(folder, "continue")
            assert not steering.paused
            await asked(folder, "pause")
            assert "ends after its current step" in await asked(folder, "stop")
            assert steering.stopping and not steering.paused
            with pytest.raises(OperatorError, match="ending already"):
                await asked(folder, "pause")
            assert not steering.scope.cancel_called
            assert "ends at once" in await asked(folder, "stop_now")
            await anyio.sleep_forever()
    assert steering.scope.cancelled_caught
    acts = ["pause", "continue", "pause", "stop", "stop_now"]
    assert steered(tmp_path / "a-run") == [(act, *me) for act in acts]
    with pytest.raises(NobodyListens):
        steer(folder, "pause")


async def test_runs_of_one_process_are_steered_apart(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with run(tmp_path, "one") as (one, first), run(tmp_path, "two") as (two, second):
            await asked(first, "pause")
            assert (one.paused, two.paused) == (True, False)
            told = await anyio.to_thread.run_sync(lambda: list(living()))
            states = {each["folder"]: each["state"] for each in told}
            assert states[str(first)] == "paused"
            assert states[str(second)] == "running"


@pytest.mark.slow
async def test_its_clock_goes_on_without_any_sandbox(tmp_path: Path) -> None:
    gaps: list[float] = []
    async with run(tmp_path) as (steering, _):
        steering.clock.on_gap = gaps.append
        await anyio.sleep(0.1)
        time.sleep(4)  # noqa: ASYNC251 - as if this process had been stopped
        with anyio.fail_after(20):
            while not gaps:  # noqa: ASYNC110 - the next beat tells
                await anyio.sleep(0.05)
    assert gaps[0] >= 4


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"no json\n", b"[]\n", b'{"act": "explode"}\n', b'{"act": ["stop"]}\n',
     b"[" * 60000 + b"\n", b"x" * 200_000, b'{"act": null, "tty": 1}\n', b'{"act": "pause"'],
)  # fmt: skip
async def test_a_caller_that_talks_nonsense_troubles_nobody(tmp_path: Path, line: bytes) -> None:
    def call(folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(_address(folder)))
            try:
                sock.sendall(line)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(100)
            except OSError:
                pass  # it was hung up on

    with anyio.fail_after(60):
        async with run(tmp_path) as (steering, folder):
            await anyio.to_thread.run_sync(call, folder)
            assert "is paused" in await asked(folder, "pause"), "it listens on"
            assert not steering.stopping
    assert [act for act, *_ in steered(folder)] == ["pause"]


async def test_a_silent_caller_keeps_no_other_waiting(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with run(tmp_path) as (steering, folder):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(_address(folder)))
                await asked(folder, "pause")
            assert steering.paused


async def test_only_the_user_can_enter_the_folder_of_sockets(tmp_path: Path) -> None:
    async with run(tmp_path) as (_, folder):
        address = _address(folder)
        for path, kind in ((address.parent, stat.S_ISDIR), (address, stat.S_ISSOCK)):
            found = path.stat()
            assert kind(found.st_mode)
            assert found.st_uid == os.getuid()
            assert not found.st_mode & 0o077, path
    assert not address.exists()


def as_user(uid: int, act: Callable[[], str]) -> str:
    """What comes of something that another user does, in a process of its own."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(theirs, act().encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as said:  # noqa: PTH123 - a descriptor, not a path
        told = said.read().decode()
    os.waitpid(child, 0)
    return told


ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")


@ONLY_ROOT
async def test_another_user_is_not_heard(tmp_path: Path) -> None:
    """Neither through the folder's permissions nor, with those out of the way, by the harness."""

    def attack(address: Path) -> str:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            try:
                sock.connect(str(address))
                sock.sendall(b'{"act": "stop_now"}\n')
                return sock.recv(1000).decode()
            except PermissionError:
                return "no permission"

    async def attacked(address: Path) -> str:
        return await anyio.to_thread.run_sync(as_user, 54321, partial(attack, address))

    with anyio.fail_after(60):
        async with run(tmp_path) as (steering, folder):
            address = _address(folder)
            assert await attacked(address) == "no permission"
            with tempfile.TemporaryDirectory() as named:
                os.chmod(named, 0o755)  # noqa: PTH101 - nothing here blocks
                os.link(address, Path(named) / "s")
                address.chmod(0o666)
                assert "another user" in await attacked(Path(named) / "s")
            assert not steering.stopping
    assert not steered(folder)


@ONLY_ROOT
@pytest.mark.parametrize(
    ("uid", "trap"), [(54322, "theirs"), (54323, "open"), (54324, "link"), (54325, "file")]
)
def test_a_folder_that_others_prepared_is_refused(tmp_path: Path, uid: int, trap: str) -> None:

    def looks() -> str:
        try:
            return str(meeting_place())
        except OperatorError as error:
            return f"refused: {error}"

    place = Path(f"/tmp/agent-eval-{uid}")
    match trap:
        case "theirs":
            place.mkdir(mode=0o700)
        case "open":
            place.mkdir()
            place.chmod(0o770)
            os.chown(place, uid, uid)
        case "link":
            place.symlink_to(tmp_path)
        case "file":
            place.write_text("")
            os.chown(place, uid, uid)
    try:
        assert f"refused: {place} is not a private folder" in as_user(uid, looks)
    finally:
        place.rmdir() if trap in ("theirs", "open") else place.unlink()
    try:
        assert as_user(uid, looks) == str(place), "without the trap"
    finally:
        place.rmdir()


def test_what_a_dead_harness_left_is_told_apart_and_removed(tmp_path: Path) -> None:
    address = _address(tmp_path / "dead")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(address))
    with pytest.raises(NobodyListens):
        steer(tmp_path / "dead", "stop")
    assert str(tmp_path / "dead") not in {one["folder"] for one in living()}
    assert address.exists(), "it may be just about to listen"
    os.utime(address, (0, 0))
    assert str(tmp_path / "dead") not in {one["folder"] for one in living()}
    assert not address.exists()


STANDS = """
import anyio, os, signal, sys
from pathlib import Path
from agent_eval.run.remote import within_reach
from agent_eval.person.steering import Steering
from agent_eval.record.transcript import Transcript

async def main():
    with Transcript.create(Path(sys.argv[1])) as transcript:
        async with within_reach(Steering(), transcript):
            print("there", flush=True)
            await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.mark.slow
def test_a_harness_that_is_stopped_is_told_from_one_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "stands"
    command = [sys.executable, "-c", STANDS, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as harness:
        try:
            assert harness.stdout and harness.stdout.readline() == b"there\n"
            harness.send_signal(signal.SIGSTOP)
            with pytest.raises(OperatorError, match="is it stopped"):
                steer(folder, "pause")
            harness.send_signal(signal.SIGCONT)
            assert "paused" in steer(folder, "pause")
        finally:
            harness.kill()
    with pytest.raises(NobodyListens):
        steer(folder, "continue")


def test_the_longest_name_still_has_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("é" * 100)
    with socket.socket(socket.AF_UNIX) as sock:
        address = _address(folder)
        sock.bind(str(address))
        address.unlink()
    assert _address(tmp_path / "a" / "x") != _address(tmp_path / "b" / "x")
