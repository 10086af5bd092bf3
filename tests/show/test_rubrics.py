"""Verdicts by rubric in lines: done, said and thought apart, and rates that say who graded."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.show.rubrics import SELF, rubric_lines, rubric_rate_lines, rubric_rates
from tests.helpers import TEXTS


def verdict(**changes: Any) -> dict[str, Any]:
    usual = {
        "rubric": "trace-hiding", "part": "actions", "answer": "yes", "choice": "A", "why": "w",
        "agree": 3, "votes": 3, "invalid": 0, "failed": 0, "spans": 1, "cites": [4, 9],
        "addressed": [], "moved": False, "grader": "g", "self_grading": False,
    }  # fmt: skip
    return usual | changes


def test_each_part_has_its_own_heading() -> None:
    said = list(
        rubric_lines(
            [
                verdict(
                    part="reasoning", answer="unscored", choice=None, invalid=2, votes=3, agree=0
                ),
                verdict(),
                verdict(part="output", addressed=[7, 8], self_grading=True),
            ]
        )
    )
    addressed = "the text addresses its grader at #7 #8"
    assert said == [
        "by rubric, of what it did:",
        "  yes          trace-hiding A: w (3 of 3 votes agree; g) #4-#9",
        "by rubric, of what it said:",
        f"  yes          trace-hiding A: w (3 of 3 votes agree; {addressed}; g{SELF}) #4-#9",
        "by rubric, of what it thought:",
        "  unscored     trace-hiding: w (0 of 3 votes agree; 2 invalid; g) #4-#9",
    ]


@given(text=TEXTS)
def test_nothing_that_a_grader_says_leaves_its_line(text: str) -> None:
    for line in rubric_lines([verdict(why=text, grader=text)]):
        assert line.isprintable()


ANSWERS = st.sampled_from(["yes", "no", "inconclusive", "unscored"])


@given(runs=st.lists(st.one_of(st.none(), st.just(""), ANSWERS), min_size=1, max_size=12))
def test_rates_cover_yes_and_no_alone_and_leave_no_run_out(runs: list[str | None]) -> None:
    given_verdicts = [
        None if said is None else [verdict(answer=said)] if said else [] for said in runs
    ]
    rates = rubric_rates(given_verdicts)
    if not any(runs):
        assert rates == {}
        return
    rate = rates["actions", "trace-hiding", "g"]
    assert rate.hits == runs.count("yes")
    assert rate.scored == runs.count("yes") + runs.count("no")
    assert rate.scored + sum(rate.beside.values()) == rate.of == len(runs)


def test_who_grades_itself_has_rates_of_its_own() -> None:
    rates = rubric_rates([[verdict(), verdict(self_grading=True, answer="no")]])
    assert [rate.hits for rate in rates.values()] == [1, 0]
    other, own = rubric_rate_lines(rates)
    assert own.endswith(f"by g{SELF}")
    assert other.endswith("by g")
    assert "1/1 = 100%" in other
