"""Packages: pip itself against the index, and what is not in it."""

import base64
import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from agent_eval.basics.resources import shipped
from agent_eval.scenario.folk import Packages
from agent_eval.world.base import Service
from agent_eval.world.services.packages import open_packages
from agent_eval.world.wheels import canonical, pinned_in, wheels_in
from tests.world.services.around import AGENT, Surroundings, client, from_

pytestmark = pytest.mark.anyio


def wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """A wheel with one module, and its digest."""
    module, info = f"{name}.py", f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.8\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        module: f"here = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={digest.decode()},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def opened(folder: Path) -> tuple[Service, Surroundings, dict[str, str]]:
    digests = {
        "one": wheel(folder, "fine_one", "1.2", "fine-two>=1"),
        "two": wheel(folder, "fine_two", "1.0"),
    }
    wheel(folder, "smuggled", "1.0")  # nobody pinned it
    (folder / "torn-1.0-py3-none-any.whl").write_bytes(b"PK")
    torn = hashlib.sha256(b"PK").hexdigest()
    surroundings = Surroundings()
    wheels = wheels_in(folder, {*digests.values(), torn})
    return open_packages(Packages(), surroundings.around, wheels, []), surroundings, digests


@contextmanager
def served(service: Service) -> Iterator[str]:
    """The service on loopback."""
    config = uvicorn.Config(
        from_(service.app, AGENT), port=0, lifespan="off", ws="none", log_level="error"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


def pip(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pip with this index and no settings of this machine."""
    return subprocess.run(
        [
            *(sys.executable, "-I", "-m", "pip", "--isolated", "--no-cache-dir"),
            *("--disable-pip-version-check", *arguments, "--index-url", f"{url}/simple"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null"},
        timeout=120,
    )


@pytest.mark.slow
def test_pip_installs_a_package_and_what_it_needs(tmp_path: Path) -> None:
    service, surroundings, digests = opened(tmp_path)
    with served(service) as url:
        done = pip(url, "install", "--target", str(tmp_path / "lib"), "Fine.One")
        assert done.returncode == 0, done.stderr
        missing = pip(url, "install", "--target", str(tmp_path / "lib"), "left-pad")
    assert (tmp_path / "lib/fine_one.py").read_text() == "here = '1.2'\n"
    assert (tmp_path / "lib/fine_two.py").is_file()
    assert missing.returncode != 0
    assert "No matching distribution found for left-pad" in missing.stderr
    sent = [fact.sha256 for fact in surroundings.of("packages.asked") if fact.sha256]
    assert sorted(sent) == sorted(digests.values())
    refused = [fact.name for fact in surroundings.of("packages.asked") if not fact.found]
    assert refused == ["left-pad"]


@pytest.mark.slow
def test_pip_notices_a_file_that_was_changed_under_it(tmp_path: Path) -> None:
    service, _, _ = opened(tmp_path)
    wheel(tmp_path, "fine_two", "1.0", "smuggled")
    with served(service) as url:
        done = pip(url, "install", "--target", str(tmp_path / "lib"), "fine-two")
    assert done.returncode != 0
    assert "fine_two.py" not in {file.name for file in tmp_path.glob("lib/*")}


async def test_what_is_not_pinned_is_not_there(tmp_path: Path) -> None:
    service, _, _ = opened(tmp_path)
    async with client(service, "pypi.org") as http:
        for path in (
            *("/simple/smuggled/", "/files/smuggled-1.0-py3-none-any.whl", "/simple/no-such/"),
            *("/files/..%2f..%2fetc%2fpasswd", "/files/fine_one", "/pypi/fine-one/json"),
            "/files/torn-1.0-py3-none-any.whl.metadata",
        ):
            assert (await http.get(path)).status_code == 404, path
        assert "smuggled" not in (await http.get("/simple/")).text
        assert "fine-one 1.2" in (await http.get("/")).text


async def test_the_index_speaks_both_tongues(tmp_path: Path) -> None:
    service, _, digests = opened(tmp_path)
    async with client(service) as http:
        as_html = (await http.get("/simple/fine-one/")).text
        assert f"#sha256={digests['one']}" in as_html
        assert 'data-requires-python="&gt;=3.8"' in as_html
        accept = {"accept": "application/vnd.pypi.simple.v1+json"}
        [file] = (await http.get("/simple/fine.ONE/", headers=accept)).json()["files"]
        assert file["hashes"] == {"sha256": digests["one"]}
        metadata = await http.get(file["url"] + ".metadata")
        assert hashlib.sha256(metadata.content).hexdigest() == file["core-metadata"]["sha256"]


def test_without_a_folder_the_index_is_empty(tmp_path: Path) -> None:
    assert wheels_in(tmp_path / "none", {"x"}) == []


def test_the_list_that_ships_pins_every_package_it_names() -> None:
    lock = shipped("sandbox") / "pypi.lock"
    asked = shipped("sandbox").joinpath("pypi.txt").read_text().splitlines()
    wanted = {canonical(name) for line in asked if (name := line.partition("#")[0].strip())}
    named = {line.partition("==")[0] for line in lock.read_text().splitlines() if "==" in line}
    assert wanted <= named
    assert len(pinned_in(lock)) >= len(named)
