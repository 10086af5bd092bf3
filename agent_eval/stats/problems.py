"""Pass rates of many problems by many models, and which of them may be foretold.

Only the mean of logarithms follows the capability law, and only over problems that every model
solves at least once (GPT-4 Technical Report, section 3.2): others are left out, and named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scipy.special import digamma

from agent_eval.errors import OperatorError


@dataclass(frozen=True)
class Tries:
    """What one model did with one problem."""

    trials: int
    hits: int


Results = Mapping[str, Mapping[str, Tries]]
"""By model, then by problem."""


def log_pass_rate(tries: Tries) -> float:
    """An estimate of the logarithm of the pass rate: `-(H_n - H_c)`, H the harmonic numbers.

    Since `log p = -sum over j of (1-p)^j / j`, and `C(n-c, j) / C(n, j)` estimates `(1-p)^j`
    without bias up to j = n, its bias is the rest of that sum, below `(1-p)^(n+1) / (p (n+1))`.
    The logarithm of the observed rate would be biased by about `-(1-p) / (2np)`.
    """
    return float(digamma(tries.hits + 1) - digamma(tries.trials + 1))


def eligible(results: Results) -> tuple[list[str], dict[str, str]]:
    """The problems that every model solved at least once, and why each other one is left out."""
    every = sorted({problem for solved in results.values() for problem in solved})
    out: dict[str, str] = {}
    for problem in every:
        for model, solved in results.items():
            tries = solved.get(problem)
            if tries is None:
                out[problem] = f"{model} never tried it"
            elif not tries.hits:
                out[problem] = f"{model} never solved it in {tries.trials} trials"
            if problem in out:
                break
    return [problem for problem in every if problem not in out], out


def minus_mean_log(solved: Mapping[str, Tries], problems: Sequence[str]) -> float:
    """What the capability law is about: the mean over problems of the negative log pass rate."""
    if not problems:
        raise OperatorError(
            "no problem was solved at least once by every model, so there is nothing that this "
            "form is about. Give each model more trials, or easier problems"
        )
    return -sum(log_pass_rate(solved[problem]) for problem in problems) / len(problems)


def buckets(
    results: Results, small: Sequence[str], *, count: int, leave_hardest: int = 0
) -> list[list[str]]:
    """Problems by difficulty, easiest first, as equal in number as can be.

    Difficulty is the mean pass rate of the `small` models alone: were the large one's in it, the
    prediction would rest on what it predicts. The `leave_hardest` hardest are in none.
    """
    shared = set.intersection(*(set(results[model]) for model in small)) if small else set()

    def ease(problem: str) -> float:
        return sum(results[m][problem].hits / results[m][problem].trials for m in small)

    ranked = sorted(shared, key=lambda problem: (-ease(problem), problem))
    ranked = ranked[: len(ranked) - leave_hardest]
    edges = [round(len(ranked) * part / count) for part in range(count + 1)]
    return [ranked[low:high] for low, high in pairwise(edges)]
