"""The packages that `pip install` finds in a world: wheels here whose digests are pinned.

`sandbox/fetch-packages` puts them into a folder; what in it has no digest that `sandbox/pypi.lock`
pins is not offered.
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent_eval.basics.resources import shipped

LARGEST_METADATA_BYTES = 4 * 1024 * 1024


def canonical(name: str) -> str:
    """A package's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Wheel:
    """One file of the index."""

    file: Path

    @property
    def package(self) -> str:
        """The canonical name of what is in it."""
        return canonical(self.file.name.split("-")[0])

    @property
    def version(self) -> str:
        """Its version."""
        return self.file.name.split("-")[1]

    @cached_property
    def sha256(self) -> str:
        """The digest of the file."""
        return digest_of(self.file)

    @cached_property
    def metadata(self) -> bytes | None:
        """What it says of itself (PEP 658), None where that cannot be read."""
        try:
            with zipfile.ZipFile(self.file) as archive:
                for info in archive.infolist():
                    if re.fullmatch(r"[^/]+\.dist-info/METADATA", info.filename):
                        fits = info.file_size <= LARGEST_METADATA_BYTES
                        return archive.read(info) if fits else None
        except (OSError, zipfile.BadZipFile):
            return None
        return None

    @cached_property
    def requires_python(self) -> str | None:
        """The versions of Python it is for."""
        head = (self.metadata or b"").partition(b"\n\n")[0].decode("utf-8", "replace")
        found = re.search(r"^Requires-Python: *(\S.*)$", head, re.MULTILINE)
        return found[1].strip() if found else None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache() -> Path:
    """The folder for what set-up fetches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-eval"


def fetched() -> Path:
    """Where `sandbox/fetch-packages` puts what it fetches."""
    return cache() / "pypi"


def pinned_in(lock: Path) -> frozenset[str]:
    """The digests that a list of requirements allows."""
    return frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", lock.read_text("utf-8")))


def wheels_in(folder: Path, pinned: Container[str]) -> list[Wheel]:
    """The wheels of a folder whose digests are pinned; none where there is no such folder."""
    wheels = [Wheel(file) for file in sorted(folder.glob("*.whl")) if file.name.count("-") >= 4]
    return [wheel for wheel in wheels if wheel.sha256 in pinned]


def on_offer() -> list[Wheel]:
    """The packages that this machine has for worlds; none where set-up could not fetch them."""
    return wheels_in(fetched(), pinned_in(shipped("sandbox") / "pypi.lock"))
