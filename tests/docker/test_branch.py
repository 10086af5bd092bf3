"""Runs that go on from an event of another one: with what it had then, and apart from it."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_resume import ROOT, SPREADS

pytestmark = [pytest.mark.docker, pytest.mark.slow]

STEPS = 30
CONTROLS = f"""
PROBE = (
    "echo PROBED; cat ~/log | md5sum; cat /tmp/beat-started; pwd; echo $hope; jobs -rp | wc -l; "
    "ls ~ /tmp | sort; cat ~/mine 2>/dev/null"
)

def works(task):
    yield bash("cd /tmp; hope=0; echo yes > beat-started; (while :; do sleep 1; done) & :")
    yield python("total, seen = 0, []")
    for n in range({STEPS - 2}):
        if n % 2:
            yield bash(f"echo {{n}} >> ~/log; hope={{n}}; mkdir -p d{{n % 5}}; cd /tmp")
        else:
            yield python(f"total += {{n}}; seen.append({{n}})")
    yield submit("worked")

def probes(task):
    seen = ""
    while "PROBED" not in seen:
        seen = yield bash(PROBE) + python("print(total, seen[-3:], len(seen))")
    yield submit(seen)

def marks(task):
    seen = ""
    while "PROBED" not in seen:
        seen = yield bash("echo $hope-mine > ~/mine; " + PROBE) + python("total += 1000; total")
    yield submit(seen)
"""


def expected(step: int) -> list[str]:
    """What there is to see after so many actions of the script."""
    done = range(step - 2)
    shell, own = [n for n in done if n % 2], [n for n in done if not n % 2]
    return [
        "/tmp", str(shell[-1]), "1", *sorted({f"d{n % 5}" for n in shell}),
        f"{sum(own)} {own[-3:]} {len(own)}",
    ]  # fmt: skip


def ends(run: Path) -> dict[int, int]:
    """The event in which each action ended."""
    return {event["action"]: event["seq"] for event in events(run, "action.ended")}


def branched(run: Path, runs: Path, *words: Any) -> Path:
    done = agent_eval("branch", run, "--runs", runs, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return only_run(runs)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_branch_has_what_the_run_had_at_that_event(runtime: str, tmp_path: Path) -> None:
    folder = scenario(tmp_path, CONTROLS, snapshots={"every_steps": 8})
    words = ("-m", "control:works", "--runs", tmp_path / "runs", "--runtime", runtime)
    assert agent_eval("run", folder, *words, "--record", "off").returncode == 0
    run = only_run(tmp_path / "runs")
    at = ends(run)
    for step in (5, 12, 17, 24, 30) if runtime == "runsc" else (5, 24):
        branch = branched(
            run, tmp_path / f"at-{step}", "--at", at[step], "--model", "control:probes"
        )
        assert verify(branch).good
        answer = summary(branch)["answer"].splitlines()
        wanted = expected(step)
        assert [line for line in answer if line in wanted] == wanted, answer
        (redone,) = events(branch, "actions.redone")
        assert not redone["differences"]
        if runtime == "runsc" and step > 9:
            assert redone["actions"] < 9, "the nearest snapshot is where it begins"
        before = [event for event in events(run, "model.replied") if event["seq"] < at[step]]
        tokens = sum(event["settled"]["input_tokens"] for event in before)
        own = sum(event["settled"]["input_tokens"] for event in events(branch, "model.replied"))
        assert summary(branch)["spent"]["input_tokens"] == tokens + own
        (opened,) = events(branch, "run.opened")
        line = run.joinpath("events.jsonl").read_bytes().splitlines()[at[step] + 1]
        assert opened["prev"] == opened["origin"]["head"] == json.loads(line)["prev"]


def test_branches_are_apart_and_can_be_edited_and_gone_back_in(tmp_path: Path) -> None:
    folder = scenario(tmp_path, CONTROLS)
    words = ("-m", "control:works", "--runs", tmp_path / "runs", "--runtime", "runc")
    assert agent_eval("run", folder, *words, "--record", "off").returncode == 0
    run = only_run(tmp_path / "runs")
    at = ends(run)
    whole = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    first = branched(run, tmp_path / "a", "--at", at[7], "--model", "control:marks")
    assert "3-mine" in summary(first)["answer"]
    system = tmp_path / "system.md"
    system.write_text("Another frame.")
    second = branched(
        run, tmp_path / "b", "--at", at[7], "--model", "control:probes",
        "--edit", "3=EDITED", "--system", system,
    )  # fmt: skip
    assert "mine" not in summary(second)["answer"], "no branch sees another's files"
    (event,) = events(second, "run.branched")
    assert {one["index"]: one["after"] for one in event["edits"]} == {
        0: "Another frame.",
        3: "EDITED",
    }
    inside = events(first, "action.ended")[0]["seq"]
    again = branched(first, tmp_path / "c", "--at", inside, "--model", "control:probes")
    assert "3-mine" in summary(again)["answer"], "a branch can be branched"
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == whole
    lines = first.joinpath("events.jsonl").read_bytes().splitlines(keepends=True)
    changed = lines[0].replace(b'"what":"branch"', b'"what":"replay"')
    first.joinpath("events.jsonl").write_bytes(changed + b"".join(lines[1:]))
    assert verify(first).faults, "only a branch may begin with the hash of something else"
    over = agent_eval("branch", run, "--at", str(events(run)[-1]["seq"]))
    assert over.returncode == 2 and "had its answer already" in over.stderr
    none = agent_eval("branch", run, "--at", str(at[7]), "--edit", "900=x")
    assert none.returncode == 2 and "no message 900" in none.stderr
    beyond = agent_eval("branch", run, "--at", "99999")
    assert beyond.returncode == 2 and "has no event 99999: the last one is" in beyond.stderr
    assert len(beyond.stderr.splitlines()) == 1, "nothing is begun"


@pytest.mark.parametrize(
    ("runtime", "start"),
    [
        ("runc", "home"),
        pytest.param("runsc", "live", marks=[pytest.mark.gvisor, ROOT]),
        pytest.param("runsc", "shared", marks=pytest.mark.gvisor),
    ],
)
def test_copies_are_replayed_and_go_on_in_a_branch(
    runtime: str, start: str, tmp_path: Path
) -> None:
    folder = scenario(
        tmp_path, SPREADS, delegation={"max_depth": 2, "start": start}, success={"exact": "x"},
        budget=dict.fromkeys(("tool_s", "output_bytes", "usd", "steps")),
    )  # fmt: skip
    words = ("-m", "control:counts", "--runs", tmp_path / "runs", "--runtime", runtime)
    assert agent_eval("run", folder, *words).returncode == 0
    run = only_run(tmp_path / "runs")
    replayed = agent_eval("replay", run, "--runs", tmp_path / "again")
    assert replayed.returncode == 0 and "no difference" in replayed.stdout, replayed.stdout
    at = next(event["seq"] for event in events(run, "action.ended") if event["agent"] == "0.1")
    branch = branched(run, tmp_path / "branch", "--at", str(at))
    assert verify(branch).good
    assert summary(branch)["answer"] == summary(run)["answer"]
    for name in ("steps", "input_tokens", "output_tokens"):
        assert summary(branch)["spent"][name] == summary(run)["spent"][name]
