"""Which of two is better: pairs without names, and win rates whose sums are right."""

from itertools import pairwise
from pathlib import Path

import pytest

from agent_eval.errors import OperatorError
from agent_eval.labels.preferring import (
    PREFERENCES,
    Pair,
    next_pair,
    pairs,
    prefer,
    read_preferences,
    standings,
)
from tests.labels.labelled import run_of

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs of each of two models on one scenario, and one of another scenario."""
    for name in ("a1", "a2", "b1", "b2"):
        run_of(tmp_path, name, model=f"model-{name[0]}", graded=False)
    run_of(tmp_path, "other", scenario="else", model="model-a", graded=False)
    run_of(tmp_path, "hard", scenario="else@hard", model="model-a", graded=False)
    return tmp_path


def test_only_runs_of_one_scenario_by_different_hands_are_compared(folder: Path) -> None:
    found = {(pair.one, pair.other) for pair in pairs(folder)}
    assert found == {("a1", "b1"), ("a1", "b2"), ("a2", "b1"), ("a2", "b2"), ("hard", "other")}


def test_who_stands_left_is_drawn_and_stays(folder: Path) -> None:
    orders = {Pair("a1", "b1").ordered(KEY, f"reader{number}") for number in range(40)}
    assert orders == {("a1", "b1"), ("b1", "a1")}
    assert len({Pair("a1", "b1").ordered(KEY, "ann") for _ in range(5)}) == 1
    names = {pair.name(KEY) for pair in pairs(folder)}
    assert len(names) == 5
    assert Pair("a1", "b1").name(KEY) != Pair("a1", "b1").name(b"other")


def test_everybody_is_asked_everything_once_and_the_least_asked_first(folder: Path) -> None:
    seen = []
    while (pair := next_pair(folder, "ann", KEY)) is not None:
        seen.append(pair)
        prefer(folder, "ann", pair.ordered(KEY, "ann"), "tie")
    assert sorted(map(str, seen)) == sorted(map(str, pairs(folder)))
    first = next_pair(folder, "bob", KEY)
    assert first is not None
    prefer(folder, "bob", first.ordered(KEY, "bob"), "tie")
    assert next_pair(folder, "cid", KEY) != first


def test_win_rates_count_ties_as_half_and_the_last_word(folder: Path) -> None:
    prefer(folder, "ann", ("a1", "b1"), "second")
    prefer(folder, "ann", ("b1", "a1"), "second")  # thought again: a1 is better
    prefer(folder, "bob", ("b1", "a1"), "second")
    prefer(folder, "ann", ("a2", "b2"), "tie")
    prefer(folder, "ann", ("hard", "other"), "first")
    found = {one.contestant: one for one in standings(read_preferences(folder), folder)}
    one, other = found["model-a"], found["model-b"]
    assert (one.wins, one.ties, one.losses) == (2, 1, 1)
    assert (other.wins, other.ties, other.losses) == (0, 1, 2)
    assert found["model-a @hard"].rate == 1.0
    assert sum(each.wins for each in found.values()) == sum(each.losses for each in found.values())
    assert one.rate == pytest.approx(2.5 / 4)
    assert 0 < one.low < one.rate < one.high < 1
    assert one.by == "pairs", "two who look at one pair are no two trials"
    rates = [each.rate for each in standings(read_preferences(folder), folder)]
    assert all(before >= after for before, after in pairwise(rates))


def test_over_many_scenarios_whole_ones_are_drawn(tmp_path: Path) -> None:
    for number in range(8):
        for model in ("a", "b"):
            run_of(tmp_path, f"{model}{number}", scenario=f"s{number}", model=model, graded=False)
        prefer(tmp_path, "ann", (f"a{number}", f"b{number}"), "first" if number % 4 else "second")
    found = standings(read_preferences(tmp_path), tmp_path)
    assert {one.by for one in found} == {"scenarios"}
    assert [(one.contestant, one.rate) for one in found] == [("a", 0.75), ("b", 0.25)]


def test_what_is_no_preference_is_none(folder: Path) -> None:
    with pytest.raises(OperatorError, match="no choice"):
        prefer(folder, "ann", ("a1", "b1"), "both")
    assert read_preferences(folder) == []
    prefer(folder, "ann", ("a1", "b1"), "first")
    with (folder / PREFERENCES).open("ab") as file:
        file.write(b'{"id":"x","author":"ann","first":"a1","second":"a1","better":"tie"}\n{"torn')
    prefer(folder, "ann", ("a1", "gone"), "first")
    assert len(read_preferences(folder)) == 2
    assert len(standings(read_preferences(folder), folder)) == 2, "runs that are gone count no more"
