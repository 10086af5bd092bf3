"""README and docs cannot lie: commands run or parse, names exist, the session is what is shown."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from agent_eval.basics.resources import shipped
from agent_eval.cli import COMMANDS
from agent_eval.cli import commands as program

ROOT = Path(__file__).parent.parent
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
DOCS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
OTHERS = {"--help"}
"""Options that every command has."""
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def commands(text: str = README) -> list[str]:
    """Every line of a page's shell blocks without its comment."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.strip()]


def named(text: str) -> Iterator[list[str]]:
    """The words of every call of this program on a page, in its blocks and in its sentences."""
    for call in (*commands(text), *re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)):
        path, *words = shlex.split(call.replace("\\|", "|")) if "agent-eval " in call else [""]
        if path.endswith("agent-eval"):
            yield words


def innermost(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, down to one that has no commands of its own; the rest."""
    command: click.Command = program
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        below = command.get_command(context, name.split("|")[0])
        assert below is not None, name
        command = below
    return command, words


def all_of(command: click.Command) -> Iterator[click.Command]:
    """A command and every one below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from all_of(below)


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
    for page in DOCS:
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text(encoding="utf-8")):
            path, _, part = link.partition("#")
            to = page.parent.joinpath(path) if path else page
            assert to.exists(), (page, link)
            titles = re.findall(r"(?m)^#+ (.*)$", to.read_text(encoding="utf-8")) if part else []
            assert not part or part in [_anchor(title) for title in titles], (page, link)
    for file in shipped("scenarios").glob("[!_]*/scenario.yaml"):
        assert f"| `{file.parent.name}` |" in README


def _anchor(title: str) -> str:
    """What a link to a heading ends in."""
    return re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_every_call_on_a_page_is_one_that_the_program_understands(page: Path) -> None:
    for words in named(page.read_text(encoding="utf-8")):
        command, rest = innermost(words)
        above = click.Context(program, **program.context_settings)
        parser = command.make_parser(click.Context(command, parent=above))
        _, left, _ = parser.parse_args([word for word in rest if word != "..."])
        assert left == [] or isinstance(command, click.Group), words


def test_every_option_that_a_page_names_is_one() -> None:
    params = [param for each in all_of(program) for param in each.params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    for page in DOCS:
        spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text(encoding="utf-8"))
        used = {name for span in spans for name in re.findall(r"(?:^|\s|/)(--[a-z][a-z-]+)", span)}
        assert used - known - OTHERS == set(), page


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
