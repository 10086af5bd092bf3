"""The packages that `apt-get` finds in a world: those here whose digests are pinned.

`sandbox/fetch-packages` puts them into a folder; what in it has no digest that `sandbox/debs.lock`
pins is not offered.
"""

import io
import os
import tarfile
from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent_eval.basics.resources import shipped
from agent_eval.world.wheels import cache, digest_of, pinned_in

HEADER_BYTES, NAME_BYTES, SIZE = 60, 16, slice(48, 58)
"""Of a member's header, in the form of archive that deb(5) describes."""


@dataclass(frozen=True)
class Deb:
    """One package of the archive."""

    file: Path

    @cached_property
    def sha256(self) -> str:
        """The digest of the file."""
        return digest_of(self.file)

    @cached_property
    def control(self) -> str:
        """What it says of itself: the first fields of its entry in an archive's list."""
        with tarfile.open(fileobj=io.BytesIO(_control_part(self.file))) as archive:
            for member in archive:
                if member.name.removeprefix("./") == "control" and (
                    found := archive.extractfile(member)
                ):
                    return found.read().decode().rstrip("\n")
        raise ValueError(f"{self.file}: no control file")

    def field(self, name: str) -> str:
        """What one field says; empty where there is none."""
        for line in self.control.splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        return ""

    @property
    def package(self) -> str:
        """Its name."""
        return self.field("Package")

    @property
    def version(self) -> str:
        """Its version."""
        return self.field("Version")

    @property
    def architecture(self) -> str:
        """The machines that it is for, `amd64` or the like, or `all`."""
        return self.field("Architecture")

    @property
    def named(self) -> str:
        """The name of its file in an archive, where versions have no epoch."""
        return f"{self.package}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"


def fetched() -> Path:
    """Where `sandbox/fetch-packages` puts what it fetches."""
    return cache() / "debs"


def debs_in(folder: Path, pinned: Container[str]) -> list[Deb]:
    """The packages of a folder whose digests are pinned; none where there is no such folder."""
    debs = [Deb(file) for file in sorted(folder.glob("*.deb"))]
    return [deb for deb in debs if deb.sha256 in pinned]


def on_offer() -> list[Deb]:
    """The packages that this machine has for worlds; none where set-up could not fetch them."""
    return debs_in(fetched(), pinned_in(shipped("sandbox") / "debs.lock"))


def _control_part(file: Path) -> bytes:
    with file.open("rb") as archive:
        archive.seek(len(b"!<arch>\n"))
        while len(header := archive.read(HEADER_BYTES)) == HEADER_BYTES:
            size = int(header[SIZE])
            if header[:NAME_BYTES].startswith(b"control.tar"):
                return archive.read(size)
            archive.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError(f"{file}: not a package of Debian's")
