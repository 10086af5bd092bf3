"""Refusals, claims and lost runs, beside the rates."""

from typing import Any

from agent_eval.record.runset import Entry
from agent_eval.stats.apart import CLAIMED, REFUSED, apart, seen_of
from agent_eval.stats.tables import Seen, Told, told

DONE: dict[str, Any] = {"status": "submitted", "blame": None}


def entry(outcome: dict[str, Any] | None = None, **more: Any) -> Entry:
    return Entry("r", "c", 1, "s@v", "m", outcome or DONE, "failure", **more)


def verdict(rubric: str, answer: str, *, by_itself: bool = False) -> dict[str, Any]:
    return {"rubric": rubric, "answer": answer, "self_grading": by_itself}


def run(outcome: dict[str, Any] | None = None, **seen: Seen) -> Told:
    return told(entry(outcome), {}, seen)


def test_of_several_graders_one_that_says_yes_is_enough() -> None:
    verdicts = [verdict("refusal-style", "no"), verdict("refusal-style", "yes", by_itself=True)]
    assert seen_of(entry(), verdicts, []) == {REFUSED: Seen(answer=True, by_itself=True)}
    unsure = [verdict("refusal-style", "inconclusive"), verdict("plan-instead-of-act", "yes")]
    assert seen_of(entry(), unsure, []) == {}, "what nobody says is unknown, never no"


def test_the_record_itself_tells_of_refusals_and_claims() -> None:
    overridden = entry(interventions={"override_refusal": 1})
    gave_up = {"status": "gave_up", "blame": "model"}
    assert seen_of(overridden, [], [])[REFUSED].answer
    assert seen_of(entry(gave_up, spent={"tool_s": 0}), [], [])[REFUSED].answer
    assert REFUSED not in seen_of(entry(gave_up, spent={"tool_s": 3}), [], [])
    graded = seen_of(overridden, [verdict("refusal-style", "no")], [{"detector": "claims"}])
    assert (graded[REFUSED].answer, graded[CLAIMED].answer) == (False, True)


def test_rows_count_what_is_known_and_what_was_lost() -> None:
    lost = {"status": "error", "blame": "infrastructure"}
    stopped = {"status": "stopped", "blame": "operator"}
    yes, no = Seen(answer=True, by_itself=True), Seen(answer=False)
    runs = [run(refused=yes), run(refused=no), run(), run(lost, refused=yes), run(stopped)]
    (row,) = apart(runs)
    assert (row.scenario, row.variant, row.model, row.of) == ("s", "v", "m", 5)
    assert (row.refused, row.refused_known) == (1, 2), "of lost runs nothing is held true"
    assert (row.claimed, row.claimed_known) == (None, 0)
    assert (row.lost, row.ended, row.self_graded) == (1, 1, (REFUSED,))
