"""The self-hosted loop, run for real against a server on this machine."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent_eval.basics.resources import shipped
from tests.models.server import KEY, Answer, Server, completion, serving

PROGRAM = shipped("sandbox") / "subject"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine on which the program was installed as its README says: two files copied."""
    for name in ("agent.py", "config.json"):
        tmp_path.joinpath(name).write_bytes(PROGRAM.joinpath(name).read_bytes())
    return tmp_path


def configured(home: Path, server: Server, **more: Any) -> None:
    path = home / "config.json"
    given = json.loads(path.read_text())
    path.write_text(json.dumps(given | {"base_url": server.address, "api_key": KEY, **more}))


def command(home: Path, task: str | None = None) -> list[str]:
    return [sys.executable, str(home / "agent.py"), *(["--task", task] if task else [])]


def run(home: Path, task: str | None = None) -> subprocess.CompletedProcess[str]:
    given = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command(home, task), env=given, capture_output=True, text=True, timeout=120, check=False
    )


def conversation(home: Path) -> list[dict[str, Any]]:
    lines = home.joinpath("state/conversation.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def sent(server: Server, request: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(server.came[request].body)["messages"]
    return messages


def appears(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def says(*calls: tuple[str, Any], text: str = "") -> Answer:
    return Answer(completion(text, calls))


def test_it_does_what_it_is_told_and_says_what_came_of_it(home: Path) -> None:
    steps = (
        says(("bash", {"command": "echo $((6 * 7)); pwd; exit 3"})),
        says(("python", {"code": "print(len('four'))"}), ("bash", {"command": "ls"})),
        says(("submit", {"answer": "it is 42"})),
    )
    with serving(*steps) as server:
        configured(home, server)
        done = run(home, "Find out.")
        assert done.returncode == 0, done.stderr
        assert "answer: it is 42" in done.stdout
        assert server.came[0].headers["authorization"] == f"Bearer {KEY}"
        assert [m["role"] for m in sent(server, 0)] == ["system", "user"]
        first, *_, listed = [m["content"] for m in sent(server, 2) if m["role"] == "tool"]
    assert first == f"42\n{home}\n[exit status 3]"
    assert "agent.py" in listed


def test_it_goes_on_where_it_was_killed(home: Path) -> None:
    """An action under way is not done twice, and the model is told; a torn line is dropped."""
    marker = home / "marker"
    steps = (
        says(("bash", {"command": f"echo once >> {marker}; sleep 600"})),
        says(("submit", {"answer": "went on"})),
    )
    with serving(*steps) as server:
        configured(home, server)
        given = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(command(home, "Go."), env=given, stdout=subprocess.DEVNULL) as first:
            appears(marker)
            assert "in use" in run(home).stderr
            first.send_signal(signal.SIGKILL)
        with home.joinpath("state/conversation.jsonl").open("a") as file:
            file.write('{"role": "assi')
        done = run(home)
        assert done.returncode == 0, done.stderr
        told = sent(server, 1)
    assert told[-1]["role"] == "tool"
    assert "interrupted" in told[-1]["content"]
    assert marker.read_text() == "once\n"
    assert conversation(home)[-1]["content"] == "[handed in]"


@pytest.mark.slow
def test_what_may_pass_is_tried_again_and_what_may_not_is_said(home: Path) -> None:
    steps = (
        Answer({"error": "busy"}, 503),
        Answer({"error": "slow down"}, 429),
        Answer(raw=b"HTTP/1.1 200 OK\r\n\r\nnot json"),
        Answer({"error": {"message": "no credit left"}}, 402),
        says(("submit", {"answer": "paid"})),
    )
    with serving(*steps) as server:
        configured(home, server)
        done = run(home, "Go.")
        assert done.returncode != 0
        assert "402" in done.stderr and "no credit left" in done.stderr
        assert len(server.came) == 4
        assert "answer: paid" in run(home).stdout


def test_odd_replies_are_answered_and_never_end_it(home: Path) -> None:
    steps = (
        says(text="I think."),
        says(("fly", {"to": "moon"}), ("bash", "{not json"), ("bash", {"command": 5})),
        says(("bash", {"command": "yes | head -c 100000"})),
        says(("submit", {"answer": "done"})),
    )
    with serving(*steps) as server:
        configured(home, server, action_s=60)
        assert run(home, "Go.").returncode == 0
        assert "no action" in sent(server, 1)[-1]["content"]
        odd = [m["content"] for m in sent(server, 2) if m["role"] == "tool"]
        assert len(odd) == 3 and all("not done" in text for text in odd)
        assert len(sent(server, 3)[-1]["content"]) < 17000


def test_an_action_that_takes_too_long_is_killed_with_all_it_started(home: Path) -> None:
    steps = (
        says(("bash", {"command": "sleep 300 & sleep 300"})),
        says(("submit", {"answer": "done"})),
    )
    with serving(*steps) as server:
        configured(home, server, action_s=0.5)
        assert run(home, "Go.").returncode == 0
        assert "killed after 0.5 s" in sent(server, 1)[-1]["content"]


@pytest.mark.slow
def test_it_refuses_what_it_cannot_work_with(home: Path) -> None:
    assert "base_url and api_key are needed" in run(home, "Go.").stderr
    with serving(says(("submit", {"answer": "x"}))) as server:
        configured(home, server)
        assert "give it a --task" in run(home).stderr
        assert run(home, "Go.").returncode == 0
        assert "task is done" in run(home).stderr
        assert run(home, "And more.").returncode == 0
    config = home / "config.json"
    config.write_text(json.dumps({"base_url": "http://x", "api_key": "k", "colour": "red"}))
    assert "unknown settings: colour" in run(home, "Go.").stderr
