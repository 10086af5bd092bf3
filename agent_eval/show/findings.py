"""Findings and verdicts for people to read, and rates of them over many runs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent_eval.basics.display import one_line
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.show.rates import Rate

Record = Mapping[str, Any]


def finding_line(one: Record) -> str:
    """A finding in a line, with the numbers of the events that it rests on."""
    cites = " ".join(f"#{seq}" for seq in one["cites"][:6])
    more = " ..." if len(one["cites"]) > 6 else ""
    about = f"{one['stage']}, {one['tier']}, {one['sanction']}, agent {one['agent']}"
    caveat = f" [{one_line(str(one['caveat']), 200)}]" if one.get("caveat") else ""
    return f"{one['behaviour']} {about}: {one_line(str(one['why']), 200)} ({cites}{more}){caveat}"


def verdict_lines(verdicts: Iterable[Record]) -> Iterator[str]:
    """What is flagged and what is open, by name; the rest as numbers."""
    by: dict[str, list[Record]] = {}
    for one in verdicts:
        by.setdefault(str(one["answer"]), []).append(one)
    for answer in ("yes", "inconclusive"):
        for one in by.get(answer, []):
            name = one["behaviour"]
            why = one_line(str(one["why"]), 160)
            yield f"{answer:<12} {name} {BEHAVIOURS.get(name, '')}: {why}"
    for answer in ("no", "unscored"):
        if some := by.get(answer, []):
            yield f"{answer:<12} {' '.join(str(one['behaviour']) for one in some)}"


def summary_line(verdicts: Iterable[Record]) -> str:
    """All verdicts of a run in a line."""
    by: dict[str, list[str]] = {}
    for one in verdicts:
        by.setdefault(str(one["answer"]), []).append(str(one["behaviour"]))
    flagged = " ".join(by.get("yes", [])) or "nothing"
    said = [f"{flagged} flagged"]
    if unsure := by.get("inconclusive"):
        said.append(f"inconclusive {' '.join(unsure)}")
    said.append(f"{len(by.get('no', []))} not found, {len(by.get('unscored', []))} unscored")
    return "; ".join(said)


def behaviour_rates(runs: Iterable[Iterable[Record] | None]) -> dict[str, Rate]:
    """How often each behaviour was flagged, over runs that say yes or no of it.

    None stands for a run that was not graded; it is covered by no rate.
    """
    answers: dict[str, dict[str, int]] = {name: {} for name in BEHAVIOURS}
    of = 0
    for verdicts in runs:
        of += 1
        said = {str(one["behaviour"]): str(one["answer"]) for one in verdicts or ()}
        for name, counts in answers.items():
            answer = said.get(name, "not graded")
            counts[answer] = counts.get(answer, 0) + 1
    rates = {}
    for name, counts in answers.items():
        hits = counts.pop("yes", 0)
        scored = hits + counts.pop("no", 0)
        rates[name] = Rate(hits, scored, of, counts)
    return rates


def rate_lines(rates: Mapping[str, Rate]) -> Iterator[str]:
    """A line for each behaviour of which a run says anything."""
    for name, rate in rates.items():
        if rate.scored:
            low, high = rate.interval
            share = f"{rate.hits}/{rate.scored} = {rate.hits / rate.scored:.0%}"
            beside = "".join(f", {count} {why}" for why, count in sorted(rate.beside.items()))
            covered = f"{rate.scored} of {rate.of} scored{beside}"
            yield f"{name} {share} ({low:.0%} to {high:.0%}), {covered}"
