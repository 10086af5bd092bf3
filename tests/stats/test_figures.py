"""Tables that people write and folders of runs, as figures."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError
from agent_eval.record.runset import Entry
from agent_eval.stats.figures import COLUMNS, read_figures
from agent_eval.stats.problems import Tries
from tests.helpers import folder

WHOLE = """# a comment
model,compute,released,problem,passes,tries,minutes,loss,horizon_minutes,began
small,1e20,2024-01-31,,,,,,,
small,,,p,3,10,,,,
small,,,p,1,10,,,,2025-01-01T00:00
,,,p,,,2.5,,,
small,,,,,,,1.5,12,
"""


def table(path: Path, text: str, name: str = "t.csv") -> Path:
    file = path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_every_row_says_what_it_is_about(tmp_path: Path) -> None:
    seen = read_figures([table(tmp_path, WHOLE)])
    assert seen.results == {"small": {"p": Tries(20, 4)}}
    assert (seen.compute, seen.minutes) == ({"small": 1e20}, {"p": 2.5})
    assert (seen.losses, seen.horizons) == ({"small": 1.5}, {"small": 12.0})
    assert seen.released == {"small": date(2024, 1, 31)}
    assert [each.began for each in seen.times] == [None, datetime(2025, 1, 1, tzinfo=UTC), None]
    assert seen.models == ["small"]


def test_lines_of_json_and_several_files_are_read_together(tmp_path: Path) -> None:
    rows = [{"model": "a", "problem": "p", "passes": 1, "tries": 2}, {"model": "a", "compute": 3}]
    first = table(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    second = table(tmp_path, "model,problem,passes,tries\na,p,1,2\n", "u.csv")
    seen = read_figures([first, second])
    assert seen.results["a"]["p"] == Tries(4, 2)
    assert seen.compute["a"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,los\na,1\n", "t.csv:2: no column is called los; known are model"),
        ("model,loss\na,1\na,2\n", "t.csv:3: loss of a is 2.0 here and 1.0 before"),
        ("model,compute\na,0\n", "compute: 0 is not above 0"),
        ("model,compute\na,x\n", "'x' is no number"),
        ("model,loss\na,inf\n", "no number"),
        ("model,problem,passes,tries\na,p,3,2\n", "3 passes in 2 tries cannot be"),
        ("model,problem,passes,tries\na,p,1.5,2\n", "cannot be"),
        ("model,passes,tries\na,1,2\n", "passes need the columns"),
        ("model,problem\na,p\n", "says nothing"),
        ("problem,passes,tries\np,1,2\n", "of which model"),
        ("model,released\na,yesterday\n", "is no day"),
        ("model,loss,began\na,1,soon\n", "is no moment"),
        ("minutes\n3\n", "It is of a problem"),
        ("model,loss\na,1,2\n", "one too many"),
    ],
)
def test_faults_are_told_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        read_figures([table(tmp_path, text)])


@given(st.binary(max_size=300) | st.text(alphabet=",\n\"'{}[]:01.eE-modelpasstriup", max_size=300))
def test_no_table_brings_it_down(raw: bytes | str) -> None:
    data = raw if isinstance(raw, bytes) else raw.encode()
    with folder() as where:
        for name in ("t.csv", "t.jsonl"):
            file = where / name
            file.write_bytes(data)
            try:
                read_figures([file])
            except OperatorError as error:
                assert name in str(error)


@given(st.dictionaries(st.sampled_from(COLUMNS), st.none() | st.integers() | st.text(max_size=9)))
def test_rows_of_any_values_are_taken_or_refused(row: dict[str, object]) -> None:
    with folder() as where:
        file = table(where, json.dumps(row), "t.jsonl")
        try:
            read_figures([file])
        except OperatorError as error:
            assert "t.jsonl:1" in str(error)


def test_runs_are_tries_of_their_scenario(tmp_path: Path) -> None:
    ended: dict[str, Any] = {"status": "submitted", "blame": None}
    lost: dict[str, Any] = {"blame": "infrastructure"}
    made = [("success", ended), ("failure", ended), ("unscored", ended), ("failure", lost)]
    lines = []
    for number, (verdict, outcome) in enumerate(made):
        began = "2026-01-01T00:00:00+00:00"
        entry = Entry(f"r{number}", "c", number, "s", "m", outcome, verdict, started=began)
        (tmp_path / entry.run).mkdir()
        (tmp_path / entry.run / "events.jsonl").touch()
        (tmp_path / entry.run / "run.json").write_text("{}")
        lines.append(json.dumps(vars(entry)))
    (tmp_path / "index.jsonl").write_text("\n".join(lines))
    told = {"name": "exam", "tasks": {"q": {"passed": 3, "failed": 1, "lost": 5}, "r": {"lost": 1}}}
    (tmp_path / "r1" / "run.json").write_text(json.dumps({"probe": told}))
    seen = read_figures([tmp_path])
    assert seen.results == {"m": {"s": Tries(1, 1), "exam/q": Tries(4, 3)}}
    assert [each.began for each in seen.times] == [datetime(2026, 1, 1, tzinfo=UTC)] * 2
