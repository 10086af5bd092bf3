"""`agent-eval agreement`: how far graders and people agree."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from agent_eval.basics.display import many, one_line, printable
from agent_eval.labels.compared import GRADERS, LEAST_COVERAGE, REVIEWERS, Compared, Row, compared
from agent_eval.rubrics.written import verdicts_by_rubric
from agent_eval.stats.agreement import Agreement, Interval


@click.command("agreement")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("--coverage", "least", type=click.FloatRange(0, 1), default=LEAST_COVERAGE,
              show_default=True, metavar="SHARE",
              help="Give no rate where less of what people labelled is scored.")  # fmt: skip
@click.option("--behaviour", "only", multiple=True, help="Only these; repeatable. `all` is one.")
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def command(folder: Path, least: float, only: tuple[str, ...], as_json: bool) -> None:
    """Hold graders against what people say of the runs in FOLDER.

    For the graders' verdicts, each detector and two blind reviewers, by behaviour and over all:
    the 2x2 table, agreement, Cohen's kappa, Gwet's AC1 and how often people say yes, with intervals
    that draw whole scenarios, and what is found at 0.1, 1 and 5 % false alarms. What people say is
    a label, an adjudication where they differed.

        agent-eval agreement runs --behaviour all --behaviour O1
    """
    found = compared(folder, least, verdicts_by_rubric)
    rows = [row for row in found.rows if not only or row.behaviour in only]
    if as_json:
        click.echo(json.dumps(asdict(found) | {"rows": list(map(_record, rows))}))
        return
    for line in (*_heading(found), *(line for row in rows for line in _lines(row, least))):
        click.echo(printable(line))


def _record(row: Row) -> dict[str, object]:
    return asdict(row) | {"coverage": row.coverage}


def _heading(found: Compared) -> Iterator[str]:
    some, flagged = found.flagged
    rest = found.runs - flagged
    yield (
        f"{found.labelled} of {many(found.runs, 'run')} labelled: "
        f"{some} of {flagged} flagged ones, {found.labelled - some} of {rest} others"
    )
    if flagged and rest and some / flagged != (found.labelled - some) / rest:
        yield "  labelled in different parts, so prevalence and misses are not those of all runs"
    if found.unsettled:
        yield f"  {found.unsettled} matters on which people do not know, or differ: in no rate"
    for problem in found.problems:
        yield f"  {problem}"
    if not found.labelled:
        yield "  `agent-eval view FOLDER` is where people label"


def _lines(row: Row, least: float) -> Iterator[str]:
    beside = "the second" if row.rater == REVIEWERS else "people"
    name = {GRADERS: "graders", REVIEWERS: "one reviewer beside the other"}.get(
        row.rater, f"{'rubric' if ', by ' in row.rater else 'detector'} {one_line(row.rater, 120)}"
    )
    judged = ", ".join(f"{count} {what}" for what, count in sorted(row.judged.items()))
    yield f"{name}, {row.behaviour}: {row.scored} of {row.of} scored" + (
        f"; findings called {judged}" if judged else ""
    )
    if row.agreement is None:
        yield f"  no rate: {least:.0%} of what people labelled must be scored"
        return
    yield from _figures(row.agreement, beside)
    if row.points:
        of, others = row.points[0].of, row.points[0].others
        told = ", ".join(f"{one.found / of:.0%} at {one.rate:.1%}" for one in row.points)
        yield f"  found of {of}, by what share of {others} others it may flag: {told}"


def _figures(found: Agreement, beside: str) -> Iterator[str]:
    yield (
        f"  agreed {found.agreed:.0%}{_percents(found.agreed_interval)}, "
        f"kappa {_figure(found.kappa)}{_interval(found.kappa_interval)}, "
        f"AC1 {_figure(found.ac1)}{_interval(found.ac1_interval)}, "
        f"{beside} say yes {found.prevalence:.0%}"
    )
    yield (
        f"  both yes {found.both}, only this one {found.first}, only {beside} {found.second}, "
        f"both no {found.neither}"
    )


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _interval(interval: Interval | None) -> str:
    return " (no interval)" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"


def _percents(interval: Interval | None) -> str:
    return " (no interval)" if interval is None else f" ({interval[0]:.0%} to {interval[1]:.0%})"
