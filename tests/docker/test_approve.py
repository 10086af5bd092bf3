"""A person in the loop of whole runs: at a terminal, from a file, and where there is none."""

import getpass
import signal
import subprocess
import sys
import time
from math import log2
from pathlib import Path

import pytest

from agent_eval.record.reading import content_bytes
from agent_eval.record.verify import verify
from tests.cli.screen import Screen, at_terminal
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = pytest.mark.docker

WORKS = """
def works(task):
    seen = yield bash("echo one > ~/made; cat ~/made", say="I make a file.")
    seen += yield bash("rm ~/made")
    seen += yield bash("ls ~")
    yield submit("done" if "made" in seen else seen)
"""


def types_of(run: Path) -> list[str]:
    return [event["type"] for event in events(run, "intervened")]


def press_each(screen: Screen, *keys: str) -> None:
    """At each menu the next key; what a rejection asks for is left empty."""
    for key in keys:
        screen.wait_for("\n> ")
        screen.press(key)
        if key == "r":
            screen.wait_for(": ")
            screen.press("\n")


def test_a_person_at_a_terminal_decides_and_the_record_alone_decides_it_again(
    tmp_path: Path,
) -> None:
    folder = scenario(tmp_path, WORKS)
    runs, again = tmp_path / "runs", tmp_path / "again"
    command = ["-m", "agent_eval", "run", str(folder), "-m", "control:works"]
    with at_terminal([*command, "--runs", str(runs), "--approve"], Path.cwd()) as screen:
        for keys, line in (("h", "Keep the file."), ("l", None), ("a", None), ("r", "Keep it.")):
            screen.wait_for("\n> ")
            screen.press(keys)
            if line:
                screen.wait_for(": ")
                screen.press(f"{line}\n")
        press_each(screen, "a", "a")
        assert screen.end() == 0, screen.shown
    assert "person      4 approve, 1 hint, 1 reject" in screen.shown
    run = only_run(runs)
    assert types_of(run) == ["hint", "approve", "approve", "reject", "approve", "approve"]
    assert summary(run)["interventions"] == {"approve": 4, "hint": 1, "reject": 1}
    assert summary(run)["success"]["verdict"] == "success"
    outputs = [content_bytes(run, event["output"]) for event in events(run, "action.ended")]
    assert outputs == [b"one\n", b"made\n"], "the second action of three was not done"
    assert verify(run).good
    shown = agent_eval("show", run).stdout
    assert "Keep the file." in shown and "reject (action)" in shown

    done = agent_eval("run", folder, "-m", f"replay:{run}", "--approve-with", run, "--runs", again)
    assert done.returncode == 0, done.stderr
    other = only_run(again)
    assert types_of(other) == types_of(run)
    codes = [[e["input"] for e in events(each, "action.started")] for each in (run, other)]
    assert codes[0] == codes[1]
    told = [[e["message"] for e in events(each, "message")] for each in (run, other)]
    assert told[0] == told[1]


UNDECIDED = """
from agent_eval.models.control import either

def undecided(task):
    look = bash("ls", say="I look around.")
    seen = yield either(look, bash("echo made", say="I do it."), look)
    yield submit("done" if "made" in seen else seen)
"""


def test_a_person_picks_among_options_at_the_terminal(tmp_path: Path) -> None:
    folder = scenario(tmp_path, UNDECIDED)
    runs = tmp_path / "runs"
    words = ["run", str(folder), "-m", "control:undecided", "--best-of", "2", "--runs", str(runs)]
    with at_terminal(["-m", "agent_eval", *words], Path.cwd()) as screen:
        screen.wait_for("gave several replies")
        screen.wait_for(r"1\. \(1 of 2\)")
        screen.wait_for("none of these")
        press_each(screen, "n")
        screen.wait_for(r"of 4\)")
        for picked in ("9", "2", "1"):
            press_each(screen, "p")
            screen.wait_for("number .*: ")
            screen.press(f"{picked}\n")
        assert screen.end() == 0, screen.shown
    assert "pick one of the 2 options" in screen.shown
    run = only_run(runs)
    assert types_of(run) == ["reject", "pick_option", "pick_option"]
    assert summary(run)["choice_bits"] == pytest.approx(1 + log2(6))
    assert summary(run)["success"]["verdict"] == "success"
    assert verify(run).good


