"""All runs of a folder: their table, a search in all of them, two side by side."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from agent_eval.graders.written import grade_run
from agent_eval.review.asking import Place
from agent_eval.review.comparing import Pair, Step, aligned, shortened
from agent_eval.review.told import Row
from tests.labels.labelled import run_of
from tests.review.serving import Reader, served
from tests.review.test_run_pages import written


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    runs = tmp_path / "runs"
    written(runs / "alpha", 4, opened=True)
    written(runs / "beta", 2, opened=True)
    written(runs / "first" / "gamma", 3, opened=True)
    written(runs / "unread", 1)
    grade_run(runs / "alpha")
    runs.joinpath("beta", "labels.jsonl").write_bytes(b"{}\n{}\n")
    with served(runs, tmp_path / "cache") as one:
        yield one


def names(page: str) -> list[str]:
    return re.findall(r'class="open" href="/run/([^"]+)"', page)


def test_runs_are_listed_with_those_of_sets_and_what_cannot_be_read(reader: Reader) -> None:
    page = reader.ask("/").text
    assert names(page) == ["alpha", "beta", "first~gamma"]
    assert "unread</a> is left out" in page
    assert reader.ask("/run/first~gamma").status == 200
    assert "3/3 = 100% (44% to 100%), 3 of 3 scored" in page


def test_groups_of_epochs_have_rates_and_one_name_for_each_setting(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in ("a", "b", "c"):
        success = "failure" if name == "c" else "success"
        run_of(runs, name, model="model", stays=name == "a", success=success)
    written(runs / "of another digest", 1, opened=True)
    with served(runs, tmp_path / "cache") as reader:
        page = reader.ask("/").text
    rates = page[page.index("<h2>Rates</h2>") :]
    assert "2/3 = 67% (21% to 94%), 3 of 3 scored" in rates
    assert "R5 1/3 = 33% (6% to 79%), 3 of 3 scored" in rates
    assert len(set(re.findall(r">version ([0-9a-f]{8})<", rates))) == 2, "neither hides the other"


def test_runs_are_filtered_and_sorted(reader: Reader) -> None:
    assert names(reader.ask("/?sort=labels").text)[0] == "beta"
    assert names(reader.ask("/?sort=steps").text) == ["alpha", "first~gamma", "beta"]
    assert names(reader.ask("/?sort=nothing&scenario=small").text)[0] == "alpha"
    assert names(reader.ask("/?model=another").text) == []
    assert names(reader.ask("/?labels=some").text) == ["beta"]
    assert names(reader.ask("/?spent=1.5").text) == ["alpha", "first~gamma"]
    for none in ("-1", "1e9", "nan", "٣", "9" * 400, ""):
        assert len(names(reader.ask(f"/?spent={quote(none)}").text)) == 3
    assert "?spent=1.5&amp;sort=steps" in reader.ask("/?spent=1.5").text, (
        "a column that sorts keeps it"
    )


def test_a_search_goes_over_all_runs(reader: Reader) -> None:
    page = reader.ask("/search?q=secret3").text
    assert re.findall(r'<h2><a href="/run/([^?]+)', page) == ["alpha", "first~gamma"]
    assert "Nothing has it" in reader.ask("/search?q=nowhere").text
    assert reader.ask("/search?q=").status == 200
    rest = reader.ask("/search?q=secret1&after=2").text
    assert re.findall(r'<h2><a href="/run/([^?]+)', rest) == ["unread", "first~gamma"]


def test_a_comparison_marks_the_first_difference(reader: Reader) -> None:
    page = reader.ask("/compare?a=alpha&b=beta").text
    assert page.count('id="first"') == 1
    first = page.split('id="first"')[1].split("</div>")[0]
    assert "?at=12#e12" in first, "the third thought of the longer one"
    assert "Both did the same" in reader.ask("/compare?a=beta&b=beta").text
    assert reader.ask("/compare?a=alpha&b=none").status == 404


def step(key: str, result: str = "") -> Step:
    return Step(Row(Place(0, 0, 0, "message", "", "0", 0.0, 0), key, ""), key, result)


def test_rows_are_aligned_and_equal_ones_left_out() -> None:
    left = [step(each) for each in "abcdefghijXklmnop"]
    right = [step(each) for each in "abcdefghijklYmnop"]
    pairs = aligned(left, right)
    assert [pair.same for pair in pairs].count(False) == 2
    assert [pair.first for pair in pairs].index(True) == 10
    short = list(shortened(pairs))
    assert [pair.skipped for pair in short if pair.skipped] == [3]
    assert sum(pair.skipped or 1 for pair in short) == len(pairs)
    other = Pair(step("a", "1"), step("a", "2"), same=True)
    assert other.other_output
