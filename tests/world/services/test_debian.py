"""The archive for apt-get: apt-get itself against it, and what is not in it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from agent_eval.scenario.folk import Packages
from agent_eval.world.debs import Deb
from agent_eval.world.services.packages import open_packages
from tests.world.services.around import Surroundings, client
from tests.world.services.test_packages import served
from tests.world.test_debs import deb

pytestmark = pytest.mark.anyio
FOLDERS = ("state/lists/partial", "cache/archives/partial", "out")


def apt_get(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Apt-get with this archive and no settings or state of this machine."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "list").write_text(f"deb [trusted=yes] {url}/debian stable main\n")
    settings = {
        "Dir::State": f"{folder}/state",
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Etc": "/nonexistent",
        "Dir::Etc::SourceList": f"{folder}/list",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Acquire::http::Proxy": "false",
    }
    options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
    return subprocess.run(
        ["apt-get", *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "APT_CONFIG": "/dev/null", "LC_ALL": "C"},
        cwd=folder / "out",
        timeout=120,
    )


def debs(folder: Path) -> list[Deb]:
    folder.mkdir()
    return [deb(folder, "fine", "1:1.0+b1"), deb(folder, "any", "2.0", "all")]


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get on this machine")
def test_apt_get_fetches_what_there_is_and_notices_a_file_that_was_changed(tmp_path: Path) -> None:
    surroundings, there = Surroundings(), debs(tmp_path / "debs")
    with served(open_packages(Packages(), surroundings.around, [], there)) as url:
        updated = apt_get(tmp_path, url, "update")
        assert updated.returncode == 0, updated.stderr
        done = apt_get(tmp_path, url, "download", "fine", "any")
        assert done.returncode == 0, done.stderr
        assert apt_get(tmp_path, url, "download", "left-pad").returncode == 100
        shutil.rmtree(tmp_path / "out")
        changed = there[0].file.read_bytes().replace(b"data.tar", b"tada.tar")
        there[0].file.write_bytes(changed)
        refused = apt_get(tmp_path, url, "download", "fine")
    assert refused.returncode == 100
    assert "Hash Sum mismatch" in refused.stderr
    assert list((tmp_path / "out").glob("*.deb")) == []
    asked = [(fact.index, fact.name, fact.sha256) for fact in surroundings.of("packages.asked")]
    sent = [("apt", each.named, each.sha256) for each in there]
    assert set(asked) == set(sent)


async def test_any_other_package_is_not_there(tmp_path: Path) -> None:
    surroundings = Surroundings()
    service = open_packages(Packages(), surroundings.around, [], debs(tmp_path / "debs"))
    async with client(service) as http:
        for path in (
            *("pool/left-pad_1_all.deb", "pool/..%2f..%2fetc%2fpasswd", "pool/", ""),
            *("dists/stable/InRelease", "dists/unstable/Release", "dists/stable/main/Packages"),
        ):
            assert (await http.get(f"/debian/{path}")).status_code == 404, path
        page = (await http.get("/")).text
    assert "- any 2.0\n- fine 1:1.0+b1\n" in page
    assert "deb [trusted=yes] https://packages.internal/debian stable main" in page
    assert ("left-pad_1_all.deb", False) in [
        (fact.name, fact.found) for fact in surroundings.of("packages.asked")
    ]
