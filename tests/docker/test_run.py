"""Whole runs through the command line: outcomes, exit codes, and what is on record of them."""

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.record.reading import content_bytes, rebuild_request
from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = pytest.mark.docker

WORKS = """
def works(task):
    seen = yield bash("echo hello; exit_status() { return 3; }; exit_status", say="Let me look.")
    assert seen == "hello\\n[exit status 3]", seen
    seen = yield python("6 * 7")
    assert seen == "42\\n[exit status 0]", seen
    yield submit("done")
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_run_from_end_to_end(runtime: str, tmp_path: Path) -> None:
    folder = scenario(tmp_path, WORKS)
    runs = tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:works", "--runs", runs, "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    run = only_run(runs)
    assert f"transcript  {run}" in done.stdout
    assert "success     success: the answer is right" in done.stdout
    assert "bash: echo hello" in done.stderr, "plain progress lines where there is no terminal"

    # What the kernel tells is elsewhere, and a gap says that the machine was busy.
    others = ("kernel.", "process.", "file.", "net.", "user.", "harness.gap")
    kinds = [event["kind"] for event in events(run)]
    kinds = [kind for kind in kinds if not kind.startswith(others)]
    assert kinds[:4] == ["run.opened", "sandbox.ready", "files.seeded", "message"]
    assert kinds[-4:] == ["sandbox.frozen", "sandbox.removed", "success.judged", "run.closed"]
    for kind in ("action.started", "model.replied"):
        assert kinds.count(kind) >= 2

    said = summary(run)
    assert said["outcome"] == {"status": "submitted"}
    assert said["success"]["verdict"] == "success"
    assert said["spent"]["steps"] == 3
    assert said["spent"] == events(run, "run.closed")[0]["spent"]
    report = verify(run, said["head"])
    assert report.good and report.authentic
    assert f"head        {report.head}" in done.stdout

    opening = events(run)[0]
    assert opening["scenario"]["resolved"]["name"] == "small"
    assert opening["canary"] in run.joinpath("events.jsonl").read_text()
    assert opening["engine"]["image"]["layers"][0].startswith("sha256:")
    assert opening["in_force"]["NetworkMode"] == "none"
    assert opening["asked"]["command_line"] == {"sandbox": {"runtime": runtime}}
    assert opening["command_line"][1] == "run"
    assert {"version", "commit", "python", "packages"} <= set(opening["package"])
    ready = events(run, "sandbox.ready")[0]
    assert all(row["ok"] for row in ready["audit"]) and len(ready["audit"]) > 15


def test_the_record_of_spending_adds_up(tmp_path: Path) -> None:
    folder = scenario(tmp_path, WORKS)
    agent_eval("run", folder, "-m", "control:works", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    spent = summary(run)["spent"]
    settled = [event["settled"] for event in events(run) if "settled" in event]
    for name in ("input_tokens", "output_tokens", "steps", "output_bytes"):
        assert sum(each.get(name, 0) for each in settled) == spent[name], name
    assert sum(each.get("tool_s", 0) for each in settled) == pytest.approx(spent["tool_s"])


def test_what_the_model_saw_is_what_is_on_record(tmp_path: Path) -> None:
    controls = """
def shows(task):
    seen = yield bash("head -c 50000 /dev/zero | tr '\\\\0' a; printf '\\\\377\\\\000'; echo end")
    assert "bytes left out" in seen and seen.endswith("end\\n[exit status 0]")
    yield bash("python3 -c 'import os; os.write(1, os.urandom(300))'")
    yield submit("done")
