"""What a sandbox was at a moment, kept beside the run, for others to begin as.

    memory   gVisor only: everything, from files to variables and running programs
    files    all that is writable; no process, and nothing that only one of them knew

A snapshot is a folder named by what is in it: `<run>/snapshots/<digest>/`, the digest being the
SHA-256 of a list of the names, sizes and SHA-256 of its files. They take up so much of the disk at
most: to make room for a new one, the oldest that nobody needs go.
"""

import hashlib
import json
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agent_eval.errors import NoSnapshot
from agent_eval.sandbox.pid1 import program_digest
from agent_eval.sandbox.settings import Asked

FOLDER = "snapshots"
"""The name of their folder in a run's."""

DISKS = ".disks-"
"""What the folders beside it begin with that hold rented machines' disks while a run goes on."""

ABOUT, ARCHIVE = "about.json", "files.tar"
LIMIT_BYTES = 4 * 1024**3

Kind = Literal["memory", "files"]

LOST_WITHOUT_MEMORY = (
    "processes, background jobs too",
    "variables, functions and imports of the shell and of Python, and the shell's folder",
    "open files, sockets, pipes and locks",
    "what waits in pipes and sockets",
)
"""What a copy of the files alone has not, in words."""

SHARED_WITH_MEMORY = (
    "random numbers of programs that have begun to draw them, the two sessions aside",
    "addresses in memory, and what programs keep there to protect themselves",
    "numbers of processes, names of temporary files, times at which anything was started",
)
"""What a copy with memory has in common with its original, in words."""


def remove_disks(run: Path) -> None:
    """Remove what a harness that was killed left of machines' disks; nobody may write the run."""
    for left in run.glob(f"{DISKS}*"):
        shutil.rmtree(left, ignore_errors=True)


@dataclass(frozen=True)
class Snapshot:
    """One of them."""

    kind: Kind
    digest: str
    size_bytes: int
    path: Path
    """Its folder."""

    def about(self) -> dict[str, Any]:
        """What has to be known to begin as it: see `Sandbox.snapshot`."""
        try:
            text = self.path.joinpath(ABOUT).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NoSnapshot(f"the snapshot {self.digest[:12]} is gone: it made room") from error
        about: dict[str, Any] = json.loads(text)
        return about


class Snapshots:
    """The snapshots of one run."""

    def __init__(self, run_folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = run_folder / FOLDER
        self.limit_bytes = limit_bytes
        self._needed: Counter[str] = Counter()
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def making(self) -> Iterator[Path]:
        """A folder to put a new one in, gone at the end of the block unless it was kept."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        made = self.folder / f".new-{secrets.token_hex(6)}"
        made.mkdir(mode=0o700)
        try:
            yield made
        except OSError as error:
            raise NoSnapshot(f"a snapshot cannot be written to {made}: {error.strerror}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def keep(self, made: Path, kind: Kind, about: dict[str, Any]) -> Snapshot:
        """Keep what was put into a folder; reads all of it, so call it in a thread."""
        text = json.dumps({"kind": kind, **about}, indent=1, sort_keys=True)
        made.joinpath(ABOUT).write_text(text, encoding="utf-8")
        for file in made.iterdir():
            file.chmod(0o600)
        digest, size_bytes = _digest(made)
        path = self.folder / digest
        with self._one_at_a_time:
            if not path.exists():
                self._make_room(size_bytes)
                made.rename(path)
            path.touch()  # it is the newest now, if it was there before
        return Snapshot(kind, digest, size_bytes, path)

    def find(self, digest: str) -> Snapshot:
        """One by its digest, which is worked out again."""
        path = self.folder / digest
        if not path.is_dir():
            raise NoSnapshot(f"there is no snapshot {digest} in {self.folder}: it made room?")
        found, size_bytes = _digest(path)
        if found != digest:
            raise NoSnapshot(f"{path} is not what it was: its digest is {found}")
        about = json.loads(path.joinpath(ABOUT).read_text(encoding="utf-8"))
        return Snapshot(about["kind"], digest, size_bytes, path)

    @contextmanager
    def needed(self, snapshot: Snapshot) -> Iterator[None]:
        """Have one kept while the block runs, however many new ones are made."""
        self._needed[snapshot.digest] += 1
        try:
            yield
        finally:
            self._needed[snapshot.digest] -= 1

    def _make_room(self, size_bytes: int) -> None:
        """Remove the oldest that nobody needs until there is room for one more."""
        kept = sorted(self.folder.glob("[!.]*"), key=lambda path: path.stat().st_mtime_ns)
        sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in kept}
        for path in kept:
            if sum(sizes.values()) + size_bytes <= self.limit_bytes:
                return
            if not self._needed[path.name]:
                shutil.rmtree(path)
                del sizes[path]
        if sum(sizes.values()) + size_bytes > self.limit_bytes:
            raise NoSnapshot(
                f"a snapshot of {size_bytes:,} bytes does not fit: those of a run may take "
                f"{self.limit_bytes:,} bytes, and {sum(sizes.values()):,} are needed still"
            )


def needs(asked: Asked) -> dict[str, Any]:
    """What a sandbox must have in common with the one that a snapshot is of."""
    return {
        "image": asked.image_id or asked.image,
        "gvisor": asked.gvisor,
        "tmpfs": asked.tmpfs,
        "memory_bytes": asked.memory_bytes,
        "open_files": asked.open_files,
        "program": program_digest(),
    }


def refuse_unless_fitting(snapshot: Snapshot, asked: Asked) -> None:
    """A snapshot with memory can only go on in the same surroundings; files can go anywhere."""
    had = snapshot.about()["needs"]
    other = [name for name, value in needs(asked).items() if had[name] != value]
    if snapshot.kind == "memory" and other:
        raise NoSnapshot(
            f"the snapshot {snapshot.digest[:12]} is of a sandbox with another {', '.join(other)}; "
            "bring it up with the same scenario and version of this program"
        )


def _digest(folder: Path) -> tuple[str, int]:
    """The SHA-256 of the list of what is in a folder, and the size of all of it."""
    lines, size_bytes = [], 0
    for file in sorted(folder.iterdir()):
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = file.stat().st_size
        size_bytes += size
        lines.append(f"{digest} {size} {file.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest(), size_bytes
