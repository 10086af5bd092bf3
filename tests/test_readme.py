"""README cannot lie: its commands run, its names exist, its session is what a terminal shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent_eval.basics.resources import shipped
from agent_eval.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Every line of README's shell blocks without its comment."""
    lines = [line for block in BLOCKS for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.strip()]


def test_the_two_commands_are_what_continuous_integration_calls() -> None:
    assert {"make run", "make test"} <= set(commands())
    assert "make test" in ROOT.joinpath(".ci/run").read_text()
    makefile = ROOT.joinpath("Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"setup", "run", "test", "check", "bench"} <= targets
    assert "run replicate --model control:harmful" in makefile


def test_every_command_is_in_the_table_and_every_link_leads_somewhere() -> None:
    for name in COMMANDS:
        assert f"| `agent-eval {name}" in README, name
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert page.parent.joinpath(link).exists(), (page, link)
    for file in shipped("scenarios").glob("[!_]*/scenario.yaml"):
        assert f"| `{file.parent.name}` |" in README


@pytest.mark.docker
def test_the_commands_for_authors_work_as_written(tmp_path: Path) -> None:
    ran = 0
    for command in commands():
        if not command.startswith(".venv/bin/agent-eval") or "--model openai/" in command:
            continue
        arguments = shlex.split(command)[1:]
        done = subprocess.run(
            [sys.executable, "-m", "agent_eval", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        ran += 1
    assert ran >= 3


@pytest.mark.docker
def test_the_session_is_what_a_terminal_shows(tmp_path: Path) -> None:
    (session,) = CONSOLE
    first, *_ = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    command, *shown = first.splitlines()
    done = subprocess.run(
        [sys.executable, "-m", "agent_eval", *shlex.split(command)[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    printed = (done.stderr + done.stdout).splitlines()
    assert [_shape(line) for line in printed] == [_shape(line) for line in shown]


def _shape(line: str) -> str:
    """A line without what differs from run to run: times, sizes, names, and where it was cut."""
    line = re.sub(r"agent-eval-runsc|runc", "RUNTIME", line)
    line = re.sub(r"(\.venv/bin/agent-eval|python -m agent_eval)", "agent-eval", line)
    line = re.sub(r"[0-9a-f]{64}|[0-9a-f]{6}\b|[\d.,]+", "N", line)
    return " ".join(line.split())[:60]
