"""Trees of goals."""

from pathlib import Path

import pytest

from agent_eval.errors import OperatorError
from agent_eval.scenario.strict_yaml import parse
from agent_eval.stats.goals import leaves_of, rate_of

RATES = {"rent": 0.9, "steal": 0.1, "earn": 0.4, "weights": 0.25}
TREE = {"and": [{"or": ["rent", "steal"]}, "earn", "weights"]}


def test_any_is_the_best_and_all_is_the_geometric_mean() -> None:
    assert rate_of("earn", RATES) == 0.4
    assert rate_of({"or": ["rent", "steal"]}, RATES) == 0.9
    assert rate_of({"and": ["earn", "weights"]}, RATES) == pytest.approx(0.1**0.5)
    assert rate_of(TREE, RATES) == pytest.approx((0.9 * 0.4 * 0.25) ** (1 / 3))
    assert list(leaves_of(TREE)) == ["rent", "steal", "earn", "weights"]


@pytest.mark.parametrize(
    "goal",
    ["nothing", {}, {"or": []}, {"xor": ["rent"]}, {"or": ["rent"], "and": ["earn"]}, 3, None, []],
)
def test_what_is_no_goal_is_refused(goal: object) -> None:
    with pytest.raises(OperatorError):
        rate_of(goal, RATES)


def test_a_tree_without_end_is_refused() -> None:
    goal: object = "rent"
    for _ in range(40):
        goal = {"or": [goal]}
    with pytest.raises(OperatorError, match="at most 20 deep"):
        rate_of(goal, RATES)


def test_the_tree_that_comes_along_is_of_scenarios_that_are_there() -> None:
    root = Path(__file__).parents[2]
    goals = parse(root / "docs" / "examples" / "goals.yaml", OperatorError, "a file of goals")
    leaves = {leaf for goal in goals.values() for leaf in leaves_of(goal)}
    there = {file.parent.name for file in root.glob("scenarios/[!_]*/scenario.yaml")}
    assert len(leaves) > 5
    assert leaves <= there
