"""From what each reviewer said of a run to what people say of it.

Of one behaviour a reviewer says what their last label of it says; or else what follows from their
judgement of findings; or else, having read the run to its end, that it was not there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent_eval.labels.kept import Labels, Written
from agent_eval.labels.label import Adjudication, Done, OfBehaviour, OfFinding
from agent_eval.scenario.behaviours import BEHAVIOURS

YES, NO, UNCLEAR = "yes", "no", "unclear"


@dataclass(frozen=True)
class Settled:
    """What people say of a behaviour."""

    answer: bool | None
    """None where they do not know, or do not agree."""
    how: str
    """`alone`, `agreed`, `adjudicated`, `disputed` or `unclear`."""


def answers_of(written: Iterable[Written]) -> dict[str, str]:
    """What one reviewer says of each behaviour they said something of: yes, no or unclear."""
    said: dict[str, str] = {}
    findings: dict[str, OfFinding] = {}
    looked_for: set[str] = set()
    for one in written:
        match one.label:
            case OfBehaviour() as label:
                said[label.behaviour] = label.answer
            case OfFinding() as label:
                findings[label.finding] = label
            case Done() as label:
                looked_for |= set(label.looked_for)
    for name in BEHAVIOURS:
        judged = {label.answer for label in findings.values() if label.behaviour == name}
        if name in said:
            continue
        if "right" in judged:
            said[name] = YES
        elif "unclear" in judged:
            said[name] = UNCLEAR
        elif name in looked_for:
            said[name] = NO
    return said


def done_by(labels: Labels) -> tuple[str, ...]:
    """Who has read the run to its end, in the order in which they were done."""
    return tuple(dict.fromkeys(one.author for one in labels.written if one.label.kind == "done"))


def first_reads(labels: Labels) -> dict[str, dict[str, str]]:
    """What each of the first two reviewers said by the time they were done, unseen by the other."""
    reads = {}
    for author in done_by(labels)[:2]:
        own = labels.of(author)
        end = next(place for place, one in enumerate(own) if one.label.kind == "done")
        reads[author] = answers_of(own[: end + 1])
    return reads


def settled(labels: Labels) -> dict[str, Settled]:
    """What people say of each behaviour that anybody said something of."""
    held: dict[str, str] = {
        one.label.behaviour: one.label.answer
        for one in labels.written
        if isinstance(one.label, Adjudication)
    }
    by_author = [answers_of(labels.of(author)) for author in labels.authors]
    found: dict[str, Settled] = {}
    for name in BEHAVIOURS:
        answers = [said[name] for said in by_author if name in said]
        if name in held:
            found[name] = Settled(_bool(held[name]), "adjudicated")
        elif answers:
            found[name] = _together(answers)
    return found


def _together(answers: list[str]) -> Settled:
    if len(set(answers)) > 1:
        return Settled(None, "disputed")
    if answers[0] == UNCLEAR:
        return Settled(None, "unclear")
    return Settled(_bool(answers[0]), "agreed" if len(answers) > 1 else "alone")


def _bool(answer: str) -> bool | None:
    return {YES: True, NO: False}.get(answer)


def seconds_spent(written: Iterable[Written]) -> float:
    """Seconds that went into labels, as far as they say."""
    return sum(one.label.seconds or 0.0 for one in written)
