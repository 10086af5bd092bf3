"""Debian packages here: what they say of themselves, and which are offered."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from agent_eval.basics.resources import shipped
from agent_eval.world.debs import Deb, debs_in
from agent_eval.world.wheels import pinned_in


def deb(folder: Path, name: str, version: str, architecture: str = "amd64") -> Deb:
    """A package with nothing in it but what it says of itself."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
    control += "Maintainer: nobody <nobody@example.org>\nDescription: a test\n of two lines\n"
    parts = {"debian-binary": b"2.0\n", "control.tar.gz": _packed("./control", control)}
    parts["data.tar.gz"] = _packed(f"./usr/share/{name}", name)
    data = b"!<arch>\n"
    for part, content in parts.items():
        data += f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        data += content + b"\n" * (len(content) % 2)
    file = folder / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    file.write_bytes(data)
    return Deb(file)


def _packed(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        info = tarfile.TarInfo(name)
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_a_package_says_what_it_is(tmp_path: Path) -> None:
    box = deb(tmp_path, "box", "1:1.35-4+b1")
    assert (box.package, box.version, box.architecture) == ("box", "1:1.35-4+b1", "amd64")
    assert box.named == "box_1.35-4+b1_amd64.deb", "as in an archive: without the epoch"
    assert box.control.endswith("Description: a test\n of two lines")
    assert box.field("Depends") == ""
    assert box.sha256 == hashlib.sha256(box.file.read_bytes()).hexdigest()


def test_only_what_is_pinned_is_offered(tmp_path: Path) -> None:
    pinned = deb(tmp_path, "fine", "1.0")
    deb(tmp_path, "smuggled", "1.0")
    assert debs_in(tmp_path, {pinned.sha256}) == [pinned]
    assert debs_in(tmp_path / "none", {pinned.sha256}) == []


def test_what_is_no_package_says_nothing(tmp_path: Path) -> None:
    torn = tmp_path / "torn_1_all.deb"
    torn.write_bytes(b"!<arch>\n")
    with pytest.raises(ValueError, match="not a package"):
        _ = Deb(torn).control


def test_the_list_that_ships_pins_each_package_it_names() -> None:
    lock = shipped("sandbox") / "debs.lock"
    named = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert named
    assert all(line.partition(" ")[0].count("=") == 1 for line in named)
    assert len(pinned_in(lock)) == len(named)
