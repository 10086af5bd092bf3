"""Tables as CSV and JSON: what is read back is what was there."""

import csv
import io
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.stats.tables import Row
from agent_eval.stats.written import as_csv, as_records

NUMBERS = st.integers(0, 99)


@dataclass(frozen=True)
class Pair:
    name: str
    parts: tuple[int, ...]

    @property
    def most(self) -> int:
        return max(self.parts)


@given(st.lists(st.builds(Pair, st.text(), st.lists(NUMBERS, min_size=1).map(tuple))))
def test_names_come_back_whatever_stands_in_them(rows: list[Pair]) -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(rows, Pair), newline="")))
    assert [each["name"] for each in read] == [row.name for row in rows]
    assert [each["most"] for each in read] == [str(row.most) for row in rows]
    assert as_records(rows) == [
        {"name": row.name, "parts": row.parts, "most": row.most} for row in rows
    ]


def test_figures_by_k_are_columns_and_what_has_parts_is_json() -> None:
    row = Row("s", "", "m", "success", 1, 2, 3, 0.1, 0.9, {1: 0.5, 10: None}, {"operator": 1})
    (read,) = csv.DictReader(io.StringIO(as_csv([row], Row)))
    assert (read["pass_at_1"], read["pass_at_10"], read["rate"]) == ("0.5", "", "0.5")
    assert read["beside"] == '{"operator": 1}'


def test_no_row_is_still_a_line_of_names() -> None:
    assert as_csv([], Pair) == "name,parts\r\n"
