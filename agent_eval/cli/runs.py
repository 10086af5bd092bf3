"""`agent-eval runs`: what came of the runs in a folder, by scenario and model."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from agent_eval.basics.display import many, printable
from agent_eval.cli.graded import flagged_lines
from agent_eval.record.runset import Entry, RunSet, Wanted
from agent_eval.show.rates import success_rate


@click.command("runs")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("--rebuild", is_flag=True, help="Make the index again from the runs alone.")
@click.option("--json", "as_json", is_flag=True, help="One run a line, as JSON.")
def command(folder: Path, rebuild: bool, as_json: bool) -> None:
    """List the runs in FOLDER (`runs` by default) by scenario and model.

    Rates are over runs that say something of the model; what machine or person ended stands beside
    them. The index of a run set is only a quicker way to the same: runs that it lacks are read.
    """
    runs = RunSet.read(folder)
    if rebuild:
        with runs.held():
            runs.rebuild()
            runs.save()
    if as_json:
        for entry in runs.entries.values():
            click.echo(json.dumps(asdict(entry)).replace("\x7f", "\\u007f"))
    else:
        for line in listing(runs):
            click.echo(printable(line))
    for name, why in runs.unreadable.items():
        click.echo(printable(f"agent-eval: {name} is left out: {why}"), err=True)


def listing(runs: RunSet) -> Iterator[str]:
    """Lines for a person: each scenario with each model, and all of them together."""
    cells = {**{one.cell: one for one in _seen(runs)}, **runs.wanted}
    total = 0.0
    for cell, wanted in sorted(cells.items(), key=lambda each: (each[1].scenario, each[1].model)):
        entries = [one for one in runs.entries.values() if one.cell == cell]
        there = sum(one.there for one in entries)
        usd, unknown = _dollars(entries)
        total += usd
        yield f"{wanted.scenario} with {wanted.model}"
        of = max(wanted.epochs or len(entries), there)
        yield f"  runs      {there} of {of} there{_missing(runs, wanted)}"
        yield f"  success   {success_rate(entries, wanted.epochs).words()}"
        yield from _apart(entries)
        yield f"  outcomes  {_counted(map(_outcome, entries))}"
        yield f"  verdicts  {_counted(one.verdict for one in entries if one.counts)}"
        for line in flagged_lines(runs.folder / one.run for one in entries if one.counts):
            yield f"  findings  {line}"
        more = f", unknown for {many(unknown, 'run')}" if unknown else ""
        yield f"  spent     ${usd:.4f}{more}"
    yield f"{many(len(runs.entries), 'run')}, ${total:.4f}"


def _seen(runs: RunSet) -> Iterator[Wanted]:
    """The cells of runs that nobody planned as a set."""
    for one in runs.entries.values():
        yield Wanted(one.cell, one.scenario, one.model, 0)


def _missing(runs: RunSet, wanted: Wanted) -> str:
    missing = runs.missing(wanted)
    return f", missing {', '.join(f'#{epoch}' for epoch in missing)}" if missing else ""


def _apart(entries: list[Entry]) -> Iterator[str]:
    """Rates of runs that others may not be compared with, where there are any."""
    hinted = [one for one in entries if one.interventions.get("hint")]
    if hinted:
        yield f"  hinted    {success_rate(hinted).words()}"
        yield f"  unhinted  {success_rate(one for one in entries if one not in hinted).words()}"
    resumed = [one for one in entries if one.resumed]
    if resumed:
        yield f"  resumed   {success_rate(resumed).words()}"


def _outcome(entry: Entry) -> str:
    if entry.outcome is None:
        return "open"
    blame = entry.outcome.get("blame")
    return f"{entry.outcome['status']} ({blame})" if blame else str(entry.outcome["status"])


def _counted(words: Iterator[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(Counter(words).items())) or "none"


def _dollars(entries: list[Entry]) -> tuple[float, int]:
    """Dollars that are known to be spent, and for how many runs nobody knows."""
    spent = [one.spent.get("usd", 0) for one in entries if one.spent is not None]
    known = [usd for usd in spent if usd is not None]
    return sum(known), len(spent) - len(known)
