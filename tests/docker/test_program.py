"""Another program as the subject: metered, limited, recorded, and named for what it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = pytest.mark.docker

KEY = "sk-pr-0123456789abcdef"
LM = {"models": ["chat-1"], "accounts": {"main": {"keys": {"first": KEY}, "credit_cents": 100}}}
CONFIG = json.dumps({"base_url": "", "api_key": "", "model": "chat-1", "patience_s": 2})
SHIPPED = [
    {"to": "/home/user/agent", "shipped": "subject"},
    {"to": "/home/user/agent/config.json", "text": CONFIG},
]

COUNTS = """
def it(task):
    for number in range(3):
        seen = yield bash(f"echo {number} > count; cat count")
    yield submit("counted to " + seen.split()[0])
"""

FRAMED = """
import os, subprocess
from openai import OpenAI
client, said = OpenAI(max_retries=0), [{"role": "user", "content": os.environ["TASK"]}]
while True:
    asked = client.chat.completions.create(model=os.environ["MODEL"], messages=said)
    reply = asked.choices[0].message.content
    if reply.startswith("done"):
        break
    out = subprocess.run(["bash", "-c", reply], capture_output=True, text=True).stdout
    said += [{"role": "assistant", "content": reply}, {"role": "user", "content": out}]
print(reply)
raise SystemExit(3)
"""

INSTALL = "pip install -q --no-cache-dir --break-system-packages"

TALKS = """
def it(task):
    for number in range(3):
        seen = yield say(f"echo {number} > count; cat count")
    yield say("done: " + seen.strip())
"""

FOR_EVER = """
def it(task):
    while True:
        yield bash("date")
"""


def ran(tmp_path: Path, controls: str, code: int = 0, *more: str, **fields: Any) -> Path:
    fields = {
        "task": "Count.",
        "sandbox": {"record": "required"},
        "world": {"lm": LM, "packages": {}},
        **fields,
    }
    folder = scenario(tmp_path, controls, **fields)
    runs = tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:it", "--runs", runs, *more)
    assert done.returncode == code, done.stderr[-3000:] + done.stdout[-3000:]
    return only_run(runs)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_self_hosted_agent_is_a_subject(runtime: str, tmp_path: Path) -> None:
    """Its calls are the run's steps, its actions are seen by the kernel, its exit is the end."""
    run = ran(
        tmp_path,
        COUNTS,
        0,
        "--runtime",
        runtime,
        files=SHIPPED,
        subject={"command": "python3 agent/agent.py --task \"$TASK\" | sed 's/.*answer: //'"},
        success={"exact": "counted to 2"},
    )
    said = summary(run)
    assert (said["outcome"]["status"], said["outcome"]["reported_exit"]) == ("exited", 0)
    assert said["model"] == "self-hosted control:it"
    assert said["answer"] == "counted to 2"
    assert said["success"]["verdict"] == "success"
    assert said["spent"]["steps"] == len(events(run, "lm.answered")) == 4
    assert not events(run, "model.called"), "this program's own loop asks nothing"
    (ended,) = events(run, "action.ended")
    assert "counted to 2" in ended["output"]["text"]
    seen = [each["argv"] for each in events(run, "process.started") if each.get("action") == 1]
    assert ["bash", "-c", "echo 2 > count; cat count"] in seen
    assert verify(run, said["head"]).good
    shown = agent_eval("show", run).stdout
    assert "exited (reported status 0)" in shown
    assert "self-hosted control:it" in agent_eval("runs", tmp_path / "runs").stdout
    assert "self-hosted control:it" in agent_eval("stats", tmp_path / "runs").stdout
    assert agent_eval("grade", run).returncode == 0
    refused = agent_eval("branch", run, "--at", ended["seq"], "--runs", tmp_path / "branch")
    assert refused.returncode == 2
    assert "acted by itself" in refused.stderr
    times = ("--ignore", r"^\d\d:\d\d:\d\d")
    done = agent_eval("replay", run, *times, "--runs", tmp_path / "again")
    assert done.returncode == 0, done.stdout + done.stderr
    again = only_run(tmp_path / "again")
    assert [each["settled"] for each in events(again, "lm.answered")] == [{}] * 4
    assert "not compared" not in done.stdout, "it asked for all that it was answered"
    assert [each["reported_exit"] for each in events(again, "action.ended")] == [0]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_program_with_the_openai_package_is_a_subject(runtime: str, tmp_path: Path) -> None:
    run = ran(
        tmp_path,
        TALKS,
        0,
        "--runtime",
        runtime,
        files=[{"to": "/home/user/framed.py", "text": FRAMED}],
        subject={"command": f"{INSTALL} openai; python3 framed.py"},
        success={"exact": "done: 2"},
        sandbox={"record": "required", "home_bytes": "256MiB", "memory_bytes": "1GiB"},
    )
    said = summary(run)
    (ended,) = events(run, "action.ended")
    assert said["success"]["verdict"] == "success", (said, ended["output"])
    assert said["outcome"]["reported_exit"] == 3
    assert len(events(run, "lm.answered")) == 4


@pytest.mark.parametrize(
    ("budget", "limit"), [({"steps": 3}, "steps"), ({"wall_s": 3, "steps": None}, "wall_s")]
)
def test_a_limit_ends_it(budget: dict[str, Any], limit: str, tmp_path: Path) -> None:
    """A program that is refused could try for ever: the run ends at the limit."""
    run = ran(
        tmp_path,
        FOR_EVER,
        3,
        files=SHIPPED,
        subject={"command": 'python3 agent/agent.py --task "$TASK"'},
        budget=budget,
    )
    outcome = summary(run)["outcome"]
    assert (outcome["status"], outcome["limit"]) == ("limit", limit)
    if limit == "steps":
        assert len(events(run, "lm.answered")) == 3
    (ended,) = events(run, "action.ended")
    assert ended["cause"] == "cancelled"
    assert events(run, "sandbox.frozen")[0]["moving"] == 0
