"""Files on their way in and out: what comes out is hostile."""

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.resources import shipped
from agent_eval.sandbox.archive import MAX_ENTRIES, File, packed, unpacked

FILES = st.lists(
    st.builds(
        File,
        path=st.lists(st.sampled_from(("a", "bé", "c d", "x" * 120, "-", "~")), min_size=1).map(
            lambda parts: "/home/" + "/".join(parts)
        ),
        data=st.binary(max_size=2000),
        mode=st.sampled_from((0o644, 0o755, 0o600)),
    ),
    unique_by=lambda file: file.path,
    max_size=5,
)


def entry(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, **more: object) -> bytes:
    """One entry as bytes, whatever it says."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for field, value in more.items():
        setattr(info, field, value)
    padding = bytes(-len(data) % 512)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data + padding


def archive(*entries: bytes) -> bytes:
    return b"".join(entries) + bytes(1024)


def resealed(header: bytearray) -> bytes:
    """A header with a checksum that is right again."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@given(FILES)
def test_what_goes_in_is_a_plain_archive_owned_by_the_agent(files: list[File]) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(files, 1000))) as read:
        found = [
            File("/" + one.name, read.extractfile(one).read(), one.mode)  # type: ignore[union-attr]
            for one in read
        ]
        assert {(one.uid, one.gid) for one in read} <= {(1000, 1000)}
    assert found == files


@given(FILES)
def test_plain_files_come_out_as_they_were(files: list[File]) -> None:
    data = archive(*(entry(file.path, file.data, mode=file.mode) for file in files))
    found, refused = unpacked(data, ["/home"])
    assert found == files
    assert refused == ([] if files else ["/home: no file there"])


def test_the_supervisors_own_archive_is_read(tmp_path: Path) -> None:
    """The real program's `pack`, called as the sandbox calls it, but outside of one."""
    top = tmp_path / "top"
    (top / "deep" / ("d" * 90)).mkdir(parents=True)
    wanted = {
        "plain.txt": b"text",
        "empty": b"",
        "name with spaces é.bin": os.urandom(5000),
        "deep/" + "d" * 90 + "/" + "f" * 200: b"long name",
        "-dash": b"-",
    }
    for name, data in wanted.items():
        top.joinpath(name).write_bytes(data)
    latin = os.fsencode(top) + b"/b\xff\xfe"
    with open(latin, "wb") as file:  # noqa: PTH123 - a name that is no text
        file.write(b"bytes")
    top.joinpath("link").symlink_to("/etc/passwd")
    top.joinpath("loop").symlink_to(top)
    os.mkfifo(top / "pipe")
    program = shipped("sandbox").joinpath("init", "errands.py").read_text()

    def packs(paths: list[str], limit: int) -> tuple[int, bytes]:
        script = f"{program}\npack({paths!r}, {limit})"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        return done.returncode, done.stdout

    code, data = packs([str(top)], 100_000)
    files, refused = unpacked(data, [str(top), "/gone"])
    assert (code, refused) == (0, ["/gone: no file there"])
    found = {file.path.removeprefix(f"{top}/"): file.data for file in files}
    assert found == {**wanted, "b\udcff\udcfe": b"bytes"}
    code, data = packs([str(top)], 1000)
    assert code != 0, "more than the limit is not sent without a word"
    assert sum(len(file.data) for file in unpacked(data, [str(top)])[0]) <= 1000


