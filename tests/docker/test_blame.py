"""Who is to blame where a run does not end with an answer, and what is on record by then."""

from pathlib import Path

import pytest

from agent_eval.record.reading import content_bytes
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = pytest.mark.docker

QUICK = "def quick(task):\n    yield submit('done')\n"


def test_files_that_do_not_fit_are_their_authors_fault(tmp_path: Path) -> None:
    folder = scenario(
        tmp_path,
        QUICK,
        files=[{"to": "/home/user/large", "text": "x" * 3_000_000}],
        sandbox={"home_bytes": "1MiB"},
    )
    done = agent_eval("run", folder, "-m", "control:quick", "--runs", tmp_path / "runs")
    assert done.returncode == 2, done.stderr
    outcome = summary(only_run(tmp_path / "runs"))["outcome"]
    assert (outcome["status"], outcome["blame"]) == ("error", "scenario author")
    assert "No space left" in outcome["message"] and "home_bytes" in outcome["message"]


def test_what_an_action_wrote_before_its_sandbox_died_is_on_record(tmp_path: Path) -> None:
    bomb = "python3 -c 'x = bytearray(150 << 20)' & " * 12 + "wait"
    act = f"echo said before the end; sleep 1; {bomb}"
    controls = f"def kills(task):\n    yield bash({act!r}, 60)\n    yield submit('done')\n"
    folder = scenario(tmp_path, controls, sandbox={"memory_bytes": "256MiB", "runtime": "runsc"})
    done = agent_eval("run", folder, "-m", "control:kills", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    assert summary(run)["outcome"]["blame"] == "limit"
    assert done.returncode == 3, "a limit, though not one of the budget"
    (ended,) = events(run, "action.ended")
    assert (ended["rung"], ended["cause"]) == ("sandbox", "died")
    output = content_bytes(run, ended["output"])
    assert output.startswith(b"said before the end\n")
    assert ended["output"]["bytes"] == len(output)


def test_what_an_action_wrote_before_the_run_was_over_is_on_record(tmp_path: Path) -> None:
    controls = "def waits(task):\n    yield bash('echo so far; sleep 100', 200)\n"
    folder = scenario(tmp_path, controls)
    arguments = ("run", folder, "-m", "control:waits", "--wall", "5", "--runs", tmp_path / "runs")
    done = agent_eval(*arguments)
    assert done.returncode == 3, done.stderr
    (ended,) = events(only_run(tmp_path / "runs"), "action.ended")
    assert (ended["cause"], ended["output"]["text"]) == ("cancelled", "so far\n")
