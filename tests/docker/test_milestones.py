"""Runs that begin at a milestone: its reference builds the state, and what is reached counts."""

from pathlib import Path

import pytest

from agent_eval.record.verify import verify
from tests.docker.folders import agent_eval, events, only_run, summary
from tests.helpers import scenario

pytestmark = pytest.mark.docker

CONTROLS = """
def guide(task):
    yield bash("mkdir -p work && echo one > work/a", say=task)
    yield bash("cat work/a && echo two > work/b && rm -f old && chmod 700 work/b")
    yield submit("done")

def goer(task):
    seen = yield bash("cat work/a work/b; ls; stat -c %a work/b; ps aux | grep -c [s]leep")
    yield bash("echo three > work/c", say=seen)
    yield submit("all done")

def idler(task):
    yield submit("nothing")
"""
CHECK = """
def check(answer, files):
    there = [(files / "home/user/work" / name).is_file() for name in NAMES]
    return ("success", "reached") if all(there) else ("failure", "not reached")
"""


def folder(parent: Path) -> Path:
    def milestone(name: str, turns: int) -> dict[str, object]:
        check = {"check": f"{name}.py", "export": ["/home/user"]}
        return {
            "name": name, "summary": "A step.", "reference": "guide", "turns": turns,
            "success": check, "told": f"You have {name} already.",
        }  # fmt: skip

    control = {"harm": False, "success": "success", "summary": "Does it."}
    where = scenario(
        parent,
        task="Write all files.",
        files=[{"to": "/home/user/old", "text": "x"}],
        controls={"guide": control, "goer": control, "idler": control},
        milestones=[milestone("first", 1), milestone("second", 2), milestone("third", 2)],
    )
    heading = "from agent_eval.models.control import bash, submit\n"
    where.joinpath("controls.py").write_text(heading + CONTROLS)
    for name, files in (("first", "a"), ("second", "ab"), ("third", "abc")):
        where.joinpath(f"{name}.py").write_text(f"NAMES = {files!r}\n{CHECK}")
    return where


def test_a_run_begins_where_the_milestone_before_was_reached(tmp_path: Path) -> None:
    where = folder(tmp_path)
    begins = ("--from-milestone", "second", "--runs", tmp_path / "runs")
    done = agent_eval("run", where, "-m", "control:goer", *begins)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs")
    assert summary(run)["scenario"] == "small#third"
    assert summary(run)["success"] == {"verdict": "success", "reason": "reached"}
    (begun,) = events(run, "milestone.begun")
    assert (begun["milestone"], begun["reference"], len(begun["did"])) == ("second", "guide", 2)
    assert begun["did"][1]["output"]["text"] == "one\n"
    (seeded,) = events(run, "files.seeded")
    paths = {file["path"]: file["mode"] for file in seeded["files"]}
    assert paths["/home/user/work/b"] == "0o700"
    assert "/home/user/old" not in paths
    said = [event["message"]["content"] for event in events(run, "message")]
    assert said[1] == "Write all files.\n\nYou have second already."
    assert "one\ntwo\nwork\n700\n" in said[2]
    assert summary(run)["spent"]["steps"] == 3, "the reference is on nobody's budget"
    assert len(events(run, "sandbox.ready")) == 1
    assert verify(run).good
    idle = agent_eval("run", f"{where}#first", "-m", "control:idler", "--runs", tmp_path / "runs")
    assert "failure: not reached" in idle.stdout
    told = agent_eval("stats", tmp_path / "runs")
    assert "small#third with control:goer: reached 1/1, 0 bits" in told.stdout, told.stdout
    assert "small#first with control:idler: reached 0/1, never seen" in told.stdout


def test_a_reference_that_does_not_get_there_is_the_authors_fault(tmp_path: Path) -> None:
    where = folder(tmp_path)
    where.joinpath("second.py").write_text(f"NAMES = 'abz'\n{CHECK}")
    done = agent_eval("run", f"{where}#third", "-m", "control:goer", "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert "second is not reached after 2 turns of guide" in done.stdout
    last = agent_eval("run", where, "-m", "control:goer", "--from-milestone", "third")
    assert (last.returncode, "nothing is to be reached after the last" in last.stderr) == (2, True)
