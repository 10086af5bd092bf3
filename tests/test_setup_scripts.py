"""The shell scripts that make a machine ready, called as a person calls them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SANDBOX = Path(__file__).parent.parent / "sandbox"
NOBODY = 65534
# What the scripts may use on any machine; nothing here installs software.
PLAIN_TOOLS = (
    *("bash", "cat", "curl", "cut", "dirname", "docker", "env", "grep"),
    *("id", "python3", "sed", "sha256sum", "tr", "uname"),
)


def call(
    script: Path, *args: str, path: Path | None = None, host: str = "", user: int | None = None
) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ)
    if path:
        env["PATH"] = str(path)
    if host:
        env["DOCKER_HOST"] = host
    return subprocess.run(
        [script, *args],
        capture_output=True,
        text=True,
        env=env,
        user=user,
        timeout=250,
        check=False,
    )


@pytest.fixture
def plain_path(tmp_path: Path) -> Path:
    """A PATH on which there is no package manager."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in PLAIN_TOOLS:
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("script", ["setup", "build-image"])
def test_help_says_how_to_call_it_and_what_the_exit_codes_mean(script: str) -> None:
    done = call(SANDBOX / script, "--help")
    assert done.returncode == 0
    assert f"Usage: sandbox/{script}" in done.stdout
    assert "Exit codes:" in done.stdout


@pytest.mark.parametrize("script", ["setup", "build-image"])
def test_an_unknown_option_does_nothing_but_explain(script: str) -> None:
    done = call(SANDBOX / script, "--fource")
    assert done.returncode == 2
    assert "Usage:" in done.stderr


def test_without_a_package_manager_setup_says_what_to_install(
    plain_path: Path, tmp_path: Path
) -> None:
    dead = f"unix://{tmp_path}/no.sock"
    done = call(SANDBOX / "setup", path=plain_path, host=dead)
    assert done.returncode == 2
    assert f"No Docker engine answers at {dead}" in done.stderr
    assert "version 20.10 or later" in done.stderr
    assert "agent-eval setup --runtimes" in done.stderr


def test_setup_leaves_the_machine_alone_when_docker_host_names_a_dead_engine(
    tmp_path: Path,
) -> None:
    done = call(SANDBOX / "setup", host=f"unix://{tmp_path}/no.sock")
    assert done.returncode == 2
    assert "unset DOCKER_HOST" in done.stderr
    assert "Installing" not in done.stdout


def test_setup_tells_a_user_who_may_not_use_the_engine_to_join_its_group(open_folder: Path) -> None:
    shutil.copy(SANDBOX / "setup", open_folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{open_folder}/docker.sock")
        (open_folder / "docker.sock").chmod(0)
        done = call(
            open_folder / "setup",
            host=f"unix://{open_folder}/docker.sock",
            user=NOBODY if os.geteuid() == 0 else None,
        )
    assert done.returncode == 2
    assert "usermod -aG docker" in done.stderr


def test_build_image_points_to_setup_when_no_engine_answers(tmp_path: Path) -> None:
    done = call(SANDBOX / "build-image", host=f"unix://{tmp_path}/no.sock")
    assert done.returncode == 2
    assert f"Type: {SANDBOX}/setup" in done.stderr


@pytest.mark.docker
def test_setup_does_nothing_where_an_engine_answers(plain_path: Path) -> None:
    done = call(SANDBOX / "setup", path=plain_path)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("Docker engine ")
    assert second.startswith("gVisor runtime agent-eval-runsc is ")
    assert third == "Nothing to install."


@pytest.mark.docker
def test_build_image_does_nothing_when_the_image_is_up_to_date(plain_path: Path) -> None:
    done = call(SANDBOX / "build-image", path=plain_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Image agent-eval-sandbox:latest is up to date.\n"


def test_every_package_is_named_once_and_has_a_reason() -> None:
    lines = [
        line for line in (SANDBOX / "packages").read_text().splitlines() if line and line[0] != "#"
    ]
    named = [line.split("#")[0].split() for line in lines]
    assert all(len(names) == 1 for names in named)
    assert len({names[0] for names in named}) == len(lines)
    assert all(line.partition("#")[2].strip() for line in lines)


def test_every_runtime_is_a_wrapper_that_setup_installs_with_the_one_it_looks_for() -> None:
    runtimes = json.loads((SANDBOX / "runtimes.json").read_text())
    script = (SANDBOX / "setup").read_text()
    folder = re.search(r"^wrappers=(\S+)", script, re.MULTILINE)
    assert folder
    for runtime in runtimes.values():
        path = Path(runtime["path"])
        assert str(path.parent) == folder[1]
        assert os.access(SANDBOX / path.name, os.X_OK)
    assert re.search(r"^runtime=(\S+)$", script, re.MULTILINE)[1] in runtimes  # type: ignore[index]