@pytest.mark.parametrize(
    "hostile",
    [
        entry("../../etc/passwd"),
        entry("home/../etc/passwd"),
        entry("/home/user/../../etc/passwd"),
        entry("/etc/passwd"),
        entry("//home/user/x"),
        entry("home/userland"),
        entry(".."),
        entry(""),
        entry("home/user/link", b"", tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("home/user/hard", b"", tarfile.LNKTYPE, linkname="/etc/passwd"),
        entry("home/user/null", b"", tarfile.CHRTYPE),
        entry("home/user/disk", b"", tarfile.BLKTYPE),
        entry("home/user/fifo", b"", tarfile.FIFOTYPE),
        entry("home/user/folder", b"", tarfile.DIRTYPE),
        entry("home/user/sparse", b"x", tarfile.GNUTYPE_SPARSE),
        entry("home/user/pax", b"20 path=/etc/passwd\n", tarfile.XHDTYPE),
        entry("home/user/pax", b"19 size=99999999999\n", tarfile.XGLTYPE),
        entry("home/user/odd", b"x", b"Z"),
    ],
)
def test_what_is_no_plain_file_in_its_place_is_refused(hostile: bytes) -> None:
    good = entry("home/user/good", b"good")
    files, refused = unpacked(archive(hostile, good), ["/home/user"])
    assert files == [File("/home/user/good", b"good")]
    assert len(refused) == 1
    assert "no plain file below what was asked for" in refused[0]


def test_modes_are_permissions_only() -> None:
    data = archive(entry("home/x", mode=0o7777), entry("home/y", mode=2**20 + 0o755))
    assert [file.mode for file in unpacked(data, ["/home"])[0]] == [0o777, 0o755]


def test_a_file_asked_for_by_its_own_path_is_found() -> None:
    data = archive(entry("etc/passwd", b"root"))
    assert unpacked(data, ["/etc/passwd"]) == ([File("/etc/passwd", b"root")], [])
    assert unpacked(data, ["/etc/pass"])[0] == []
    assert unpacked(data, []) == ([], ["'etc/passwd': no plain file below what was asked for"])


@pytest.mark.parametrize("size", [-1, -512, 2**70, 2**33, 513])
def test_a_size_that_cannot_be_ends_the_reading(size: int) -> None:
    header = bytearray(entry("home/user/big", b"")[:512])
    header[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % 2**88).to_bytes(11, "big")
    started = time.monotonic()
    files, refused = unpacked(resealed(header) + bytes(512), ["/home/user"])
    assert files == []
    assert "the archive is damaged" in refused[0]
    assert time.monotonic() - started < 60, "a negative size leads into no endless loop"


def test_headers_of_headers_do_not_pile_up() -> None:
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE):
        many = [entry("long", b"home/user/" + b"x" * 100 + b"\0", kind)] * 2000
        files, refused = unpacked(archive(*many, entry("home/user/good")), ["/home/user"])
        assert len(files) == 1
        assert len(refused) <= 101


def test_more_than_the_most_files_are_cut_off() -> None:
    data = archive(entry("home/first") + entry("home/same") * MAX_ENTRIES + entry("home/last"))
    files, refused = unpacked(data, ["/home"])
    assert [file.path for file in files] == ["/home/first", "/home/same"]
    assert refused == [f"more than {MAX_ENTRIES} files"]
    hostile = entry("long", b"n" * 4000 + b"\0", tarfile.GNUTYPE_LONGNAME) + entry("x")
    files, refused = unpacked(archive(hostile * 150), ["/home"])
    assert files == []
    assert len(refused) == 102
    assert "and 50 more" in refused
    assert sum(map(len, refused)) < 40_000, "a record of refusals stays small"


def test_files_deeper_than_the_host_can_go_are_refused() -> None:
    deep = archive(entry("home/" + "d/" * 99 + "deep"), entry("home/" + "d/" * 2000 + "deeper"))
    files, refused = unpacked(deep, ["/home"])
    assert [file.path for file in files] == ["/home/" + "d/" * 99 + "deep"]
    assert refused == [f"{'home/' + 'd/' * 97 + 'd'!r}: more than 100 folders deep"]


def test_a_name_that_no_file_can_have_ends_the_archive() -> None:
    named = entry("long", b"n/" * 1_000_000, tarfile.GNUTYPE_LONGNAME) + entry("x")
    files, refused = unpacked(archive(entry("home/good") + named + entry("home/late")), ["/home"])
    assert [file.path for file in files] == ["/home/good"]
    assert refused == ["the archive is damaged: a name of 2000000 bytes"]


@given(st.binary(max_size=1500))
def test_any_bytes_are_read_or_damaged(data: bytes) -> None:
    files, refused = unpacked(data, ["/home"])
    assert files == []
    assert refused


@given(st.lists(st.tuples(st.integers(0, 1535), st.integers(0, 255)), min_size=1), st.booleans())
def test_a_damaged_archive_is_read_safely(changes: list[tuple[int, int]], reseal: bool) -> None:
    data = bytearray(archive(entry("home/a", b"first"), entry("home/b", b"second")))
    for at, value in changes:
        data[at] = value
    if reseal:
        data[:512] = resealed(data[:512])
    files, _ = unpacked(bytes(data), ["/home"])
    assert all(file.path.startswith("/home") and ".." not in file.path for file in files)
    assert sum(len(file.data) for file in files) <= len(data)


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 1023, 1024, 1535])
def test_an_archive_that_was_cut_off_says_so(cut: int) -> None:
    data = archive(entry("home/a", b"first" * 100), entry("home/b"))
    files, refused = unpacked(data[:cut], ["/home"])
    assert any("damaged" in one for one in refused)
    assert [file.path for file in files] == (["/home/a"] if cut >= 1012 else [])
