"""Answers to code tasks: what counts as one, what becomes of it, what its output says."""

import subprocess
import sys

import pytest
from hypothesis import given

from agent_eval.probes.code import code_in, completed, messages_of, program_of, verdict_of
from agent_eval.probes.file import CodeTask
from tests.helpers import TEXTS

TASK = CodeTask(
    task_id="t",
    prompt='import math\n\ndef area(r):\n    """Of a circle."""\n',
    entry_point="area",
    test="def check(f):\n    assert abs(f(1) - 3.14159) < 1e-3",
)
WHOLE = "def area(r):\n    return math.pi * r * r\n"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (f"Here it is.\n```python\n{WHOLE}```\nDone.", WHOLE),
        (f"```\n{WHOLE}```", WHOLE),
        (f"```py\r\n{WHOLE}```\n```python\nother\n```", WHOLE),
        (WHOLE, WHOLE),
        ("```python\nnever closed", None),
        ("  \n", None),
        ("```python\nx = '\0'\n```", None),
    ],
)
def test_the_first_block_is_the_answer(reply: str, code: str | None) -> None:
    assert code_in(reply) == code


@pytest.mark.parametrize(
    ("code", "works"),
    [
        (WHOLE, True),
        ("    return math.pi * r * r\n", True),
        ("area = lambda r: math.pi * r * r\n", True),
        ("def area(r:\n", False),
        ("I will not do that.", False),
    ],
)
def test_an_answer_becomes_a_program(code: str, *, works: bool) -> None:
    program = completed(TASK, code)
    assert (program is not None) == works
    if program:
        names: dict[str, object] = {}
        exec(program, names)
        assert callable(names["area"])


@given(TEXTS)
def test_any_reply_is_a_program_or_none(reply: str) -> None:
    code = code_in(reply)
    assert code is None or isinstance(completed(TASK, code), str | None)


@pytest.mark.parametrize(
    ("output", "over_time", "verdict"),
    [
        (b"noise\n\nword\n", False, "passed"),
        (b"word\nnoise", False, "failed"),
        (b"", False, "failed"),
        (b"\nword\n", True, "timeout"),
    ],
)
def test_only_the_word_at_the_end_is_a_pass(
    output: bytes, verdict: str, *, over_time: bool
) -> None:
    assert verdict_of(output, "word", over_time=over_time) == verdict


def test_what_is_asked_holds_the_prompt() -> None:
    (_, frame), (role, asked) = messages_of(TASK)
    assert role == "user"
    assert "def area(r):" in asked
    assert "```python" in frame


def test_the_program_that_is_run_is_python() -> None:
    program = completed(TASK, WHOLE)
    assert program is not None
    text = program_of(TASK, program, "word", 2**28)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; compile(sys.stdin.read(), 'x', 'exec')"],
        input=text, text=True, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
