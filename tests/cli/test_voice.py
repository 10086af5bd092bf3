"""Standard streams that cannot be written end nothing."""

import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, TextIO, cast

import click
import pytest
from rich.console import Console

from agent_eval.cli.voice import Voice, lasting

SCRIPT = """
import sys, click
from rich.console import Console
from agent_eval.cli.voice import lasting

with lasting(sys.stdout, sys.stderr) as (out, error):
    for number in range(1000):
        click.echo(f"line {number} é")
        Console(file=sys.stderr).print("progress")
sys.exit(7 if (out.why is None) == (sys.argv[1] == "good") else 8)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["good", "full", "gone"])
def test_a_stream_that_fails_changes_nothing(kind: str) -> None:
    read, gone = os.pipe()
    os.close(read)
    with open("/dev/full", "w") as full, os.fdopen(gone, "w") as lost:  # noqa: PTH123
        stream: Any = {"good": subprocess.PIPE, "full": full, "gone": lost}[kind]
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, kind], stdout=stream, stderr=stream, check=False
        )
    assert done.returncode == 7, done
    if kind == "good":
        assert done.stdout.decode().splitlines() == [f"line {number} é" for number in range(1000)]
        assert done.stderr.count(b"progress") == 1000


def test_what_can_be_written_is_written() -> None:
    there = StringIO()
    voice = Voice(there)
    with redirect_stdout(cast("TextIO", voice)):
        click.echo("é\u202e")
        sys.stdout.write("plain\n")
    Console(file=cast("TextIO", voice)).print("rich")
    assert there.getvalue() == "é\u202e\nplain\nrich\n"
    assert voice.why is None
    assert not voice.isatty()


def test_the_streams_are_the_old_ones_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with lasting(*before) as voices:
        assert (sys.stdout, sys.stderr) == voices
    assert (sys.stdout, sys.stderr) == before
