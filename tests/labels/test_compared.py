"""Graders beside people, over a folder of graded and labelled runs."""

import json
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.graders.written import latest, read_findings
from agent_eval.labels.compared import ALL, GRADERS, REVIEWERS, Compared, Row, compared
from agent_eval.labels.kept import LABELS, write_label
from agent_eval.labels.label import finding_id, label_of
from agent_eval.record.reading import read_summary
from agent_eval.report.gather import gathered
from agent_eval.report.written import markdown
from agent_eval.rubrics.written import verdicts_by_rubric, write_grading
from tests.labels.labelled import run_of, says


def row_of(found: Compared, rater: str, behaviour: str) -> Row:
    return next(row for row in found.rows if (row.rater, row.behaviour) == (rater, behaviour))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight runs of eight scenarios: graders flag R5 in four; people see it in five."""
    for number in range(8):
        run = run_of(tmp_path, f"r{number}", scenario=f"s{number}@v", stays=number < 4)
        says(run, "ann", *(["R5"] if number in (0, 1, 2, 4, 5) else []))
    run_of(tmp_path, "nobody-looked", scenario="s0")
    return tmp_path


def test_the_table_counts_what_each_says(folder: Path) -> None:
    found = compared(folder)
    assert (found.runs, found.labelled, found.flagged) == (9, 8, (4, 4))
    row = row_of(found, GRADERS, "R5")
    assert row.agreement is not None
    assert (row.scored, row.of, row.coverage) == (8, 8, 1.0)
    table = row.agreement
    assert (table.both, table.first, table.second, table.neither) == (3, 1, 2, 2)
    assert (table.agreed, table.prevalence) == (5 / 8, 5 / 8)
    assert table.kappa == pytest.approx((5 / 8 - 1 / 2) / (1 / 2))
    assert table.kappa_interval is not None
    detector = row_of(found, "persistence-command", "R5")
    assert detector.agreement is not None
    assert (detector.agreement.both, detector.agreement.first) == (3, 1)


def test_runs_of_sets_below_count_as_others_do(folder: Path) -> None:
    alone = compared(folder)
    below = folder / "first"
    below.mkdir()
    for number in range(4):
        folder.joinpath(f"r{number}").rename(below / f"r{number}")
    assert compared(folder) == alone
    assert len(compared(below).rows) > 0 and compared(below).labelled == 4


def test_what_graders_did_not_say_is_in_no_rate(folder: Path) -> None:
    for number in range(3):  # not graded any more
        (folder / f"r{number}" / "findings.jsonl").unlink()
    row = row_of(compared(folder), GRADERS, "R5")
    assert (row.scored, row.of, row.agreement) == (5, 8, None), "below 80 % there is no rate"
    lower = row_of(compared(folder, 0.5), GRADERS, "R5")
    assert lower.agreement is not None
    assert lower.agreement.both + lower.agreement.first == 1


def test_people_who_differ_are_in_no_rate_until_somebody_decides(folder: Path) -> None:
    says(folder / "r0", "bob")
    assert compared(folder).unsettled == 1
    assert row_of(compared(folder), GRADERS, "R5").scored == 7
    held = {"kind": "adjudication", "behaviour": "R5", "answer": "no", "reason": "it was asked to"}
    write_label(folder / "r0", "eve", label_of(held))
    row = row_of(compared(folder), GRADERS, "R5")
    assert row.agreement is not None
    assert (row.scored, row.agreement.both, row.agreement.first) == (8, 2, 2)


def test_two_who_read_blind_stand_beside_each_other(folder: Path) -> None:
    for number in range(8):
        says(folder / f"r{number}", "bob", *(["R5"] if number in (0, 1, 2, 3) else []))
    says(folder / "r3", "ann", "R5", done=False)  # having seen what bob says
    row = row_of(compared(folder), REVIEWERS, "R5")
    assert row.agreement is not None
    assert (row.agreement.both, row.agreement.first, row.agreement.second) == (3, 2, 1)
    assert row_of(compared(folder), REVIEWERS, ALL).of == 8 * 5


def test_judged_findings_are_counted_by_detector(folder: Path) -> None:
    file = latest(folder / "r0")
    assert file is not None
    finding = next(one for one in read_findings(file) if one["kind"] == "finding")
    label = {
        "kind": "finding", "finding": finding_id(finding), "behaviour": "R5",
        "detector": finding["detector"], "answer": "unclear",
    }  # fmt: skip
    write_label(folder / "r0", "bob", label_of(label))
    write_label(folder / "r0", "bob", label_of(label | {"answer": "right"}))
    assert row_of(compared(folder), "persistence-command", "R5").judged == {"right": 1}


def test_rubrics_stand_beside_people_and_their_failures_in_no_rate(folder: Path) -> None:
    about = {
        "kind": "rubric.opened",
        "time": "t",
        "self_grading": False,
        "grader": {"model": "judge"},
        "rubric": {"behaviour": "R5", "covariate": False},
    }
    for number in range(8):
        run = folder / f"r{number}"
        answer = "unscored" if number == 7 else "yes" if number < 5 else "no"
        said = {
            "kind": "rubric.verdict", "rubric": "stays-on", "part": "actions", "answer": answer,
            "choice": "A", "why": "w", "agree": 2 if number == 3 else 3, "votes": 3,
            "invalid": 0, "failed": 0, "spans": 1, "cites": [1, 2], "addressed": [], "moved": False,
        }  # fmt: skip
        head = str(read_summary(run)["head"])
        write_grading(
            run, head, "stays-on", [about | {"head": head}, said, {"kind": "rubric.closed"}]
        )
    row = row_of(
        compared(folder, verdicts_of=verdicts_by_rubric), "stays-on, what it did, by judge", "R5"
    )
    assert row.agreement is not None
    assert (row.scored, row.of) == (7, 8)
    table = row.agreement
    assert (table.both, table.first, table.second, table.neither) == (4, 1, 1, 1)
    strict = row.points[0]  # what two of three votes say counts for less than what three do
    assert (strict.rate, strict.least, strict.found, strict.of) == (0.001, 1.0, 4, 5)
    assert (strict.wrong, strict.others) == (0, 2)
    text = markdown(gathered(folder, "t", verdicts_of=verdicts_by_rubric))
    assert "stays-on, what it did" in text


def test_the_command_prints_and_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["agreement", str(folder), "--behaviour", "R5"])
    said = capsys.readouterr().out
    assert "8 of 9 runs labelled: 4 of 4 flagged ones, 4 of 5 others" in said
    assert "graders, R5: 8 of 8 scored" in said
    assert "both yes 3, only this one 1, only people 2, both no 2" in said
    assert "found of 5, by what share of 3 others it may flag: 0% at 0.1%, 0% at 1.0%" in said
    lines = (folder / "r1" / LABELS).read_text().splitlines(keepends=True)
    (folder / "r1" / LABELS).write_text("".join(lines).replace('"R5"', '"R4"', 1))
    for number in range(3):
        (folder / f"r{number}" / "findings.jsonl").unlink()
    with pytest.raises(SystemExit):
        main(["agreement", str(folder)])
    said = capsys.readouterr().out
    assert "no rate: 80% of what people labelled must be scored" in said
    assert "r1: labels: line 3 does not follow" in said
    with pytest.raises(SystemExit):
        main(["agreement", str(folder), "--coverage", "0.5", "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {"rater", "behaviour", "coverage", "agreement", "points"} <= set(rows[0])


def test_a_folder_without_labels_says_where_they_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(tmp_path, "one")
    with pytest.raises(SystemExit):
        main(["agreement", str(tmp_path)])
    assert "agent-eval view" in capsys.readouterr().out
