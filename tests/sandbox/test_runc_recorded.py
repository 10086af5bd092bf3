"""The runtime around runc, called as the engine calls it, with a runc that echoes."""

import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_eval.sandbox.kernel import MEETING_PLACE

WRAPPER = Path(__file__).parents[2] / "sandbox" / "runc-recorded"
CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "process": {"env": ['A="seccomp":{', 'B={"seccomp":{}}', "C=|&\\1"], "args": ["sh"]},
    "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle as the engine writes it, and a PATH on which runc is a script."""
    fake = tmp_path / "bin" / "runc"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$#: $*"\nexit 3\n')
    fake.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG, separators=(",", ":")))
    return tmp_path


@pytest.fixture
def listened() -> Iterator[str]:
    """The name of a container that somebody listens for."""
    name = secrets.token_hex(32)
    folder = MEETING_PLACE / name
    try:
        folder.mkdir()
    except OSError:
        pytest.skip(f"{MEETING_PLACE} is not there; `agent-eval setup --runtimes` makes it")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "seccomp"))
        yield name
    shutil.rmtree(folder)


def call(bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = f"{bundle}/bin:{os.environ['PATH']}"
    return subprocess.run(
        [WRAPPER, "--root", "/r x", "--log", str(bundle / "log"), *words],
        capture_output=True, text=True, env={"PATH": path}, check=False,
    )  # fmt: skip


def config(bundle: Path) -> Any:
    return json.loads((bundle / "config.json").read_text())


@pytest.mark.parametrize("words", ["--bundle {}", "--bundle={}", "-b {}"])
def test_a_sandbox_with_a_record_is_told_where_to_ask(
    bundle: Path, listened: str, words: str
) -> None:
    done = call(bundle, "create", *words.format(bundle).split(), "--pid-file", "p", listened)
    assert done.returncode == 3
    assert done.stdout.startswith(f"{8 + len(words.split())}: --root /r x --log")
    changed = config(bundle)
    assert changed["linux"]["seccomp"].pop("listenerPath") == f"/run/agent-eval/{listened}/seccomp"
    assert changed["linux"]["seccomp"].pop("listenerMetadata") == listened
    assert changed == CONFIG


@pytest.mark.parametrize(
    "words", ["create --bundle {} {name}0", "start {name}", "delete --force {name}", "--version"]
)
def test_anything_else_goes_to_runc_as_it_is(bundle: Path, listened: str, words: str) -> None:
    done = call(bundle, *words.format(bundle, name=listened).split())
    assert done.returncode == 3
    assert config(bundle) == CONFIG


@pytest.mark.parametrize("filters", [{}, {"a": {"seccomp": {}}, "seccomp": {}}])
def test_what_cannot_be_changed_is_refused(
    bundle: Path, listened: str, filters: dict[str, Any]
) -> None:
    changed = {**CONFIG, "linux": filters}
    (bundle / "config.json").write_text(json.dumps(changed, separators=(",", ":")))
    done = call(bundle, "create", "--bundle", str(bundle), listened)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no single filter" in json.loads((bundle / "log").read_text())["msg"]
    assert config(bundle) == changed


def test_a_name_that_is_a_path_leads_nowhere(bundle: Path, listened: str) -> None:
    done = call(bundle, "create", "--bundle", str(bundle), f"x/../{listened}")
    assert done.returncode == 3
    assert config(bundle) == CONFIG
