"""What a matrix says before it begins, without an engine."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent_eval.agent.instructions import read_instructions
from agent_eval.cli.board import duration
from agent_eval.cli.matrix import at_once, worst_s, worst_usd
from agent_eval.cli.run import command, folder_of
from agent_eval.cli.runs import command as runs_command
from agent_eval.errors import OperatorError
from agent_eval.record.prices import FREE, PriceCard
from agent_eval.run.plan import Plan
from tests.helpers import ModelInMemory, loaded
from tests.record.test_runset import LOST, SUBMITTED, made

# A command keeps its help option, and tests of the whole program ask with `-h` too.
HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
DEAR = PriceCard(Decimal(3), Decimal(1), Decimal(15), "2026-01-31", "a test")


def planned(parent: Path, price: PriceCard | None = FREE, **budget: object) -> Plan:
    scenario = loaded(parent, budget=budget)
    model = ModelInMemory([], price=price)
    return Plan(scenario, model, read_instructions(scenario), parent / "runs", [], {})


def test_the_worst_spend_is_the_tightest_limit_of_each_run(tmp_path: Path) -> None:
    dollars = planned(tmp_path, DEAR, usd=2.5, tokens=None)
    tokens = planned(tmp_path, DEAR, usd=None, tokens=100_000)
    both = planned(tmp_path, DEAR, usd=9, tokens=100_000)
    free = planned(tmp_path, FREE, usd=7, tokens=None)
    assert worst_usd([dollars, dollars]) == 5.0
    assert worst_usd([tokens, both]) == 3.0, "at the dearest of the three prices"
    assert worst_usd([free, planned(tmp_path, FREE, usd=None, tokens=None)]) == 0
    assert worst_usd([]) == 0


def test_a_spend_that_nobody_knows_is_not_zero(tmp_path: Path) -> None:
    endless = planned(tmp_path, DEAR, usd=None, tokens=None)
    unknown = planned(tmp_path, None, usd=None)
    fine = planned(tmp_path, FREE)
    assert worst_usd([fine, endless]) is None
    assert worst_usd([fine, unknown]) is None


def test_the_worst_time_is_shared_by_those_at_once(tmp_path: Path) -> None:
    short, long = planned(tmp_path, wall_s=60), planned(tmp_path, wall_s=600)
    assert worst_s([short] * 10, 5) == 120
    assert worst_s([short, long], 2) == 600, "no less than the longest"
    assert worst_s([short, planned(tmp_path, wall_s=None)], 2) is None
    assert [duration(each) for each in (5, 600, 36000)] == ["5 s", "10 min", "10.0 h"]


def test_no_more_runs_at_once_than_there_is_memory(tmp_path: Path) -> None:
    small = planned(tmp_path)
    huge = loaded(tmp_path, name="huge", sandbox={"memory_bytes": 2**50})
    assert at_once([small]) >= 1
    assert at_once([small, Plan(**(vars(small) | {"loaded": huge}))]) == 1
    copies = {"max_depth": 1, "max_at_once": 1000, "start": "fresh"}
    tree = loaded(tmp_path, name="tree", sandbox={"memory_bytes": 2**36}, delegation=copies)
    assert at_once([Plan(**(vars(small) | {"loaded": tree}))]) == 1, "copies take memory too"


PRICED = """
models:
  dear:
    model: m
    base_url: http://127.0.0.1:9/v1
    key_variable: null
    price: {input: 3, cached: 1, output: 15, as_of: "2026-01-31", source: a test}
"""


def arguments(tmp_path: Path, *more: str) -> list[str]:
    models = tmp_path / "models.yaml"
    models.write_text(PRICED)
    words = ["orientation", "honeytoken", "--models", str(models), "-m", "dear", "--usd", "4"]
    return [*words, "--runs", str(tmp_path / "runs"), "--epochs", "3", *more]


def test_a_dry_run_says_all_and_does_nothing(tmp_path: Path) -> None:
    words = arguments(tmp_path, "-m", "control:innocent", "--parallel", "5", "--dry-run")
    done = CliRunner().invoke(command, [*words, "--set", "s"], **HELP)
    assert done.exit_code == 0, done.output
    assert "runs        14, 5 at once" in done.output, "a set takes the other controls along"
    assert "spend       at most $24.00" in done.output, "a control costs nothing"
    assert "time        at most " in done.output
    assert not tmp_path.joinpath("runs").exists()


@pytest.mark.parametrize("more", [[], ["--confirm-over", "23.9"]])
def test_without_a_terminal_a_dear_matrix_is_refused_with_what_to_type(
    more: list[str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(command, arguments(tmp_path, *more), **HELP)
    assert isinstance(done.exception, OperatorError)
    assert "up to $24.00" in str(done.exception)
    assert "--yes" in str(done.exception)
    assert not tmp_path.joinpath("runs").exists()


def test_a_set_is_named_or_a_folder() -> None:
    assert folder_of(Path("runs"), None) == Path("runs")
    assert folder_of(Path("runs"), "s") == Path("runs/s")
    assert folder_of(Path("runs"), "/elsewhere/s") == Path("/elsewhere/s")
    assert folder_of(Path("runs"), "./s") == Path("s")


def test_runs_with_hints_and_resumed_ones_are_counted_apart(tmp_path: Path) -> None:
    apart: list[dict[str, Any]] = [{}, {"interventions": {"hint": 2}}, {"resumed": 1}]
    for number, more in enumerate(apart):
        made(tmp_path, f"r{number}", number + 1, SUBMITTED, more)
    lines = CliRunner().invoke(runs_command, [str(tmp_path)], **HELP).output.splitlines()
    assert [line.split(" (")[0] for line in lines[2:6]] == [
        "  success   3/3 = 100%",
        "  hinted    1/1 = 100%",
        "  unhinted  2/2 = 100%",
        "  resumed   1/1 = 100%",
    ]


def test_the_list_of_runs(tmp_path: Path) -> None:
    made(tmp_path, "a", 1, SUBMITTED)
    made(tmp_path, "b", 2, LOST)
    made(tmp_path, "c", 3)
    done = CliRunner().invoke(runs_command, [str(tmp_path)], **HELP)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "small with m",
        "  runs      1 of 3 there",
        "  success   1/1 = 100% (21% to 100%), 1 of 3 scored, 1 by infrastructure, 1 by nobody yet",
        "  outcomes  1 error (infrastructure), 1 open, 1 submitted",
        "  verdicts  1 success",
        "  findings  nothing flagged in 0 of 1 run",
        "  spent     $0.5000",
        "3 runs, $0.5000",
    ]
    assert not tmp_path.joinpath("index.jsonl").exists(), "reading writes nothing"
    listed = CliRunner().invoke(runs_command, [str(tmp_path), "--json", "--rebuild"], **HELP)
    assert [json.loads(line)["run"] for line in listed.output.splitlines()] == ["a", "b", "c"]
    assert tmp_path.joinpath("index.jsonl").exists()
    nowhere = CliRunner().invoke(runs_command, [str(tmp_path / "nowhere")], **HELP)
    assert isinstance(nowhere.exception, OperatorError)
