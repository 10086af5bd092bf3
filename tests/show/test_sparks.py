"""Sums over a run as lines of blocks."""

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.show.sparks import BLOCKS, COLUMNS, Sparks, spark


def test_a_sum_is_drawn_as_it_stood() -> None:
    assert spark([(0, 7.0)], 8, columns=8) == "████████"
    assert spark([(4, 7.0)], 8, columns=8) == "▁▁▁▁████"
    assert spark([(0, 1.0), (2, 2.0), (4, 4.0), (8, 7.0)], 8, columns=8) == "▂▂▃▃▅▅▅█"
    assert spark([(0, 0.0)], 8, columns=4) == "▁▁▁▁", "nothing changed"
    assert spark([(0, -7.0), (4, 0.0)], 8, columns=4) == "▁▁██", "a debt is below nothing"


@given(st.lists(st.tuples(st.floats(-9, 99), st.floats(-1e300, 1e300))), st.floats(0, 50))
def test_any_sum_has_its_line(points: list[tuple[float, float]], until_s: float) -> None:
    drawn = spark(points, until_s)
    assert len(drawn) == COLUMNS
    assert set(drawn) <= set(BLOCKS)


def test_lines_say_what_it_came_to_and_what_of() -> None:
    sparks = Sparks()
    opened = {
        "kind": "run.opened",
        "elapsed_s": 0,
        "scenario": {"resolved": {"budget": {"usd": 2}}},
    }
    sparks.note(opened, [])
    sparks.note({"kind": "bank.posted", "elapsed_s": 1.0}, [("worth", 3.0)])
    for at_s in (2.0, 4.0):
        sparks.note({"kind": "model.replied", "elapsed_s": at_s}, [("usd", 0.5)])
    sparks.note({"kind": "bank.posted", "elapsed_s": "late"}, [("worth", 9.0)])
    sparks.note({"kind": "bank.posted", "elapsed_s": 4.0}, [("worth", float("nan"))])
    sparks.note({"kind": "bank.posted", "elapsed_s": 4.0}, [("worth", -4.5)])
    spent, worth = sparks.lines()
    assert spent.startswith("dollars    ▁")
    assert spent.endswith("█  1 of 2")
    assert worth.startswith("net worth  ")
    assert worth.endswith("▁  -$1.50")
