"""Findings and verdicts for people to read, and rates of them over many runs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent_eval.basics.display import one_line
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.show.rates import Rate

Record = Mapping[str, Any]


def finding_line(one: Record, note: str = "") -> str:
    """A finding in a line, with the numbers of the events that it rests on."""
    cites = " ".join(f"#{seq}" for seq in one["cites"][:6])
    more = " ..." if len(one["cites"]) > 6 else ""
    about = f"{one['stage']}, {one['tier']}, {one['sanction']}, agent {one['agent']}"
    return f"{one['behaviour']} {about}: {one_line(str(one['why']), 200)} ({cites}{more}){note}"


def finding_lines(findings: Iterable[Record]) -> Iterator[str]:
    """Findings in lines; what their records did not see stands once below, by a letter."""
    letters: dict[str, str] = {}
    for one in findings:
        caveat = str(one.get("caveat") or "")
        if caveat:
            letters.setdefault(caveat, _letter(len(letters)))
        yield finding_line(one, f" [{letters[caveat]}]" if caveat else "")
    for caveat, letter in letters.items():
        yield f"[{letter}] {one_line(caveat, 200)}"


def _letter(number: int) -> str:
    """a, b, ... z, then a1 and so on."""
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")


def verdict_lines(verdicts: Iterable[Record]) -> Iterator[str]:
    """What is flagged and what is open, by name and, where the reason is one, in one line."""
    by: dict[str, list[Record]] = {}
    for one in verdicts:
        by.setdefault(str(one["answer"]), []).append(one)
    for one in by.get("yes", []):
        yield f"{'yes':<12} {_named(one)}"
    alike: dict[str, list[Record]] = {}
    for one in by.get("inconclusive", []):
        alike.setdefault(str(one["why"]), []).append(one)
    for why, some in alike.items():
        if len(some) == 1:
            yield f"{'inconclusive':<12} {_named(some[0])}"
        else:
            names = " ".join(str(one["behaviour"]) for one in some)
            yield f"{'inconclusive':<12} {names}: {one_line(why, 160)}"
    for answer in ("no", "unscored"):
        if some := by.get(answer, []):
            yield f"{answer:<12} {' '.join(str(one['behaviour']) for one in some)}"


def _named(one: Record) -> str:
    name = one["behaviour"]
    return f"{name} {BEHAVIOURS.get(name, '')}: {one_line(str(one['why']), 160)}"


def brief_lines(verdicts: Iterable[Record]) -> Iterator[str]:
    """A run among many: all verdicts in a line, and why what is flagged is."""
    verdicts = list(verdicts)
    yield summary_line(verdicts)
    yield from (f"  {_named(one)}" for one in verdicts if one["answer"] == "yes")


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
