"""All files out and in again: by PID 1's children, and with a PID 1 that lies."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_eval.basics.resources import shipped
from agent_eval.errors import NoSnapshot, SandboxDied
from agent_eval.sandbox import moving
from tests.sandbox.wire import Wire, served

PROGRAM = (shipped("sandbox") / "init" / "moving.py").read_text()
LARGE = 1 << 40

Files = dict[str, tuple[Any, ...]]


def moved(call: str, **streams: Any) -> int:
    """Have a process of its own do it, as a child of PID 1 would."""
    script = f"{PROGRAM}\n{call}\n"
    return subprocess.run(
        [sys.executable, "-c", script], check=False, timeout=60, **streams
    ).returncode


def there(root: Path) -> Files:
    """All that is there, and what is known of it."""
    found: Files = {}
    for path in [root, *root.rglob("*")]:
        state = path.lstat()
        links = state.st_nlink if path.is_file() else 0
        content = str(path.readlink()) if path.is_symlink() else None
        if stat.S_ISREG(state.st_mode):
            content = path.read_bytes().decode("latin1")
        found[str(path)] = (oct(state.st_mode), links, state.st_mtime_ns, content)
    return found


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="moving-"))
    yield folder
    subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
    shutil.rmtree(folder)


def there_and_back(root: Path, archive: Path, limit: int = LARGE) -> tuple[int, int]:
    """Save, remove all, lay out; returns both statuses."""
    with archive.open("wb") as out:
        saved = moved(f"save([{str(root)!r}], {limit})", stdout=out)
    subprocess.run(["chmod", "-R", "u+rwx", root], check=True)
    shutil.rmtree(root)
    with archive.open("rb") as back:
        return saved, moved(f"lay_out({archive.stat().st_size})", stdin=back)


def test_links_modes_times_and_odd_names_come_back(place: Path) -> None:
    root = place / "all"
    for each in ("empty", "deep/er/est", "closed/inside"):
        root.joinpath(each).mkdir(parents=True)
    root.joinpath("file").write_bytes(bytes(range(256)) * 1000)
    os.link(root / "file", root / "deep/second")
    root.joinpath("link").symlink_to("deep/../nowhere\nat all")
    os.mkfifo(root / "fifo", 0o640)
    Path(os.fsdecode(bytes(root) + b"/\xff\n\x1b[2J")).write_text("odd")
    root.joinpath("n" * 250).write_text("long")
    with root.joinpath("holes").open("wb") as file:
        file.truncate(3_000_000)
    root.joinpath("deep/suid").touch()
    for name, mode in (("file", 0), ("closed", 0o500), ("deep/suid", 0o6711), ("empty", 0o1777)):
        root.joinpath(name).chmod(mode)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + number), follow_symlinks=False)
    before = there(root)
    assert there_and_back(root, place / "archive") == (0, 0)
    assert there(root) == before


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)
TREES = st.recursive(
    st.binary(max_size=2000) | st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=4)
)


def grown(root: Path, tree: Any) -> None:
    if isinstance(tree, dict):
        root.mkdir()
        for name, inner in tree.items():
            if name not in (".", "..") and len(name.encode()) < 200:
                grown(root / name, inner)
    elif tree is None:
        root.symlink_to("/somewhere")
    else:
        root.write_bytes(tree)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.dictionaries(NAMES, TREES, max_size=5))
def test_any_tree_comes_back(tree: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="moving-") as folder:
        root = Path(folder) / "all"
        grown(root, tree)
        before = there(root)
        assert there_and_back(root, Path(folder) / "archive") == (0, 0)
        assert there(root) == before


def test_what_does_not_fit_keeps_nothing_else_back(place: Path) -> None:
    root = place / "all"
    root.mkdir()
    for name, size in (("a", 1000), ("large", 500_000), ("z", 1000)):
        root.joinpath(name).write_bytes(b"x" * size)
    with root.joinpath("endless").open("wb") as file:
        file.truncate(1 << 40)
    assert there_and_back(root, place / "archive", 100_000) == (2, 0)
    assert {path.name for path in root.iterdir()} == {"a", "z"}


# --- the host, with a PID 1 that lies -----------------------------------------------------------

pid1 = pytest.mark.anyio


def full_disk() -> BinaryIO:
    return Path("/dev/full").open("wb", buffering=0)


def answers(wire: Wire, act: Callable[[dict[str, Any]], None]) -> None:
    def on(order: dict[str, Any]) -> None:
        if order.get("what") in ("save", "lay_out"):
            act(order)

    wire.on = on


@pid1
async def test_one_that_sends_for_ever_fills_no_disk(tmp_path: Path) -> None:
    async with served() as (wire, pipe):

        def flood(order: dict[str, Any]) -> None:
            for _ in range(60):
                wire.writes(order["channel"], bytes(200_000))

        answers(wire, flood)
        full = pytest.raises(NoSnapshot, match="more than it has room for")
        with tmp_path.joinpath("x").open("wb") as file, full:
            await moving.save(pipe, ["/home"], 1_000_000, file)
        assert tmp_path.joinpath("x").stat().st_size == 2_000_000
        assert wire.orders[-1]["what"] == "drop", "and it is told to stop"


@pid1
@pytest.mark.parametrize("status", [None, "0", -1, 126, 1 << 70, True, [0], {"exit": 0}, 0.5])
async def test_absurd_reports_are_no_snapshot(status: Any, tmp_path: Path) -> None:
    async with served() as (wire, pipe):

        def lie(order: dict[str, Any]) -> None:
            wire.writes(order["channel"], b"\x1b[2J" * 3000)
            wire.says("ended", channel=order["channel"], exit=status)

        answers(wire, lie)
        with tmp_path.joinpath("x").open("wb") as file:
            if status is True:  # which is a number of files to Python
                assert await moving.save(pipe, [], 10**6, file) == 1
            else:
                with pytest.raises(NoSnapshot):
                    await moving.save(pipe, [], 10**6, file)


@pid1
async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    async with served() as (wire, pipe):
        answers(wire, lambda order: wire.writes(order["channel"], bytes(100)))
        with full_disk() as file, pytest.raises(NoSnapshot, match="No space left"):
            await moving.save(pipe, [], 10**6, file)


@pid1
async def test_no_more_is_under_way_than_was_taken(tmp_path: Path) -> None:
    whole = os.urandom(1000) * 20_000
    path = tmp_path / "x"
    path.write_bytes(whole)
    async with served() as (wire, pipe):
        channel = 0

        def begin(order: dict[str, Any]) -> None:
            nonlocal channel
            channel = order["channel"]

        answers(wire, begin)
        left: list[int] = []

        async def send() -> None:
            with path.open("rb") as file:
                left.append(await moving.lay_out(pipe, file, len(whole)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            most = 0
            while len(wire.data.get(channel, b"")) < len(whole):
                await anyio.wait_all_tasks_blocked()
                sent = len(wire.data[channel])
                most = max(most, sent)
                assert sent <= most + moving.WINDOW_BYTES + 300_000
                for lie in ("all", None, -5):
                    wire.says("took", channel=channel, total=lie)
                wire.says("took", channel=channel, total=sent)
                await anyio.wait_all_tasks_blocked()
            wire.says("ended", channel=channel, exit=3)
        assert left == [3]
        assert wire.data[channel] == whole


@pid1
async def test_a_sandbox_that_dies_meanwhile_is_dead(tmp_path: Path) -> None:
    async with served() as (wire, pipe):
        answers(wire, lambda _order: wire.hangs_up())
        with tmp_path.joinpath("x").open("wb") as file, pytest.raises(SandboxDied):
            await moving.save(pipe, [], 10**6, file)
