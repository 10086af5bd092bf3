"""Files on their way in and out of a sandbox, as a tar archive.

Used by `supervisor`. What comes out is hostile and is read here without `tarfile`'s own reader,
which follows a bad header into endless loops and deep recursion: only plain files with plain
headers count, nothing touches the disk, and all that is kept was in the data.
"""

import io
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

MAX_ENTRIES = 10_000
"""Entries of one archive that are looked at."""

MAX_DEPTH = 100
"""Folders that a file may lie in; what handles files on the host calls itself for each of them."""

_BLOCK = tarfile.BLOCKSIZE
_LONGEST_NAME = 4096
_SHOWN_REFUSALS = 100
_SHOWN_NAME = 200


@dataclass(frozen=True)
class File:
    """One regular file, by its absolute path inside."""

    path: str
    data: bytes
    mode: int = 0o644
    modified: int | None = None
    """When it was last changed, in seconds since 1970; None means now, or that it is not known."""


def packed(files: Sequence[File], owner: int) -> bytes:
    """The files as an archive, with the number of the user and group that own them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode = len(file.data), file.mode
            entry.mtime = int(time.time()) if file.modified is None else file.modified
            entry.uid = entry.gid = owner
            archive.addfile(entry, io.BytesIO(file.data))
    return out.getvalue()


def unpacked(data: bytes, asked: Sequence[str]) -> tuple[list[File], list[str]]:
    """Plain files of a hostile archive that lie below what was asked for; what else it held."""
    files: dict[str, File] = {}
    refused: list[str] = []
    try:
        for count, (entry, name, content) in enumerate(_entries(data)):
            if count >= MAX_ENTRIES:
                refused.append(f"more than {MAX_ENTRIES} files")
                break
            if why := _refusal(entry, name, asked):
                refused.append(f"{name[:_SHOWN_NAME]!r}: {why}")
            else:
                path = str(PurePosixPath("/", name))
                files[path] = File(path, content, entry.mode & 0o777)
    except (tarfile.HeaderError, ValueError) as error:
        refused.append(f"the archive is damaged: {error}")
    if len(refused) > _SHOWN_REFUSALS:
        refused[_SHOWN_REFUSALS:] = [f"and {len(refused) - _SHOWN_REFUSALS} more"]
    found = [PurePosixPath(path) for path in files]
    missing = [top for top in asked if not any(path.is_relative_to(top) for path in found)]
    return list(files.values()), refused + [f"{top}: no file there" for top in missing]


def _refusal(entry: tarfile.TarInfo, name: str, asked: Sequence[str]) -> str | None:
    """Why an entry is none of the files that were asked for."""
    if name.count("/") > MAX_DEPTH:
        return f"more than {MAX_DEPTH} folders deep"
    path = PurePosixPath("/", name)
    inside = any(path.is_relative_to(top) for top in asked) and ".." not in path.parts
    if inside and entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
        return None
    return "no plain file below what was asked for"


def _entries(data: bytes) -> Iterator[tuple[tarfile.TarInfo, str, bytes]]:
    """Header, name and content of each entry; a long name stands in an entry of its own before."""
    at, long_name = 0, ""
    while block := data[at : at + _BLOCK]:
        if not any(block):
            return
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        at += _BLOCK
        if not 0 <= entry.size <= len(data) - at:
            raise ValueError(f"an entry of {entry.size} bytes where {len(data) - at} are left")
        content = data[at : at + entry.size]
        at += -(-entry.size // _BLOCK) * _BLOCK
        if entry.type == tarfile.GNUTYPE_LONGNAME:
            if entry.size > _LONGEST_NAME:
                raise ValueError(f"a name of {entry.size} bytes")
            long_name = content.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        else:
            yield entry, long_name or entry.name, content
            long_name = ""
    raise ValueError("it has no end")
