"""Rates of probes, against counting by hand."""

import pytest

from agent_eval.stats.answers import Answers, probe_rows


def test_rates_are_over_what_was_answered() -> None:
    answers = [
        Answers("m", "exam/a", {"passed": 3, "failed": 1}),
        Answers("m", "exam/b", {"unparseable": 2, "lost": 2}),
        Answers("m", "exam/b", {"passed": 2}),
        Answers("n", "exam/a", {"lost": 4}),
    ]
    first, second = probe_rows([answers], (1, 2, 5))
    assert (first.probe, first.model, first.tasks, first.answers) == ("exam", "m", 2, 8)
    assert first.rate == 5 / 8
    assert first.pass_at[1] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert first.pass_at[2] == pytest.approx((1 + 5 / 6) / 2)
    assert first.pass_at[5] is None
    assert first.beside == {"lost": 2, "unparseable": 2}
    assert (second.rate, second.answers, second.interval) == (None, 0, None)


def test_the_interval_draws_tasks() -> None:
    apart = [Answers("m", f"e/{n}", {"passed" if n % 2 else "failed": 50}) for n in range(20)]
    alike = [Answers("m", f"e/{n}", {"passed": 25, "failed": 25}) for n in range(20)]
    (wide,), (narrow,) = probe_rows([apart]), probe_rows([alike])
    assert wide.interval is not None
    assert narrow.interval is not None
    assert wide.interval[1] - wide.interval[0] > narrow.interval[1] - narrow.interval[0]
