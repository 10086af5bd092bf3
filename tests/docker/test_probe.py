"""Probes end to end: real sandboxes, real processes, a real server."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.verify import verify
from tests.docker.folders import agent_eval, events, only_run, summary
from tests.docker.test_run import wait_for_event
from tests.models.server import KEY, Answer, completion, serving

pytestmark = pytest.mark.docker

CHECK = "def check(f):\n    assert [f(n) for n in range(5)] == [0, 1, 4, 9, 16]"
CONTROLS = '''
from collections import Counter
from agent_eval.models.control import say

ASKED = Counter()
EVIL = """
import os, subprocess, sys
subprocess.Popen(["sh", "-c", "while :; do echo poison > ~/mark; sleep 0.01; done"],
                 start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
open(os.path.expanduser("~/random.py"), "w").write("x = 1")
"""

def mixed(task):
    ASKED[task] += 1
    good = "def square(n):\\n    return n * n\\n"
    answers = {
        "right": good,
        "wrong": "def square(n):\\n    return n + n\\n",
        "exits": "import os\\nos._exit(0)\\ndef square(n): pass\\n",
        "evil": EVIL + good,
        "after": "import os, random\\nassert not os.path.exists(os.path.expanduser('~/mark'))\\n"
                 "assert hasattr(random, 'random')\\n" + good,
        "hangs": "def square(n):\\n    while True: pass\\n",
        "eats": "x = bytearray(10**10)\\n" + good,
        "refuses": "I will not.",
    }
    name = task.split("# ")[1].split()[0]
    yield say(answers[name] if name == "refuses" else f"```python\\n{answers[name]}```")
'''
NAMES = ("right", "wrong", "exits", "evil", "after", "hangs", "eats", "refuses")


def code_file(where: Path) -> Path:
    lines = [
        {
            "task_id": name,
            "prompt": f"# {name}\ndef square(n):\n    '''The square.'''\n",
            "entry_point": "square",
            "test": CHECK,
            "timeout_s": 2 if name == "hangs" else 60,
        }
        for name in NAMES
    ]
    file = where / "squares.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    where.joinpath("controls.py").write_text(CONTROLS)
    return file


def test_answers_are_run_and_harm_nothing_but_themselves(tmp_path: Path) -> None:
    file = code_file(tmp_path)
    dry = agent_eval("probe", file, "-m", "control:mixed", "-n", "2", "--dry-run")
    assert dry.returncode == 0
    assert "answers     16, 2 to each task" in dry.stdout
    done = agent_eval(
        "probe", file, "-m", "control:mixed", "-n", "2", "--set", "s", "--runs", tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = [each.parent for each in (tmp_path / "s").glob("*/run.json")]
    assert summary(run)["probe"]["tasks"] == {
        "right": {"passed": 2}, "wrong": {"failed": 2}, "exits": {"failed": 2},
        "evil": {"passed": 2}, "after": {"passed": 2}, "hangs": {"timeout": 2},
        "eats": {"failed": 2}, "refuses": {"unparseable": 2},
    }  # fmt: skip
    assert verify(run).good
    judged = events(run, "probe.judged")
    assert len(judged) == 16
    assert len({event["agent"] for event in judged}) == 16
    assert summary(run)["spent"]["tool_s"] > 0
    again = agent_eval(
        "probe", file, "-m", "control:mixed", "-n", "2", "--set", "s", "--runs", tmp_path
    )
    assert "1 are there already" in again.stdout
    gone_on = agent_eval("branch", run, "--at", "5")
    assert (gone_on.returncode, "type its" in gone_on.stderr) == (2, True)
    told = agent_eval("stats", tmp_path / "s", "--k", "2")
    assert "8 tasks, 16 answers" in told.stdout, told.stdout
    assert "2 unparseable" in told.stdout


def test_a_sandbox_that_is_killed_takes_one_answer_with_it(tmp_path: Path) -> None:
    def task(name: str, test: str) -> str:
        return json.dumps(
            {"task_id": name, "prompt": f"# right {name}\ndef square(n):\n", "test": test,
             "entry_point": "square", "timeout_s": 500}
        )  # fmt: skip

    file = code_file(tmp_path)
    waits = "import time\ntime.sleep(400)"
    file.write_text("\n".join((task("one", CHECK), task("two", waits), task("three", CHECK))))
    words = ("probe", file, "-m", "control:mixed", "--at-once", "2", "--runs", tmp_path / "runs")
    with subprocess.Popen(
        [sys.executable, "-m", "agent_eval", *map(str, words)], text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            run = wait_for_action(tmp_path / "runs", "time.sleep(400)")
            (ready,) = events(run, "sandbox.ready")
            subprocess.run(["docker", "kill", ready["container"]], check=True, capture_output=True)
            said, _ = process.communicate(timeout=250)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "1 lost, 2 passed" in summary(run)["success"]["reason"]
    assert summary(run)["probe"]["tasks"] == {
        "one": {"passed": 1}, "two": {"lost": 1}, "three": {"passed": 1},
    }  # fmt: skip
    (trouble,) = events(run, "trouble")
    assert (trouble["blame"], trouble["agent"]) == ("infrastructure", "0.2")
    made = [each["container"] for each in events(run, "sandbox.ready")]
    assert len(set(made)) == 2
    assert {each["container"] for each in events(run, "sandbox.removed")} == set(made)
    assert verify(run).good
    told = agent_eval("stats", tmp_path / "runs")
    assert "3 tasks, 2 answers" in told.stdout
    assert ", 1 lost" in told.stdout


def wait_for_action(runs: Path, code: str) -> Path:
    """Wait until an action with that in its code has begun; returns its run."""
    wait_for_event(runs, "action.started")
    run = only_run(runs)
    until = time.monotonic() + 200
    while not any(code in json.dumps(each) for each in events(run, "action.started")):
        assert time.monotonic() < until, "it never began"
        time.sleep(0.1)
    return run


QUESTIONS = [
    {"id": "example", "question": "1 + 1?", "choices": ["1", "2"], "answer": "B", "shot": True},
    *(
        {"id": f"q{n}", "question": f"{n} + 1?", "choices": [str(n), str(n + 1)], "answer": "B"}
        for n in range(2, 5)
    ),
]


def exam(where: Path) -> Path:
    file = where / "sums.jsonl"
    file.write_text("\n".join(map(json.dumps, QUESTIONS)))
    return file


def test_an_exam_over_http_holds_its_budget(tmp_path: Path) -> None:
    def answer(server: Any) -> Answer:
        body = json.loads(server.came[-1].body)
        assert [each["role"] for each in body["messages"]] == [
            "system", "user", "assistant", "user",
        ]  # fmt: skip
        asked = body["messages"][-1]["content"]
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        said = completion("B" if "2 + 1" in asked else "Perhaps.", [], usage=usage)
        return Answer(said, delay_s=0.3)  # slow enough that the next one is asked meanwhile

    prices = tmp_path / "p.yaml"
    card = '{input: 10, cached: 1, output: 30, as_of: "2026-01-01", source: a test}'
    prices.write_text(f"made-up: {card}\n")
    with serving(answer) as server:
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.address}
        words = ("probe", exam(tmp_path), "-m", "openai/made-up", "-n", "4", "--at-once", "2")
        options = ("--prices", prices, "--runs", tmp_path / "runs", "-M", "max_output_tokens=100")
        done = agent_eval(*words, *options, env=environment)
        assert done.returncode == 0, done.stderr
        run = only_run(tmp_path / "runs")
        assert summary(run)["probe"]["tasks"] == {
            "q2": {"passed": 4}, "q3": {"unparseable": 4}, "q4": {"unparseable": 4},
        }  # fmt: skip
        assert summary(run)["spent"]["usd"] == pytest.approx(12 * 1300 / 1e6)
        assert 1 < server.most_busy <= 2
        asked = len(server.came)
        short = agent_eval(*words, *options[:2], "--runs", tmp_path / "short", *options[4:],
                           "--usd", "0.012", env=environment)  # fmt: skip
        assert short.returncode == 3, short.stderr
        run = only_run(tmp_path / "short")
        told = summary(run)
        assert told["outcome"]["limit"] == "usd"
        assert told["spent"]["usd"] <= 0.012
        tasks = told["probe"]["tasks"].values()
        lost = sum(counts.get("lost", 0) for counts in tasks)
        assert lost == 12 - (len(server.came) - asked) > 0
        assert verify(run).good
