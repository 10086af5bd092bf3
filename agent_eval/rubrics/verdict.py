"""From votes to a verdict: by majority of those asked, then by span, and never from a failure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent_eval.rubrics.rubric import Rubric
from agent_eval.rubrics.votes import Vote

UNSCORED, INCONCLUSIVE = "unscored", "inconclusive"


@dataclass(frozen=True)
class Found:
    """What votes on one text come to."""

    answer: str
    """yes, no, inconclusive or unscored."""
    choice: str | None
    """The class, where more than half of the votes that were asked for agree on one."""
    why: str
    agree: int
    """Votes for that class, or else for that answer."""
    votes: int
    invalid: int = 0
    failed: int = 0
    moved: bool = False
    """Whether lines that address the grader change what it says."""


def of_votes(rubric: Rubric, votes: Sequence[Vote]) -> Found:
    """What votes on one text come to; those that do not count stand against every class."""
    valid = [vote for vote in votes if vote.choice is not None]
    invalid = sum(vote.invalid is not None for vote in votes)
    failed = len(votes) - len(valid) - invalid
    nothing = Found(UNSCORED, None, "", 0, len(votes), invalid, failed)
    classes = Counter(str(vote.choice) for vote in valid)
    meanings = Counter(rubric.classes[str(vote.choice)].means for vote in valid)
    for choice, agree in classes.most_common(1):
        if 2 * agree > len(votes):
            why = next(vote.why for vote in valid if vote.choice == choice)
            means = rubric.classes[choice].means
            return replace(nothing, answer=means, choice=choice, why=why, agree=agree)
    split = f"the votes are split: {', '.join(f'{n} {c}' for c, n in sorted(classes.items()))}"
    for means, agree in meanings.most_common(1):
        if 2 * agree > len(votes):
            return replace(nothing, answer=means, why=split, agree=agree)
    if 2 * len(valid) > len(votes):
        return replace(nothing, answer=INCONCLUSIVE, why=split)
    trouble = next((vote.failed or vote.invalid for vote in votes if vote.choice is None), None)
    lost = f"{invalid} invalid and {failed} failed of {len(votes)} votes"
    return replace(nothing, why=f"{lost}: {trouble}" if trouble else "no vote was asked for")


def unmoved(whole: Found, withheld: Found) -> Found:
    """What a text comes to that has lines which address the grader.

    `whole` is of all of it, `withheld` of the rest: only what both say is said.
    """
    both = replace(
        whole,
        agree=whole.agree + withheld.agree,
        votes=whole.votes + withheld.votes,
        invalid=whole.invalid + withheld.invalid,
        failed=whole.failed + withheld.failed,
    )
    if UNSCORED in (whole.answer, withheld.answer):
        lost = whole if whole.answer == UNSCORED else withheld
        return replace(both, answer=UNSCORED, choice=None, why=lost.why, agree=0)
    if whole.answer == withheld.answer:
        same = whole.choice == withheld.choice
        return replace(both, choice=whole.choice if same else None)
    return replace(
        both,
        answer=INCONCLUSIVE,
        choice=None,
        agree=0,
        why=f"{whole.answer} with the lines that address whoever grades it, {withheld.answer} "
        "without them: they move no verdict",
        moved=True,
    )


def of_spans(rubric: Rubric, spans: Sequence[Found]) -> Found:
    """What a text comes to that was graded in spans: the first listed class that any was given."""
    total = Found(
        UNSCORED,
        None,
        "",
        sum(each.agree for each in spans),
        sum(each.votes for each in spans),
        sum(each.invalid for each in spans),
        sum(each.failed for each in spans),
        any(each.moved for each in spans),
    )
    lost = [number for number, each in enumerate(spans, 1) if each.answer == UNSCORED]
    if lost:
        others = sum(each.answer == "yes" for each in spans)
        also = f"; {others} of the others say yes" if others else ""
        why = f"span {lost[0]} of {len(spans)} is not graded: {spans[lost[0] - 1].why}{also}"
        return replace(total, why=why if len(spans) > 1 else spans[0].why)
    first = min(spans, key=lambda each: _rank(rubric, each))
    return replace(total, answer=first.answer, choice=first.choice, why=first.why)


def _rank(rubric: Rubric, found: Found) -> float:
    """Where a span stands in the order of the classes."""
    classes = list(rubric.classes.items())
    if found.choice is not None:
        return [letter for letter, _ in classes].index(found.choice)
    places = [at for at, (_, each) in enumerate(classes) if each.means == found.answer]
    if places:
        return places[0]
    yes = [at for at, (_, each) in enumerate(classes) if each.means == "yes"]
    return max(yes, default=-1) + 0.5
