"""Rates of runs as tables: who counts, where, and what stands beside."""

import csv
import io
import json
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.record.runset import Entry
from agent_eval.stats.tables import Told, compared, rows, sums, told

SUBMITTED = {"status": "submitted", "blame": None}
LOST = {"status": "error", "blame": "infrastructure"}


def run(
    scenario: str = "small", verdict: str = "success", model: str = "m", **facts: bool | None
) -> Told:
    entry = Entry("r", "c", 1, scenario, model, SUBMITTED, verdict)
    return told(entry, facts)


def lost(scenario: str = "small") -> Told:
    return told(Entry("r", "c", 1, scenario, "m", LOST, "success"), {"R2": True})


def test_what_the_machine_ended_stands_beside_the_rate() -> None:
    success, storm = rows([run(), run(verdict="failure"), run(verdict="unscored"), lost()])
    assert (success.axis, success.hits, success.scored, success.of) == ("success", 1, 2, 4)
    assert success.beside == {"infrastructure": 1}
    assert success.rate == 0.5
    assert (storm.axis, storm.scored, storm.of, storm.rate) == ("R2", 0, 1, None)


def test_variants_and_models_are_apart() -> None:
    table = rows([run(), run("small@plain"), run(model="n"), run("other")])
    assert [(row.scenario, row.variant, row.model) for row in table] == [
        ("other", "", "m"), ("small", "", "m"), ("small", "", "n"), ("small", "plain", "m"),
    ]  # fmt: skip


def test_pass_at_k_needs_k_runs() -> None:
    (row,) = rows([run(), run(verdict="failure")], ks=(1, 2, 3))
    assert row.pass_at == {1: 0.5, 2: 1.0, 3: None}


def test_the_worst_variant_of_each_scenario_is_the_worst() -> None:
    runs = [run("a"), run("a@x", "failure"), run("a@x"), run("b"), run("b@y", "failure")]
    (one,) = sums(runs)
    assert (one.scenarios, one.rate, one.worst, one.interval) == (2, 0.6, 0.25, None)
    many = [run(f"s{n}", "success" if n % 2 else "failure") for n in range(20)]
    (over,) = sums(many)
    assert over.interval is not None
    assert over.interval[0] < 0.5 < over.interval[1]


def test_models_are_compared_where_both_ran() -> None:
    runs = [run(f"s{n}") for n in range(8)] + [run(f"s{n}", "failure", "n") for n in range(1, 9)]
    found = compared(runs, "m", "n", "success")
    assert found is not None
    assert (found.difference, found.shared, found.left_out) == (1.0, 7, ("s0", "s8"))
    assert found.p == pytest.approx(2 / 2**7)
    assert compared(runs, "m", "nobody", "success") is None


def test_the_command_prints_rates_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = [
        Entry(f"r{n}", "c", n, "small", "m", SUBMITTED, "success" if n > 1 else "failure")
        for n in range(4)
    ]
    for entry in index:
        (tmp_path / entry.run).mkdir()
        (tmp_path / entry.run / "events.jsonl").touch()
    lines = [json.dumps(vars(entry)) for entry in index]
    (tmp_path / "index.jsonl").write_text("\n".join(lines) + "\n")
    text = printed(capsys, "stats", str(tmp_path), "--k", "2", "--false-positives", "0.05")
    assert "small with m" in text
    assert "success  2/4 = 50% (15% to 85%), 4 of 4 scored, pass@2 83%" in text
    assert "show pass@2 10% where nothing ever succeeds" in text
    assert "is shown for 30 runs and more" in text, "outside of which the tool says so"
    (row,) = csv.DictReader(io.StringIO(printed(capsys, "stats", str(tmp_path), "--form", "csv")))
    assert (row["hits"], row["pass_at_1"], row["rate"]) == ("2", "0.5", "0.5")
    told_json = json.loads(printed(capsys, "stats", str(tmp_path), "--form", "json"))
    assert told_json["rows"][0]["scored"] == 4


def test_models_that_share_nothing_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["stats", str(tmp_path), "--compare", "a", "b"])
    assert ended.value.code == 2
    assert "share no scenario" in capsys.readouterr().err


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_goals_errors_of_graders_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for name, hits in (("a", 4), ("b", 1), ("c", 2)):
        for n in range(4):
            verdict = "success" if n < hits else "failure"
            entry = Entry(f"{name}{n}", "c", n, name, "m", SUBMITTED, verdict)
            (tmp_path / entry.run).mkdir()
            (tmp_path / entry.run / "events.jsonl").touch()
            lines.append(json.dumps(vars(entry)))
    (tmp_path / "index.jsonl").write_text("\n".join(lines) + "\n")
    goals = tmp_path / "goals.yaml"
    goals.write_text("whole: {and: [a, {or: [b, c]}]}\nbad: {or: [a, nobody]}\n")
    plot = tmp_path / "rates.svg"
    with pytest.raises(SystemExit) as ended:
        main(["stats", str(tmp_path), "--goal", str(goals)])
    assert ended.value.code == 2
    assert "nothing measured is called 'nobody'" in capsys.readouterr().err
    goals.write_text("whole: {and: [a, {or: [b, c]}]}\n")
    errors = ("--false-positives", "0.1", "--false-negatives", "0.1", "--k", "2")
    text = printed(
        capsys, "stats", str(tmp_path), "--goal", str(goals), "--plot", str(plot), *errors
    )
    assert f"goal whole with m: pass@2 {(5 / 6) ** 0.5:.0%}" in text
    assert "c with m, without the graders' errors: 50%, pass@2 75%" in text
    assert "<svg" in plot.read_text()
