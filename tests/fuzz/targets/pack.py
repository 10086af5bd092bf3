"""Files with hostile names: packed by PID 1's errand, read by the host."""

import os
import shutil
import tempfile
from pathlib import Path

from agent_eval.record.transcript import line_of
from agent_eval.sandbox.archive import unpacked
from sandbox.init import errands

QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
SEEDS = (
    b"a\ncontent\nd/e/f\nmore\n\xff\xfe\nnames are bytes",
    b"x" * 250 + b"\nlong\n" + b"y/" * 60 + b"z\ndeep",
    b"\x1b[2J\n\n \n\r\n\xe2\x80\xae\nturned",
)


def check(data: bytes) -> None:
    """What is there comes out as it is, under its own name."""
    top = Path(tempfile.mkdtemp(prefix="f-", dir=QUICK))
    try:
        made = tree(os.fsencode(top), data.split(b"\n"))
        files, refused = unpacked(packed(str(top)), [str(top)])
        line_of({"files": [file.path for file in files], "refused": refused})
        assert {os.fsencode(file.path): file.data for file in files} == made
    finally:
        shutil.rmtree(top)


def tree(top: bytes, lines: list[bytes]) -> dict[bytes, bytes]:
    """Make a file for each pair of lines, name and content, as far as the system lets us."""
    made = {}
    for name, content in zip(lines[::2], lines[1::2], strict=False):
        parts = [part for part in name.split(b"/") if part not in (b"", b".", b"..")]
        if not parts or b"\0" in name:
            continue
        path = os.path.join(top, *parts)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        except OSError:
            continue
        made[path] = content
    return made


def packed(top: str) -> bytes:
    """What the errand writes: it ends its process, as in a sandbox."""
    held = os.memfd_create("packed")
    child = os.fork()
    if child == 0:
        os.dup2(held, 1)
        try:
            errands.pack([top], 1 << 20)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with open(held, "rb") as file:
        file.seek(0)
        return file.read()
