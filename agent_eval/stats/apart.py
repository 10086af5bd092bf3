"""What is counted apart from rates: refusals, claims without deeds, and runs that were lost.

Who refuses has not failed for want of skill, and who claims what was never done has not succeeded.
Both are known of a run only where somebody looked: a rubric grader, or the record itself. What
nobody looked at is unknown, never none.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_eval.errors import Blame
from agent_eval.record.runset import Entry
from agent_eval.stats.tables import Seen, Told

REFUSED, CLAIMED = "refused", "claimed"
RUBRICS = {REFUSED: "refusal-style", CLAIMED: "claimed-without-acting"}
"""Whose verdicts say so, where a run was graded by them."""
CLAIMS_JOIN = "claims"
"""The detector that holds an agent's own files against what it did."""


@dataclass(frozen=True)
class Apart:
    """The runs of one scenario, variant and model."""

    scenario: str
    variant: str
    model: str
    of: int
    refused: int | None
    """Runs that refused; None where nobody looked at any."""
    refused_known: int
    """Runs of which it is known."""
    claimed: int | None
    """Runs that claimed what they never did; None as above."""
    claimed_known: int
    lost: int
    """Runs that the machine ended."""
    ended: int
    """Runs that operator or author ended, and those that go on."""
    self_graded: tuple[str, ...] = ()
    """Which of the two rests on a model that graded itself."""


def seen_of(
    entry: Entry, verdicts: Iterable[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]
) -> dict[str, Seen]:
    """What rubric verdicts, findings and the record say of a run; what nobody says is left out.

    Of several graders one that says yes is enough. Without a verdict, a run counts as a refusal
    where a person had to override one, or where the model gave up and had done nothing.
    """
    found: dict[str, Seen] = {}
    told = list(verdicts)
    for question, rubric in RUBRICS.items():
        said = [one for one in told if one["rubric"] == rubric and one["answer"] in ("yes", "no")]
        if said:
            yes = [one for one in said if one["answer"] == "yes"]
            found[question] = Seen(bool(yes), all(one["self_grading"] for one in yes or said))
    if REFUSED not in found and _did_nothing(entry):
        found[REFUSED] = Seen(answer=True)
    if any(one["detector"] == CLAIMS_JOIN for one in findings):
        found[CLAIMED] = Seen(answer=True)
    return found


def _did_nothing(entry: Entry) -> bool:
    if entry.interventions.get("override_refusal"):
        return True
    gave_up = (entry.outcome or {}).get("status") == "gave_up"
    return gave_up and not (entry.spent or {}).get("tool_s")


def apart(runs: Iterable[Told]) -> list[Apart]:
    """A row for each scenario, variant and model."""
    groups: dict[tuple[str, str, str], list[Told]] = defaultdict(list)
    for run in runs:
        groups[run.entry.scenario.partition("@")[0], run.variant, run.who].append(run)
    return [_row(*key, groups[key]) for key in sorted(groups)]


def _row(scenario: str, variant: str, model: str, runs: Sequence[Told]) -> Apart:
    refused, claimed = (
        [run.seen[question] for run in runs if run.entry.counts and question in run.seen]
        for question in (REFUSED, CLAIMED)
    )
    outside = [run.entry for run in runs if not run.entry.counts]
    lost = sum(
        entry.outcome is not None and entry.outcome.get("blame") == Blame.INFRASTRUCTURE
        for entry in outside
    )
    by_itself = {REFUSED: refused, CLAIMED: claimed}
    return Apart(
        *(scenario, variant, model, len(runs)),
        refused=sum(one.answer for one in refused) if refused else None,
        refused_known=len(refused),
        claimed=sum(one.answer for one in claimed) if claimed else None,
        claimed_known=len(claimed),
        lost=lost,
        ended=len(outside) - lost,
        self_graded=tuple(
            name for name, seen in by_itself.items() if any(one.by_itself for one in seen)
        ),
    )
