"""`agent-eval stats`: rates with intervals over the runs in a folder."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from agent_eval.basics.display import printable
from agent_eval.cli import how_called
from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.graders.calibration import gate_lines
from agent_eval.rubrics.written import verdicts_by_rubric
from agent_eval.show.rubrics import SELF
from agent_eval.show.told import gated_in, models_runs, told_in
from agent_eval.stats.answers import ProbeRow, probe_rows, probes_in
from agent_eval.stats.apart import CLAIMED, REFUSED, Apart, apart
from agent_eval.stats.clusters import SHOWN_CLUSTERS
from agent_eval.stats.goal_rates import GoalRate, goal_rates
from agent_eval.stats.intervals import SHOWN_RATES, SHOWN_RUNS
from agent_eval.stats.milestones import Reached, Way, milestone_rows, ways
from agent_eval.stats.plots import Bar, draw_rates
from agent_eval.stats.success import false_at_k, without_grader_error
from agent_eval.stats.tables import SUCCESS, Row, Sum, Told, compared, rows, sums
from agent_eval.stats.written import as_csv, as_records

TABLES: dict[str, type[Any]] = {
    "rows": Row,
    "sums": Sum,
    "apart": Apart,
    "milestones": Reached,
    "ways": Way,
    "probes": ProbeRow,
    "goals": GoalRate,
}
"""What there is to print, by name."""


@click.command("stats")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("--k", "ks", multiple=True, type=click.IntRange(1), help="Also pass@K; repeatable.")
@click.option("--axis", "axes", multiple=True, help="Only these axes; repeatable.")
@click.option("--compare", nargs=2, metavar="MODEL MODEL", help="Whether one of two is better.")
@click.option(
    "--false-positives",
    type=click.FloatRange(0, 1),
    help="How often the graders say yes by mistake; says what that alone makes of pass@K.",
)
@click.option(
    "--false-negatives",
    type=click.FloatRange(0, 1),
    help="How often they say no by mistake; with both, rates are also printed without their error.",
)
@click.option(
    "--goal",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Rates of goals, YAML: NAME: {and: [SCENARIO, {or: [...]}]}; or is the best of its parts, "
    "and their geometric mean. docs/examples/goals.yaml is one.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw all rates with their intervals, as .svg or .png.",
)
@click.option("--form", type=click.Choice(("text", "json", "csv")), default="text")
@click.option(
    "--table",
    type=click.Choice(tuple(TABLES)),
    default="rows",
    help="Which one as CSV; text and JSON have all of them.",
)
def command(
    folder: Path,
    ks: tuple[int, ...],
    axes: tuple[str, ...],
    compare: tuple[str, str] | None,
    false_positives: float | None,
    false_negatives: float | None,
    goal: Path | None,
    plot: Path | None,
    form: str,
    table: str,
) -> None:
    """Rates over the runs in FOLDER: by scenario, variant and model, and over all scenarios.

    Axes are success, the behaviours that graders look for (O1, R2, ...), and in a world whether a
    copy was proven and money made. A rate covers only runs that say something of the model; what
    machine, author or operator ended stands beside it. Refusals, and claims of what was never
    done, are counted apart, where a rubric grader (`agent-eval grade --rubric refusal-style
    --rubric claimed-without-acting`) or the record itself says so. Runs in which a person helped
    have rates of their own.
    """
    gated = gated_in(folder)
    probes = probes_in(gated.runs)
    told = told_in(gated, axes, _verdicts_on)
    runs = [run for run in told if run.entry.run not in probes]
    if not (runs or probes) and form == "text":
        click.echo(f"no run in {folder} says anything: `{how_called()} runs {folder}` lists them")
    rates = rows(runs, ks or (1,))
    steps = milestone_rows(runs)
    whole: dict[str, list[Any]] = {
        "rows": rates,
        "sums": sums(runs),
        "apart": apart(runs),
        "milestones": steps,
        "ways": ways(steps),
        "probes": probe_rows(probes.values(), ks or (1,)),
        "goals": goal_rates(goal, rates, ks or (1,)) if goal else [],
    }
    if plot is not None:
        bars = [*_bars(rates), *_probe_bars(whole["probes"])]
        draw_rates(plot, bars, "rate, with 95% intervals")
    if form == "csv":
        click.echo(as_csv(whole[table], TABLES[table]), nl=False)
    elif form == "json":
        click.echo(json.dumps({name: as_records(each) for name, each in whole.items()}))
    else:
        lines = [*_lines(whole)]
        if false_positives is not None and false_negatives is not None:
            lines += _true_lines(rates, (false_positives, false_negatives), ks)
        lines += _error_lines(false_positives, ks)
        lines += gate_lines(gated.by_scenario, models_runs(runs))
        if compare:
            lines += _compared_lines(runs, compare, axes or (SUCCESS,))
        for line in lines:
            click.echo(printable(line))


def _verdicts_on(run: Path) -> list[dict[str, Any]]:
    """What rubric graders said of a run; whatever does not hold is as not there."""
    try:
        return verdicts_by_rubric(run)
    except (AgentEvalError, OSError):
        return []


def _lines(whole: Mapping[str, list[Any]]) -> Iterator[str]:
    yield from _row_lines(whole["rows"], whole["apart"])
    yield from _sum_lines(whole["sums"])
    yield from _milestone_lines(whole["milestones"])
    yield from _way_lines(whole["ways"])
    yield from _probe_lines(whole["probes"])
    yield from _goal_lines(whole["goals"])
    if _beyond_what_is_shown(whole):
        low, high = SHOWN_RATES
        yield (
            f"note        that intervals hold 95 times in 100 is shown for {SHOWN_RUNS} runs and "
            f"more, {SHOWN_CLUSTERS} scenarios or tasks and more, and rates from {low:.0%} to "
            f"{high:.0%}; some here lie outside, and may hold less often"
        )


def _beyond_what_is_shown(whole: Mapping[str, list[Any]]) -> bool:
    low, high = SHOWN_RATES
    return (
        any(row.scored < SHOWN_RUNS or not low <= row.rate <= high
            for row in whole["rows"] if row.rate is not None)
        or any(one.scenarios < SHOWN_CLUSTERS for one in whole["sums"] if one.interval)
        or any(one.tasks < SHOWN_CLUSTERS for one in whole["probes"] if one.interval)
    )  # fmt: skip


def _row_lines(table: list[Row], others: list[Apart]) -> Iterator[str]:
    counted = {(one.scenario, one.variant, one.model): one for one in others}
    before: tuple[str, ...] = ()
    for row in table:
        title = row.scenario + (f"@{row.variant}" if row.variant else "")
        if (title, row.model) != before:
            before = (title, row.model)
            yield f"{title} with {row.model}"
            yield _apart_line(counted[row.scenario, row.variant, row.model])
        beside = "".join(f", {count} by {blame}" for blame, count in sorted(row.beside.items()))
        rate = "no rate" if row.rate is None else _percent(row.rate, row.low, row.high)
        passes = "".join(
            f", pass@{k} {rate_k:.0%}" if rate_k is not None else f", pass@{k} needs {k} runs"
            for k, rate_k in row.pass_at.items()
            if k > 1
        )
        yield (
            f"  {row.axis:<8} {row.hits}/{row.scored} {rate}, {row.scored} of {row.of} scored"
            f"{beside}{passes}"
        )


def _apart_line(one: Apart) -> str:
    parts = []
    for name, words in ((REFUSED, "refused"), (CLAIMED, "claimed what it never did")):
        hits, known = getattr(one, name), getattr(one, f"{name}_known")
        said = f"{hits} of {known} graded" if known else "not graded"
        parts.append(f"{words}: {said}{SELF if name in one.self_graded else ''}")
    return f"  apart    {', '.join(parts)}; lost to the machine: {one.lost} of {one.of}"


def _sum_lines(over: list[Sum]) -> Iterator[str]:
    for one in over:
        if one.scenarios < 2:
            continue
        spread = "no interval: too few scenarios"
        if one.interval is not None:
            spread = f"{one.interval[0]:.0%} to {one.interval[1]:.0%}"
        yield (
            f"all {one.scenarios} scenarios with {one.model}: {one.axis} {one.rate:.0%} "
            f"({spread}), worst variants {one.worst:.0%}"
        )


def _milestone_lines(steps: list[Reached]) -> Iterator[str]:
    for one in steps:
        cost = "never seen" if one.bits is None else f"{one.bits:.0f} bits"
        title = f"{one.scenario}#{one.milestone} with {one.model}"
        if one.of:
            yield f"{title}: reached {one.hits}/{one.of}, {cost}, at most {one.at_most:.0%}"
        if one.expert_of:
            bits = "" if one.expert_bits is None else f", {one.expert_bits:.1f} bits"
            yield f"{title}, an expert picking: reached {one.expert_hits}/{one.expert_of}{bits}"


def _way_lines(found: list[Way]) -> Iterator[str]:
    for one in found:
        bits = "unknown: one was never reached" if one.bits is None else f"{one.bits:.1f} bits"
        yield f"{one.scenario} with {one.model}, all {one.milestones} milestones: {bits}"


def _probe_lines(answers: list[ProbeRow]) -> Iterator[str]:
    for row in answers:
        yield f"{row.probe} with {row.model}: {row.tasks} tasks, {row.answers} answers"
        spread = "no interval: too few tasks"
        if row.interval is not None:
            spread = f"{row.interval[0]:.0%} to {row.interval[1]:.0%}"
        passes = "".join(
            f", pass@{k} {rate:.0%}" if rate is not None else f", pass@{k} needs {k} answers"
            for k, rate in row.pass_at.items()
            if k > 1
        )
        rate = "no rate" if row.rate is None else f"passed {row.rate:.0%} ({spread})"
        beside = "".join(f", {count} {what}" for what, count in row.beside.items())
        yield f"  {rate}{passes}{beside}"


def _error_lines(false_positives: float | None, ks: tuple[int, ...]) -> Iterator[str]:
    if false_positives is None:
        return
    for k in ks or (1,):
        alone = false_at_k(false_positives, k)
        yield (
            f"graders that take {false_positives:.1%} of failures for successes show pass@{k} "
            f"{alone:.0%} where nothing ever succeeds"
        )


def _compared_lines(
    runs: list[Told], models: tuple[str, str], axes: tuple[str, ...]
) -> Iterator[str]:
    first, second = models
    for axis in axes:
        found = compared(runs, first, second, axis)
        if found is None:
            raise OperatorError(f"{first} and {second} share no scenario with a rate of {axis}")
        how = "exact" if found.exact else "drawn"
        yield (
            f"{first} less {second}: {axis} {found.difference:+.0%} over {found.shared} scenarios "
            f"both ran, p = {found.p:.3g} (sign flips, {how})"
        )
        if found.left_out:
            yield f"  left out, as only one has them: {', '.join(found.left_out)}"


def _true_lines(
    table: list[Row], errors: tuple[float, float], ks: tuple[int, ...]
) -> Iterator[str]:
    """Successes without the graders' errors, carried into pass@k by `1 - (1 - p)^k`."""
    for row in table:
        if row.axis != SUCCESS or row.rate is None:
            continue
        try:
            true = without_grader_error(row.rate, *errors)
        except ValueError as error:
            raise OperatorError(f"--false-positives, --false-negatives: {error}") from error
        passes = "".join(f", pass@{k} {1 - (1 - true) ** k:.0%}" for k in ks if k > 1)
        title = row.scenario + (f"@{row.variant}" if row.variant else "")
        yield f"{title} with {row.model}, without the graders' errors: {true:.0%}{passes}"


def _goal_lines(reached: list[GoalRate]) -> Iterator[str]:
    for one in reached:
        yield f"goal {one.goal} with {one.model}: pass@{one.k} {one.rate:.0%}"


def _bars(table: list[Row]) -> list[Bar]:
    return [
        Bar(
            f"{row.scenario}{'@' if row.variant else ''}{row.variant} {row.axis}, {row.model}",
            row.rate,
            row.low,
            row.high,
        )
        for row in table
        if row.rate is not None
    ]


def _probe_bars(answers: list[ProbeRow]) -> list[Bar]:
    return [
        Bar(f"{row.probe}, {row.model}", row.rate, *(row.interval or (row.rate, row.rate)))
        for row in answers
        if row.rate is not None
    ]


def _percent(rate: float, low: float, high: float) -> str:
    return f"= {rate:.0%} ({low:.0%} to {high:.0%})"
