"""Where snapshots are kept: by what is in them, privately, and within a limit."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_eval.errors import NoSnapshot
from agent_eval.sandbox.snapshot import ARCHIVE, Snapshot, Snapshots


def kept(store: Snapshots, data: bytes, **about: object) -> Snapshot:
    with store.making() as folder:
        folder.joinpath(ARCHIVE).write_bytes(data)
        return store.keep(folder, "files", about)


def names(store: Snapshots) -> set[str]:
    return {path.name for path in store.folder.iterdir()}


def test_one_is_named_by_what_is_in_it_and_anybody_can_work_that_out(tmp_path: Path) -> None:
    store = Snapshots(tmp_path)
    first, same, other = kept(store, b"a"), kept(store, b"a"), kept(store, b"a", more=1)
    assert first == same != other
    assert names(store) == {first.digest, other.digest}
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size} {file.name}\n"
        for file in sorted(first.path.iterdir())
    ]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == first.digest
    assert first.size_bytes == sum(file.stat().st_size for file in first.path.iterdir())
    assert Snapshots(tmp_path).find(first.digest) == first
    assert other.about()["more"] == 1


def test_one_that_was_changed_or_is_gone_is_refused(tmp_path: Path) -> None:
    store = Snapshots(tmp_path)
    one = kept(store, b"a")
    one.path.joinpath(ARCHIVE).write_bytes(b"b")
    with pytest.raises(NoSnapshot, match="is not what it was"):
        store.find(one.digest)
    with pytest.raises(NoSnapshot, match="there is no snapshot"):
        store.find("0" * 64)


def test_snapshots_are_for_the_owner_alone(tmp_path: Path) -> None:
    store = Snapshots(tmp_path)
    old = os.umask(0)
    try:
        one = kept(store, b"x")
    finally:
        os.umask(old)
    paths = [store.folder, one.path, *one.path.iterdir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)


def test_the_oldest_that_nobody_needs_make_room(tmp_path: Path) -> None:
    store = Snapshots(tmp_path, 10_000)
    first, second = kept(store, b"1" * 4000), kept(store, b"2" * 4000)
    for age, one in enumerate((second, first)):
        os.utime(one.path, (age, age))
    with store.needed(second):
        third = kept(store, b"3" * 4000)
        assert names(store) == {second.digest, third.digest}, "the oldest but one that is needed"
        with store.needed(third), pytest.raises(NoSnapshot, match="needed still"):
            kept(store, b"4" * 4000)
    assert kept(store, b"5" * 9000).path.exists()
    assert len(names(store)) == 1
    with pytest.raises(NoSnapshot, match="gone"):
        second.about()


def test_one_that_is_larger_than_all_may_be_removes_nothing_that_is_needed(tmp_path: Path) -> None:
    store = Snapshots(tmp_path, 1000)
    with pytest.raises(NoSnapshot, match="does not fit"):
        kept(store, b"x" * 2000)
    assert names(store) == set(), "nothing of it is left"


def test_many_at_once_stay_within_the_limit(tmp_path: Path) -> None:
    store = Snapshots(tmp_path, 50_000)
    store.folder.mkdir()
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: kept(store, b"%d" % number * 3000), range(10, 60)))
    there = [one for one in made if one.path.exists()]
    assert 5 < len(there) == len(names(store))
    assert sum(one.size_bytes for one in there) <= 50_000
    assert all(store.find(one.digest) == one for one in there)
