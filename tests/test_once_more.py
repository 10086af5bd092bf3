"""The second chance of a test that fails beside others: alone, once, and only for a handful."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("once-more")
TESTS = """
import pathlib

def test_fails_the_first_time() -> None:
    mark = pathlib.Path("seen")
    seen = mark.exists()
    mark.touch()
    assert seen

def test_is_not_run_again() -> None:
    runs = pathlib.Path("runs")
    runs.write_text(runs.read_text() + "." if runs.exists() else ".")
"""
BROKEN = (
    "import pytest\n@pytest.mark.parametrize('n', range({}))\ndef test_broken(n): assert not n+1\n"
)


def suite(folder: Path, text: str) -> tuple[int, str]:
    """The exit code and what was printed, of a suite and of those of it that are run again."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(text)
    program = folder / "pytest"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest -q -p no:randomly "$@"\n')
    program.chmod(0o755)
    script = f"{program} || {SCRIPT} {program}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_one_that_passes_alone_is_forgiven_and_shown(tmp_path: Path) -> None:
    code, said = suite(tmp_path, TESTS)
    assert code == 0
    assert "1 of the tests failed beside others" in said
    assert "test_fails_the_first_time" in said
    assert (tmp_path / "runs").read_text() == "."


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "again"), [(1, True), (5, True), (6, False)])
def test_one_that_fails_again_has_failed(tmp_path: Path, broken: int, *, again: bool) -> None:
    code, said = suite(tmp_path, BROKEN.format(broken))
    assert code != 0
    assert said.count(f"{broken} failed") == 1 + again
