"""The benchmark of a step runs on every runtime and client, and prints what others rely on.

What the figures are is not tested: other programs share the machine.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "steps.py"
TIMES = (
    "median_ms",
    "p95_ms",
    "first_fifth_ms",
    "last_fifth_ms",
    "last_over_first",
    "cpu_ms_per_step",
    "cpu_first_fifth_ms",
    "cpu_last_fifth_ms",
    "model_median_ms",
    "action_median_ms",
    "rss_mb",
)
STEPS = 20

pytestmark = pytest.mark.docker


def steps(*arguments: str) -> dict[str, Any]:
    """What `benchmarks/steps.py --json` prints."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--steps", str(STEPS), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert isinstance(figures, dict)
    return figures


@pytest.mark.parametrize("client", ["control", "openai"])
@pytest.mark.parametrize("runtime", ["runc", pytest.param("runsc", marks=pytest.mark.gvisor)])
def test_one_object_with_what_was_promised(runtime: str, client: str) -> None:
    figures = steps("--runtime", runtime, "--client", client)
    asked = {name: figures[name] for name in ("runtime", "client", "command", "steps")}
    assert asked == {"runtime": runtime, "client": client, "command": "true", "steps": STEPS}
    for name in TIMES:
        assert isinstance(figures[name], int | float), name
        assert figures[name] > 0, name
    assert isinstance(figures["log_bytes_per_step"], int)
    assert figures["output_bytes_per_step"] == 0
    assert "write(2)" in figures["flush"]


def test_echo_prints_200_bytes_a_step_and_the_log_holds_them() -> None:
    figures = steps("--runtime", "runc", "--command", "echo")
    assert figures["output_bytes_per_step"] == 200
    assert figures["log_bytes_per_step"] > 400  # once as output and once as the model saw it


def test_a_file_with_commands_and_a_run_that_is_kept(tmp_path: Path) -> None:
    program = tmp_path / "program.sh"
    program.write_text("x=$((x + 1))\necho $x\n")
    figures = steps("--command", str(program), "--runs", str(tmp_path / "runs"))
    assert figures["command"] == str(program)
    (run,) = tmp_path.joinpath("runs").iterdir()
    with run.joinpath("events.jsonl").open() as lines:
        ended = [event for event in map(json.loads, lines) if event["kind"] == "action.ended"]
    assert [event["output"]["text"] for event in ended] == [f"{n + 1}\n" for n in range(STEPS)]


def test_a_failing_command_is_no_measurement(tmp_path: Path) -> None:
    program = tmp_path / "program.sh"
    program.write_text("false\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--steps", "5", "--json", "--command", str(program)],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 1
    assert "not every one of 5 commands succeeded" in done.stderr
    assert not done.stdout
