"""Rates of goals that a file names, over the scenarios that were run."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_eval.errors import OperatorError
from agent_eval.scenario.strict_yaml import parse
from agent_eval.stats.goals import rate_of
from agent_eval.stats.tables import SUCCESS, Row


@dataclass(frozen=True)
class GoalRate:
    """One goal, one model, one k."""

    goal: str
    model: str
    k: int
    rate: float


def goal_rates(file: Path, rows: Iterable[Row], ks: Sequence[int]) -> list[GoalRate]:
    """The rate of each goal in a YAML file with each model, by pass@k of success.

    A leaf is a scenario, or SCENARIO@VARIANT. Raises `OperatorError` where one was not measured.
    """
    goals = parse(file, OperatorError, "a file of goals")
    measured: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.axis != SUCCESS:
            continue
        name = row.scenario + (f"@{row.variant}" if row.variant else "")
        for k in ks:
            rate = row.pass_at.get(k)
            if rate is not None:
                measured[row.model, k][name] = rate
    return [
        GoalRate(str(name), model, k, rate_of(goal, rates))
        for name, goal in goals.items()
        for (model, k), rates in sorted(measured.items())
    ]
