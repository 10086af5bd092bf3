"""Milestones in bits, with bounds."""

from agent_eval.record.runset import Entry
from agent_eval.stats.milestones import milestone_rows
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
