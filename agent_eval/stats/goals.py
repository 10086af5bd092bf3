"""What a goal's rate is, where it needs all of its parts, or any one of them.

    or:  the best of the parts          and: their geometric mean

Source: RepliBench (arXiv 2504.18565), aggregation of its tree of capabilities.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from agent_eval.errors import OperatorError
from agent_eval.stats.success import geometric_mean

MAX_DEPTH = 20


def rate_of(goal: object, rates: Mapping[str, float], depth: int = 0) -> float:
    """The rate of a goal: the name of a measured rate, or one of `{or: [...]}`, `{and: [...]}`.

    Raises `OperatorError` for a name that was not measured and for anything else that is no goal.
    """
    if isinstance(goal, str):
        if goal not in rates:
            raise OperatorError(f"nothing measured is called {goal!r}; there is {_some(rates)}")
        return rates[goal]
    parts = _parts(goal, depth)
    below = [rate_of(part, rates, depth + 1) for part in parts]
    return max(below) if isinstance(goal, dict) and "or" in goal else geometric_mean(below)


def leaves_of(goal: object, depth: int = 0) -> Iterator[str]:
    """The names of all rates that a goal is made of."""
    if isinstance(goal, str):
        yield goal
        return
    for part in _parts(goal, depth):
        yield from leaves_of(part, depth + 1)


def _parts(goal: object, depth: int) -> list[Any]:
    shape = isinstance(goal, dict) and len(goal) == 1 and set(goal) <= {"or", "and"}
    parts = next(iter(goal.values())) if isinstance(goal, dict) and shape else None
    if not isinstance(parts, list) or not parts or depth > MAX_DEPTH:
        raise OperatorError(
            f"{str(goal)[:80]!r} is no goal: write the name of a rate, {{or: [...]}} or "
            f"{{and: [...]}}, at most {MAX_DEPTH} deep"
        )
    return parts


def _some(rates: Mapping[str, float]) -> str:
    names = sorted(rates)
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "") if names else "nothing"
