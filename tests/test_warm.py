"""Who is forked from the warm process does, says and leaves what the real program does."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm import call

pytestmark = pytest.mark.slow

SAYS = [
    ["--version"],
    ["show", "no/such/run"],
    ["run", "no-such-scenario", "--model", "control:x"],
    ["run", "--nonsense"],
    ["check", "."],
    ["runs", "."],
]


@pytest.mark.parametrize("words", SAYS, ids=lambda words: words[0])
def test_a_call_is_what_the_real_program_is(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    real = subprocess.run(
        [sys.executable, "-m", "agent_eval", *words], capture_output=True, text=True, check=False
    )
    warm = call(words, timeout_s=60)
    assert (warm.returncode, warm.stdout) == (real.returncode, real.stdout)
    assert warm.stderr == real.stderr


def test_its_environment_is_that_of_the_call(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "PATH": "/usr/bin:/bin"}
    done = call(["reap"], nowhere, timeout_s=60)
    assert done.returncode == 4
    assert f"{tmp_path}/none.sock" in done.stderr


def test_a_call_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        call(["view", str(tmp_path), "--port", "0"], timeout_s=1)