def test_a_person_attaches_from_another_terminal(tmp_path: Path) -> None:
    folder = scenario(tmp_path, WORKS)
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:works"]
    with subprocess.Popen(
        [*command, "--runs", str(runs), "--approve"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not any(events(file.parent, "model.replied") for file in runs.glob("*/events.jsonl")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        run = only_run(runs)
        with at_terminal(["-m", "agent_eval", "approve", run.name], Path.cwd()) as screen:
            for key in ("a", "r", "a", "a"):
                screen.wait_for(f"in the run {run.name}")
                press_each(screen, key)
            assert screen.end() == 0, screen.shown
        assert "no such run goes on" in screen.shown
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert types_of(run) == ["approve", "reject", "approve", "approve"]
    assert {event["who"] for event in events(run, "intervened")} == {getpass.getuser()}
    assert summary(run)["success"]["verdict"] == "success"
    assert verify(run).good


def test_without_a_terminal_an_action_waits_until_the_run_is_ended(tmp_path: Path) -> None:
    folder = scenario(tmp_path, WORKS, budget={"wall_s": 5}, approve={"timeout_s": 0.5})
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "agent_eval", "run", str(folder), "-m", "control:works"]
    with subprocess.Popen(
        [*command, "--runs", str(runs)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not any(
            events(file.parent, "person.awaited") for file in runs.glob("*/events.jsonl")
        ):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        time.sleep(6)  # past `wall_s`, which stands still
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "nobody can be asked" in said and "person      " not in out
    run = only_run(runs)
    assert not events(run, "action.started") and not events(run, "intervened")
    assert summary(run)["outcome"]["status"] == "stopped"
    assert summary(run)["spent"]["wall_s"] < 5
    assert verify(run).good


def test_a_file_without_a_decision_ends_the_run_as_the_operators_fault(tmp_path: Path) -> None:
    folder, file = scenario(tmp_path, WORKS), tmp_path / "d.yaml"
    file.write_text("decisions:\n  - {type: simulate, text: made, when: {text: echo}}\n")
    runs = tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:works", "--approve-with", file, "--runs", runs)
    assert done.returncode == 2, done.stderr
    run = only_run(runs)
    assert "no decision that fits is left" in summary(run)["outcome"]["message"]
    assert not events(run, "action.started") and types_of(run) == ["simulate"]
    file.write_text("decisions:\n  - {type: simulate, txt: made}\n")
    done = agent_eval("run", folder, "-m", "control:works", "--approve-with", file, "--runs", runs)
    assert done.returncode == 2 and "did you mean text?" in done.stderr
    assert len(list(runs.iterdir())) == 1, "nothing was begun"


def test_what_waited_when_the_harness_was_killed_is_asked_again(tmp_path: Path) -> None:
    """No decision is lost, none is taken twice, and nothing goes through in between."""
    folder = scenario(tmp_path, WORKS)
    runs = tmp_path / "runs"
    command = ["-m", "agent_eval", "run", str(folder), "-m", "control:works", "--approve"]
    with at_terminal([*command, "--runs", str(runs)], Path.cwd()) as screen:
        for keys in ("a", "h"):
            screen.wait_for("\n> ")
            screen.press(keys)
        screen.wait_for(": ")
        screen.press("Keep the file.\n")
        screen.wait_for("\n> ")
        screen.process.kill()
    run = only_run(runs)
    with at_terminal(["-m", "agent_eval", "resume", str(run)], Path.cwd()) as screen:
        screen.wait_for("rm ~/made")
        press_each(screen, "r", "a", "a")
        assert screen.end() == 0, screen.shown
    assert types_of(run) == ["approve", "hint", "reject", "approve", "approve"]
    assert summary(run)["interventions"] == {"approve": 3, "hint": 1, "reject": 1}
    told = [event["message"]["content"] for event in events(run, "message")]
    assert told.count("Keep the file.") == 1
    codes = [event["input"]["code"] for event in events(run, "action.started")]
    assert "rm ~/made" not in codes
    assert summary(run)["success"]["verdict"] == "success"
    assert verify(run).good
