"""`agent-eval grade`: what happened in finished runs, worked out from their transcripts alone."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from agent_eval.basics.display import one_line, printable
from agent_eval.cli.judging import Asked, Judging, judging, with_options
from agent_eval.graders.catalogue import all_rules, catalogue_lines
from agent_eval.graders.process_events import matched
from agent_eval.graders.written import Graded, grade_run, read_findings
from agent_eval.rubrics.written import verdicts_by_rubric
from agent_eval.show.findings import (
    behaviour_rates,
    brief_lines,
    finding_lines,
    rate_lines,
    verdict_lines,
)
from agent_eval.show.rubrics import rubric_rate_lines, rubric_rates


@click.command("grade")
@click.argument("runs", nargs=-1, metavar="[RUN...]",
                type=click.Path(exists=True, file_okay=False, path_type=Path))  # fmt: skip
@click.option("--rules", "folders", multiple=True, metavar="DIR",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Also match the Sigma rules in DIR; may be given again.")  # fmt: skip
@click.option("--unverified", is_flag=True,
              help="Grade a record that is not as it was written, too, and say so.")  # fmt: skip
@click.option("--process-events", "processes", metavar="FILE",
              type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Match the rules against process events, one JSON object a line.")  # fmt: skip
@click.option("--list", "listing", is_flag=True,
              help="Show which detectors there are of which behaviour, and end.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The lines of the findings, as JSON.")
@with_options
def command(
    runs: tuple[Path, ...],
    folders: tuple[Path, ...],
    unverified: bool,
    listing: bool,
    processes: Path | None,
    as_json: bool,
    **of_rubrics: Any,
) -> None:
    """Grade each RUN again and write what is found beside its transcript.

    Findings cite events by number: `agent-eval show RUN` has them at the start of its lines. With
    several runs each has a line with what was flagged and why, and rates by behaviour follow, over
    those that say yes or no of it.

    With --grader a model that is not under test grades as well, by rubric: what was done, what was
    said and what was thought apart, each by several votes. For instance

    agent-eval grade runs/NAME --rubric trace-hiding --grader openai/gpt-4o
    """
    if listing:
        for line in catalogue_lines(folders):
            click.echo(printable(line))
        return
    if processes is not None:
        for line in process_lines(processes, folders, as_json=as_json):
            click.echo(line if as_json else printable(line))
        return
    if not runs:
        raise click.UsageError("Missing argument 'RUN...': name a run's folder, or give --list")
    asked = Asked(unverified=unverified, **of_rubrics)
    judge = judging(asked, asked.catalogue())
    _by_rule(runs, folders, unverified=unverified, as_json=as_json)
    if judge:
        _by_rubric(judge, runs, as_json=as_json)


def _by_rule(
    runs: Sequence[Path], folders: tuple[Path, ...], *, unverified: bool, as_json: bool
) -> None:
    """Grade the runs by rule, and print findings, and rates of them over several runs."""
    verdicts = []
    for run in runs:
        graded = grade_run(run, folders, unverified=unverified)
        records = list(read_findings(graded.file))
        verdicts.append(records[-1]["verdicts"])
        if as_json:
            for record in records:
                click.echo(json.dumps(record))
            continue
        words = _among if len(runs) > 1 else words_of
        for line in words(run, graded, records):
            click.echo(printable(line))
    if len(runs) > 1 and not as_json:
        for line in (*rate_lines(behaviour_rates(verdicts)), EACH):
            click.echo(line)


EACH = "grade one RUN, or show it, for all of its findings and what they rest on"


def _among(run: Path, graded: Graded, records: list[dict[str, Any]]) -> Iterator[str]:
    """A run among several: a line, what was flagged, and what its record did not see."""
    first, *rest = brief_lines(records[-1]["verdicts"])
    yield f"{run}: {first}"
    yield from rest
    if graded.grade.not_seen:
        yield f"    not seen: {one_line('; '.join(graded.grade.not_seen), 160)}"
    yield from (f"    refused: {each}" for each in graded.grade.rules_refused)


def _by_rubric(judge: Judging, runs: Sequence[Path], *, as_json: bool) -> None:
    """Have a model grade the runs, and print its verdicts, and rates of them over several runs."""
    for run in runs:
        lines = list(judge.lines(run))
        if as_json:
            for record in verdicts_by_rubric(run):
                click.echo(json.dumps(record))
            continue
        for line in (f"{run}", *(f"  {line}" for line in lines)):
            click.echo(printable(line))
    if len(runs) > 1 and not as_json:
        for line in rubric_rate_lines(rubric_rates(map(verdicts_by_rubric, runs))):
            click.echo(printable(line))


def process_lines(file: Path, folders: tuple[Path, ...], *, as_json: bool) -> Iterator[str]:
    """What the rules say of process events from elsewhere, in lines."""
    refused: list[str] = []
    events = hits = 0
    for one in matched(file, all_rules(folders, refused)):
        events, hits = events + 1, hits + bool(one.rules)
        if as_json:
            yield json.dumps(one.record())
        elif one.rules:
            named = ", ".join(f"{rule.behaviour} {rule.id} {rule.tier}" for rule in one.rules)
            yield f"{file}:{one.line}: {named}: {one_line(one.fields['CommandLine'], 160)}"
    if not as_json:
        yield from (f"refused: {each}" for each in refused)
        yield f"{hits} of {events} events matched"


def words_of(run: Path, graded: Graded, records: list[dict[str, Any]]) -> Iterable[str]:
    """What was found in a run, in lines."""
    yield f"{run}"
    for line in finding_lines(one for one in records if one["kind"] == "finding"):
        yield f"  {line}"
    for line in verdict_lines(records[-1]["verdicts"]):
        yield f"  {line}"
    beside = [
        (graded.grade.more, "more that repeat these"),
        (graded.grade.dropped, "dropped, for what they cite is not there"),
        (graded.grade.rules_aside, "rules about what is not on record here"),
    ]
    yield from (f"  refused: {each}" for each in graded.grade.rules_refused)
    for count, what in beside:
        if count:
            yield f"  {count} {what}"
    yield f"  {graded.file} (head {graded.head})"
