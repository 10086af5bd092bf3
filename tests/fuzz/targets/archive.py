"""Files on their way out: an archive that the inside made."""

import tarfile
from pathlib import PurePosixPath

from agent_eval.record.transcript import line_of
from agent_eval.sandbox.archive import File, packed, unpacked

TOP = "/home/user"
BLOCK = 512


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    """One header as bytes."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


SEEDS = (
    packed([File("/home/user/a", b"content"), File("/home/user/" + "long/" * 40, b"x")], 1000),
    header("home/user/../../etc/passwd") + header("/etc/x") + bytes(1024),
    *(header("home/user/x", kind) + bytes(1024) for kind in (b"1", b"2", b"3", b"5", b"S", b"L")),
    header("home/user/x", b"L", 5) + b"home/".ljust(BLOCK, b"\0") + header("y", size=9),
    header("home/user/x", size=2**40),
)


def check(data: bytes) -> None:
    """Plain files below what was asked for, no byte of which is not in the data; else words.

    A header's checksum is made right, or none but the first would ever be looked at.
    """
    for archive in (data, resealed(data)):
        files, refused = unpacked(archive, [TOP])
        assert sum(len(file.data) for file in files) <= len(archive)
        assert len({file.path for file in files}) == len(files)
        for file in files:
            path = PurePosixPath(file.path)
            assert path.is_relative_to(TOP)
            assert ".." not in path.parts
            assert 0 <= file.mode <= 0o777
        assert files or refused
        assert len(refused) <= 102
        line_of({"files": [file.path for file in files], "refused": refused})


def resealed(data: bytes) -> bytes:
    """The same blocks with checksums that are right wherever a header may stand."""
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    return b"".join(
        block[:148] + b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:])) + block[156:]
        if len(block) == BLOCK and any(block)
        else block
        for block in blocks
    )
