"""Was the task done? Decided on the host, and never by a failed check."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.run.success import judge
from agent_eval.sandbox.archive import File
from agent_eval.scenario.model import Loaded
from tests.helpers import NASTY, loaded, scenario

GOOD = "def check(answer, files):\n    return 'success', 'fine'\n"


def with_check(tmp_path: Path, text: str, **success: Any) -> Loaded:
    folder = scenario(tmp_path)
    folder.joinpath("check.py").write_text(text)
    return loaded(tmp_path, success={"check": "check.py", **success})


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("done", "success"),
        ("  done\n", "success"),
        ("Done", "failure"),
        ("done.", "failure"),
        ("", "failure"),
        (None, "failure"),
        (NASTY, "failure"),
        ("\ud800", "failure"),
    ],
)
def test_an_exact_answer(tmp_path: Path, answer: str | None, verdict: str) -> None:
    got, reason = judge(loaded(tmp_path), answer, [])
    assert got == verdict
    assert reason


def test_a_check_sees_the_answer_and_the_files_as_they_lay_inside(tmp_path: Path) -> None:
    files = [
        File("/home/user/a.txt", b"A\xff"),
        File("/home/user/deep/er/b", b""),
        File("/etc/passwd", b"root"),
        File("/home/user/a.txt/under-a-file", b"cannot be"),
        File("/" + "n" * 300, b"a name that no disk can hold"),
        File("/home/user/b\udcff", b"no text"),
    ]
    text = """
import json
def check(answer, files):
    found = sorted(str(p.relative_to(files)) for p in files.rglob("*") if p.is_file())
    data = (files / "home/user/a.txt").read_bytes()
    return "partial", json.dumps([answer, found, list(data)])
"""
    verdict, reason = judge(with_check(tmp_path, text), NASTY, files)
    assert verdict == "partial"
    assert '"etc/passwd", "home/user/a.txt", "home/user/b' in reason
    assert "[65, 255]" in reason
    assert "\\u202e" in reason
    verdict, reason = judge(with_check(tmp_path, text), None, [])
    assert verdict == "unscored", "the file it looks for is not there"


def test_a_check_gets_nothing_of_the_hosts_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    text = """
import os, sys
def check(answer, files):
    here = str(files) in os.getcwd() or os.getcwd() in str(files.resolve())
    return "success", repr([sorted(os.environ), here, sys.flags.isolated])
"""
    _, reason = judge(with_check(tmp_path, text), "x", [])
    assert "OPENAI_API_KEY" not in reason
    assert "PYTHONPATH" not in reason
    assert reason.endswith("True, 1]")
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def check(answer, files):\n    1 / 0\n", "check.py failed: ZeroDivisionError"),
        ("def check(answer, files):\n    raise SystemExit(3)\n", "check.py failed: 3"),
        ("def check(answer, files):\n    raise SystemExit(0)\n", "did not return a verdict"),
        ("def check(answer):\n    return 'success', 'x'\n", "check.py failed: TypeError"),
        ("x = 1\n", "check.py failed: KeyError"),
        ("def check(:\n", "check.py failed: SyntaxError"),
        ("def check(answer, files):\n    return None\n", "did not return a verdict"),
        ("def check(answer, files):\n    return 'success'\n", "did not return a verdict"),
        ("def check(answer, files):\n    return 'success', 'a', 'b'\n", "did not return a verdict"),
        ("def check(answer, files):\n    return 'good', 'x'\n", "returned 'good', not success"),
        ("def check(answer, files):\n    return True, 'x'\n", "returned True, not success"),
        ("def check(answer, files):\n    return ['success'], 'x'\n", "returned ['success']"),
        ("def check(answer, files):\n    return {'a', 'b'}, 'x'\n", "check.py failed: TypeError"),
    ],
)
def test_a_check_that_fails_is_never_a_score(tmp_path: Path, text: str, words: str) -> None:
    verdict, reason = judge(with_check(tmp_path, text), "done", [])
    assert verdict == "unscored"
    assert words in reason


def test_what_a_check_prints_does_not_matter(tmp_path: Path) -> None:
    text = "print('[\"failure\", \"x\"]', end='')\n" + GOOD.replace(
        "    return", "    print('more', end='')\n    return"
    )
    assert judge(with_check(tmp_path, text), "x", []) == ("success", "fine")
    text = GOOD.replace("'fine'", "None")
    assert judge(with_check(tmp_path, text), "x", []) == ("success", "None")


def test_a_check_that_takes_it_gets_the_ground_truth(tmp_path: Path) -> None:
    read = with_check(
        tmp_path,
        "def check(answer, files, truth):\n    return 'success', str(sorted(truth.items()))\n",
    )
    assert judge(read, "x", [], {"copies": [1]}) == ("success", "[('copies', [1])]")
    assert judge(read, "x", [])[1] == "[]"