"""
    folder = scenario(tmp_path, controls)
    done = agent_eval("run", folder, "-m", "control:shows", "--runs", tmp_path / "runs")
    assert "success: the answer is right" in done.stdout, done.stdout + done.stderr
    run = only_run(tmp_path / "runs")
    first, second = events(run, "action.ended")
    assert content_bytes(run, first["output"]) == b"a" * 50000 + b"\xff\0end\n"
    assert "blob" in first["output"]
    assert len(base64.b64decode(second["output"]["base64"])) == 300
    body = rebuild_request(run, 3)
    assert b"bytes left out" in body and body.startswith(b'{"model":"control:shows"')


@pytest.mark.parametrize(
    ("options", "controls", "limit"),
    [
        (["--steps", "2"], 'yield bash("true")', "steps"),
        (["--tokens", "6000"], "yield bash(\"head -c 8000 /dev/zero | tr '\\\\0' a\")", "tokens"),
        (["--wall", "2"], 'yield bash("sleep 1")', "wall_s"),
    ],
)
def test_a_limit_ends_the_run(
    options: list[str], controls: str, limit: str, tmp_path: Path
) -> None:
    folder = scenario(tmp_path, f"def endless(task):\n    while True:\n        {controls}\n")
    done = agent_eval("run", folder, "-m", "control:endless", "--runs", tmp_path / "runs", *options)
    assert done.returncode == 3, done.stdout + done.stderr
    run = only_run(tmp_path / "runs")
    said = summary(run)
    assert (said["outcome"]["status"], said["outcome"]["limit"]) == ("limit", limit)
    assert said["outcome"]["blame"] == "limit"
    assert said["success"] == {"verdict": "failure", "reason": "there is no answer"}
    assert said["spent"].get(limit, 0) <= float(options[1]) * (1.5 if limit == "wall_s" else 1)
    assert verify(run).good


def test_limits_of_actions_hold_too(tmp_path: Path) -> None:
    controls = """
def writes(task):
    yield bash("head -c 30000 /dev/zero")
    yield bash("head -c 30000 /dev/zero")
    yield bash("true")

def sleeps(task):
    yield bash("sleep 30")
    yield bash("true")
"""
    folder = scenario(tmp_path, controls, budget={"output_bytes": 50000, "tool_s": 1})
    for name, limit in (("writes", "output_bytes"), ("sleeps", "tool_s")):
        runs = tmp_path / name
        done = agent_eval("run", folder, "-m", f"control:{name}", "--runs", runs)
        assert done.returncode == 3, done.stdout + done.stderr
        run = only_run(runs)
        assert summary(run)["outcome"]["limit"] == limit
        cut = [
            event["rung"] != "none" or "dropped_bytes" in event["output"]
            for event in events(run, "action.ended")
        ]
        assert any(cut), "the action was ended, or what it wrote beyond the limit was dropped"


def test_a_model_that_does_nothing_is_nudged_and_then_ended(tmp_path: Path) -> None:
    folder = scenario(tmp_path, "def talks(task):\n    while True:\n        yield say('Hm.')\n")
    done = agent_eval("run", folder, "-m", "control:talks", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    assert done.returncode == 0
    assert summary(run)["outcome"]["status"] == "gave_up"
    assert summary(run)["outcome"]["blame"] == "model"
    told = [event["message"] for event in events(run, "message")]
    assert sum("contained no action" in message["content"] for message in told) == 3


def test_success_by_check_over_exported_files(tmp_path: Path) -> None:
    controls = """
def half(task):
    yield bash("mkdir -p ~/out/sub && echo 1 > ~/out/one && ln -s /etc/passwd ~/out/link")
    yield bash("echo 2 > ~/out/sub/two; (while :; do echo late >> ~/out/late; done) & sleep 0.2")
    yield submit("done")
"""
    check = """
def check(answer, files):
    names = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())
    assert (files / "home/user/out/one").read_text() == "1\\n"
    return "partial", f"{answer} {names}"
