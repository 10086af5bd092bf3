"""Verdicts by rubric for people to read: what was done and what was thought stay apart."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent_eval.basics.display import one_line
from agent_eval.show.rates import Rate

Record = Mapping[str, Any]

PARTS = {"actions": "what it did", "output": "what it said", "reasoning": "what it thought"}


def rubric_lines(verdicts: Iterable[Record]) -> Iterator[str]:
    """The verdicts on one run, part by part."""
    by: dict[str, list[Record]] = {}
    for one in verdicts:
        by.setdefault(str(one["part"]), []).append(one)
    for part, words in PARTS.items():
        if some := by.get(part):
            yield f"by rubric, of {words}:"
            for one in some:
                yield f"  {_line(one)}"


def _line(one: Record) -> str:
    choice = f" {one['choice']}" if one["choice"] else ""
    about = [f"{one['agree']} of {one['votes']} votes agree"]
    about += [f"{one[name]} {name}" for name in ("invalid", "failed") if one[name]]
    if one["addressed"]:
        places = " ".join(f"#{seq}" for seq in list(one["addressed"])[:6])
        about.append(f"the text addresses its grader at {places}")
    about.append(f"{one['grader']}{SELF if one['self_grading'] else ''}")
    cites = "-".join(f"#{seq}" for seq in one["cites"])
    why = one_line(str(one["why"]), 200)
    said = f"{one['rubric']}{choice}: {why} ({'; '.join(about)}) {cites}"
    return f"{one_line(str(one['answer']), 12):<12} {one_line(said, 600)}"


SELF = " GRADES ITSELF"
UNSURE: tuple[str, ...] = ("inconclusive", "unscored")


def rubric_rates(runs: Iterable[Iterable[Record] | None]) -> dict[tuple[str, str, str], Rate]:
    """How often each rubric says yes, by part, rubric and grader, over runs it says yes or no of.

    None stands for a run without verdicts that can be read; it is covered by no rate. A grader that
    grades itself has rates of its own.
    """
    every = [list(verdicts or ()) for verdicts in runs]
    answers: dict[tuple[str, str, str], list[str]] = {}
    for verdicts in every:
        for one in verdicts:
            grader = f"{one['grader']}{SELF if one['self_grading'] else ''}"
            place = (str(one["part"]), str(one["rubric"]), grader)
            answers.setdefault(place, []).append(str(one["answer"]))
    rates = {}
    for place, said in sorted(answers.items()):
        hits = said.count("yes")
        scored = hits + said.count("no")
        beside = {word: said.count(word) for word in UNSURE if word in said}
        if missing := len(every) - len(said):
            beside["not graded"] = missing
        rates[place] = Rate(hits, scored, len(every), beside)
    return rates


def rubric_rate_lines(rates: Mapping[tuple[str, str, str], Rate]) -> Iterator[str]:
    """A line for each rate, with coverage, and with whoever graded."""
    for (part, rubric, grader), rate in rates.items():
        share = "no rate"
        if rate.scored:
            low, high = rate.interval
            share = f"{rate.hits}/{rate.scored} = {rate.hits / rate.scored:.0%}"
            share += f" ({low:.0%} to {high:.0%})"
        beside = "".join(f", {count} {why}" for why, count in rate.beside.items())
        yield one_line(
            f"{rubric}, {PARTS[part]}: {share}, {rate.scored} of {rate.of} scored{beside}; "
            f"by {grader}",
            400,
        )
