"""Whatever an archive of files holds, it does nothing that the agent could not do anyway."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_eval.errors import NoSnapshot
from agent_eval.sandbox.snapshot import ARCHIVE, Snapshot, needs
from tests.docker.boxes import RUNTIMES
from tests.docker.copies import Family, family, said

pytestmark = [pytest.mark.docker, pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]

HONEST = "home/user/honest"
OUTSIDE = (
    r"find / -xdev \( -path '/home/*' -o -path /tmp -o -path /dev -o -path /proc -o -path /run "
    r"-o -path /sys -o -path /usr \) -prune -o -printf '%p %y %m %U %s %l\n' | sort | sha256sum; "
    "ls /run /dev"
)


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(data), 0o644
    info.pax_headers = {"mtime": "1600000000.000000005"}
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as packed:
        for info, data in entries:
            packed.addfile(info, io.BytesIO(data))
    return out.getvalue()


def outward() -> bytes:
    """Names, links and devices that lead out."""
    evil = b"evil\n"
    return archive(
        entry("../../../../../../home/user/../../etc/dotdot", data=evil),
        entry("/etc/absolute", data=evil),
        entry("//tmp//../etc/cron.d/double", data=evil),
        entry("etc/passwd", data=evil),
        entry("run/sessions/1", data=evil),
        entry("proc/self/oom_score_adj", data=b"-1000"),
        entry("proc/1/oom_score_adj", data=b"1000"),
        entry("proc/sysrq-trigger", data=b"b"),
        entry("home/user/etc", tarfile.SYMTYPE, linkname="/etc"),
        entry("home/user/etc/through", data=evil),
        entry("tmp/shadow", tarfile.LNKTYPE, linkname="etc/shadow"),
        entry("tmp/init", tarfile.LNKTYPE, linkname="proc/1/exe"),
        entry("tmp/disk", tarfile.BLKTYPE, devmajor=8, devminor=0),
        entry("tmp/mem", tarfile.CHRTYPE, devmajor=1, devminor=1),
        entry("tmp/root", data=b"#!/bin/sh\nid -u\n", mode=0o6755, uid=0, gid=0, uname="root"),
        entry("tmp/strange", b"Z"),
        entry("tmp/pipe", tarfile.FIFOTYPE),
        entry("tmp/pipe", data=evil),
        entry("tmp", tarfile.DIRTYPE, mode=0o000),
        entry("home/user", tarfile.DIRTYPE, mode=0o700),
        entry("home", tarfile.DIRTYPE, mode=0o777),
        entry("tmp/" + "d/" * 2100 + "deep", data=evil),
        entry("tmp/" + "n" * 300, data=evil),
        entry("tmp/no\0thing", data=evil),
        entry("", data=evil),
        entry("tmp/when", data=evil, pax_headers={"mtime": "9" * 400}),
        entry("tmp/never", data=evil, pax_headers={"mtime": "nan"}),
        entry(HONEST, data=b"honest"),
    )


def lying() -> bytes:
    """One entry that claims more than there is."""
    info, _ = entry("home/user/huge", size=1 << 40)
    return archive(entry(HONEST, data=b"honest"))[: 4 * 512] + info.tobuf(tarfile.PAX_FORMAT)


def too_large() -> bytes:
    """More than there is room for, and an honest file behind it."""
    data = bytes(6 * 1024 * 1024)
    return archive(entry("home/user/large", data=data), entry(HONEST, data=b"honest"))


def sparse() -> bytes:
    """A file of a terabyte in a few bytes, in the form in which that can be said."""
    headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.size": str(1 << 40),
        "GNU.sparse.map": f"{(1 << 40) - 1},1",
        "GNU.sparse.name": "home/user/sparse",
    }
    return archive(entry("x", data=b"1", pax_headers=headers), entry(HONEST, data=b"honest"))


def boundless() -> bytes:
    """A header that wants four gigabytes read as one."""
    info, _ = entry("x", tarfile.XHDTYPE, size=1 << 32)
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)


def many() -> bytes:
    """More files than there is room for."""
    return archive(*(entry(f"tmp/{number}") for number in range(3000)))


def noise() -> bytes:
    """Nothing of the kind."""
    return os.urandom(1 << 20)


def forged(kin: Family, data: bytes) -> Snapshot:
    with kin.store.making() as folder:
        folder.joinpath(ARCHIVE).write_bytes(data)
        about = {"left_out": 0, "needs": needs(kin.asked), "hostname": kin.asked.hostname}
        return kin.store.keep(folder, "files", about)


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_hostile_archive_does_nothing_beyond_the_agents_own_folders(
    runtime: str, tmp_path: Path
) -> None:
    async with family(runtime, tmp_path) as kin:
        async with kin.one() as clean:
            before = await said(clean, OUTSIDE)
        async with kin.one(forged(kin, outward())) as copy:
            assert copy.left_out > 10
            assert await said(copy, OUTSIDE) == before
            assert await said(copy, f"cat /{HONEST}") == "honest", "nothing keeps the rest back"
            assert await said(copy, "cat /proc/1/oom_score_adj") == "0"
            found = await said(copy, r"find /tmp ! -type f ! -type d ! -type l ! -type p; ls /etc")
            assert "evil" not in await said(copy, "cat /etc/* 2>&-; cat ~/etc/through 2>&-")
            assert "/tmp/disk" not in found and "through" not in found
            assert await said(copy, "/tmp/root || true") in ("1000", ""), "nobody becomes root"


@pytest.mark.parametrize("make", [lying, too_large, sparse, boundless, many, noise])
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_an_archive_that_lies_about_its_size_ends_in_words(
    runtime: str, make: Callable[[], bytes], tmp_path: Path
) -> None:
    async with family(runtime, tmp_path, home_bytes="4MiB", tmp_bytes="4MiB") as kin:
        snapshot = forged(kin, make())
        try:
            async with kin.one(snapshot) as copy:
                assert make in (too_large, many)
                assert copy.left_out or make is many, "what could not be made is told"
                assert await said(copy, "echo on; find ~ /tmp -size +1M") == "on"
                if make is too_large:
                    assert await said(copy, f"cat /{HONEST}") == "honest"
        except NoSnapshot:
            assert make not in (too_large, many)