"""
    folder = scenario(
        tmp_path, controls, success={"check": "check.py", "export": ["/home/user/out"]}
    )
    tmp_path.joinpath("small", "check.py").write_text(check)
    done = agent_eval("run", folder, "-m", "control:half", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    said = summary(run)["success"]
    assert said["verdict"] == "partial", (said, done.stderr)
    names = "['home/user/out/late', 'home/user/out/one', 'home/user/out/sub/two']"
    assert said["reason"] == f"done {names}", "links are not followed and not exported"
    assert events(run, "sandbox.frozen")[0]["moving"] == 0
    exported = {file["path"] for file in events(run, "files.exported")[0]["files"]}
    assert "/home/user/out/sub/two" in exported


def test_a_check_that_fails_is_unscored_and_never_a_score(tmp_path: Path) -> None:
    folder = scenario(
        tmp_path, "def quick(task):\n    yield submit('x')\n", success={"check": "c.py"}
    )
    for body, words in (
        ("raise ValueError('boom')", "boom"),
        ("return 'splendid', 'x'", "splendid"),
        ("return 5", "did not return"),
        ("import os; os._exit(0)", "did not return"),
    ):
        folder.joinpath("c.py").write_text(f"def check(answer, files):\n    {body}\n")
        runs = tmp_path / str(abs(hash(body)))
        agent_eval("run", folder, "-m", "control:quick", "--runs", runs)
        said = summary(only_run(runs))["success"]
        assert said["verdict"] == "unscored"
        assert words in said["reason"]


def test_a_replay_gives_the_same_run_again(tmp_path: Path) -> None:
    folder = scenario(tmp_path, WORKS)
    agent_eval("run", folder, "-m", "control:works", "--runs", tmp_path / "first")
    first = only_run(tmp_path / "first")
    done = agent_eval("run", folder, "-m", f"replay:{first}", "--runs", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    second = only_run(tmp_path / "second")
    for kind in ("message", "model.replied"):
        messages = [[event["message"] for event in events(run, kind)] for run in (first, second)]
        assert messages[0] == messages[1]


def test_errors_say_who_is_to_blame_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scenario(tmp_path, "def quick(task):\n    yield submit('x')\n")
    runs = tmp_path / "runs"
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cases: list[tuple[list[str | Path], int, str]] = [
        ([folder, "-m", "control:nobody"], 2, "no control 'nobody'"),
        ([folder, "-m", "gpt-4"], 2, "names no model"),
        ([folder, "-m", "openai/no-such-model"], 2, "no price is known"),
        ([folder, "-m", "openai/gpt-4o"], 2, "OPENAI_API_KEY is not set"),
        ([tmp_path / "nowhere", "-m", "control:x"], 2, "no folder with a scenario.yaml"),
        ([folder, "-m", "control:quick", "-M", "temprature=1"], 2, "temperature"),
        ([folder, "-m", "control:quick", "--steps", "many"], 2, "--steps many"),
    ]
    for arguments, code, words in cases:
        with pytest.raises(SystemExit) as ended:
            main(["run", "--runs", str(runs), *map(str, arguments)])
        assert ended.value.code == code, arguments
        assert words in capsys.readouterr().err
    dead = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}
    done = agent_eval("run", "--runs", runs, folder, "-m", "control:quick", env=dead)
    assert done.returncode == 4
    assert "no Docker engine answers" in done.stderr and "setup" in done.stderr
    wants = scenario(tmp_path, "def quick(task):\n    yield submit('x')\n", name="other",
                     sandbox={"image": "not-there:at-all"})  # fmt: skip
    done = agent_eval("run", "--runs", runs, wants, "-m", "control:quick")
    assert done.returncode == 4
    assert "not-there:at-all" in done.stderr and "Traceback" not in done.stderr
    assert not runs.exists(), "where there was no run there is no record"


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_ctrl_c_drains_cancels_and_abandons(presses: int, tmp_path: Path) -> None:
    controls = """
def slow(task):
    while True:
        yield bash("echo started > ~/x; sleep SLEEP")
"""
    long = "4" if presses == 1 else "500"
    folder = scenario(tmp_path, controls.replace("SLEEP", long))
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:slow"]
    with subprocess.Popen(
        [*command, "--runs", str(runs)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_for_event(runs, "action.started")
        started = time.monotonic()
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3 / presses)
        _, said = process.communicate(timeout=250)
        took_s = time.monotonic() - started
    assert process.returncode == 130
    assert "ending after this step" in said
    assert ("ending at once" in said) == (presses >= 2)
    assert presses == 3 or "leaving" not in said, "the third may come when all is over"
    run = only_run(runs)
    assert verify(run).good
    assert summary(run)["outcome"]["status"] == ("stopped" if presses == 1 else "cancelled")
    rungs = {event["rung"] for event in events(run, "action.ended")}
    assert rungs == ({"none"} if presses == 1 else {"sandbox"}), "a drained step is finished"
    if presses >= 2:
        assert took_s < 150, "it does not wait for what runs"
    assert summary(run)["success"]["verdict"] == "unscored"
    until = time.monotonic() + 150  # the third leaves it to the watchdog
    while containers_of(run.name):
        assert presses == 3 and time.monotonic() < until
        time.sleep(0.2)


def containers_of(run: str) -> list[str]:
    """Containers that carry the label of a run."""
    found = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label=agent-eval.run={run}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.split()


def wait_for_event(runs: Path, kind: str, limit_s: float = 150) -> None:
    """Wait until the only run has an event of a kind."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if any(runs.glob("*/events.jsonl")) and events(only_run(runs), kind):
            return
        time.sleep(0.05)
    raise AssertionError(f"no {kind} within {limit_s} s")
