"""Milestones in bits, with bounds."""

from agent_eval.record.runset import Entry
from agent_eval.stats.milestones import milestone_rows, ways
from agent_eval.stats.tables import Told, sums, told

SUBMITTED = {"status": "submitted", "blame": None}


def runs(scenario: str, hits: int, of: int) -> list[Told]:
    verdicts = ["success"] * hits + ["failure"] * (of - hits)
    entries = [Entry("r", "c", 1, scenario, "m", SUBMITTED, verdict) for verdict in verdicts]
    return [told(entry, {}) for entry in entries]


def test_rates_become_bits_and_bounds() -> None:
    every = [*runs("s@v#b", 1, 10), *runs("s@v#a", 0, 10), *runs("s", 3, 3), *runs("s#a", 5, 8)]
    first, second, third = milestone_rows(every)
    assert (first.scenario, first.milestone, first.hits, first.of) == ("s", "a", 5, 8)
    assert first.bits == 1
    assert (second.scenario, second.milestone, second.bits) == ("s@v", "a", None)
    assert 0.30 < second.at_most < 0.31, "exact, one-sided: 1 - 0.025 ** 0.1"
    assert (third.milestone, third.bits) == ("b", 4)


def test_such_runs_are_no_runs_of_the_whole_scenario() -> None:
    (one,) = sums([*runs("s", 1, 2), *runs("s#a", 8, 8)])
    assert (one.scenarios, one.rate) == (1, 0.5)


def helped(scenario: str, verdict: str, bits: float | None, *by: str) -> Told:
    about = dict.fromkeys(by, 1)
    entry = Entry(
        "r", "c", 1, scenario, "m", SUBMITTED, verdict, interventions=about, choice_bits=bits
    )
    return told(entry, {})


def test_what_an_expert_picked_stands_beside_and_takes_the_place_of_what_never_came() -> None:
    every = [
        *runs("s#a", 0, 10), *runs("s#b", 5, 10),
        helped("s#a", "success", 6.0, "pick_option"), helped("s#a", "success", 8.0, "pick_option"),
        helped("s#a", "failure", 3.0, "pick_option"), helped("s#a", "success", 1.0, "hint"),
        helped("s#a", "success", 1.0, "hint", "pick_option"),
        helped("s#b", "success", 2.0, "pick_option"), helped("s#c", "failure", 9.0, "pick_option"),
    ]  # fmt: skip
    first, second, third = rows = milestone_rows(every)
    assert (first.hits, first.of, first.bits, first.cost) == (0, 10, None, 7.0)
    assert (first.expert_hits, first.expert_of, first.expert_bits) == (2, 3, 7.0)
    assert (second.bits, second.cost) == (1, 1), "its own rate comes first"
    assert (third.of, third.at_most, third.cost) == (0, 1, None)
    (whole,) = ways(rows)
    assert (whole.milestones, whole.bits) == (3, None)
    (known,) = ways(rows[:2])
    assert (known.scenario, known.model, known.bits) == ("s", "m", 8.0)
    assert ways(rows[:1]) == []
