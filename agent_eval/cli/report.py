"""`agent-eval report`: a folder of runs as one hands it to a review board."""

from pathlib import Path

import click

from agent_eval.basics.display import many
from agent_eval.report.gather import gathered
from agent_eval.report.written import form_of, write_report
from agent_eval.rubrics.written import verdicts_by_rubric


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("-o", "--output", "file", required=True, type=click.Path(dir_okay=False,
              path_type=Path), help="Where to: .html is one page, .md is Markdown.")  # fmt: skip
@click.option("--title", default="Runs of agent-eval", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Draws the unflagged runs to read.")
@click.option("--sample", default=5, show_default=True, type=click.IntRange(0),
              help="How many of them.")  # fmt: skip
def command(folder: Path, file: Path, title: str, seed: int, sample: int) -> None:
    """Write what the runs in FOLDER say, for people who were not there.

    The question, the set-up, rates with intervals, drills, ground truth, findings with the events
    they rest on, findings that nobody has judged, unflagged runs to read, controls, coverage and
    limits:

        agent-eval report runs -o report.html
    """
    form_of(file)
    report = gathered(folder, title, seed=seed, sample=sample, verdicts_of=verdicts_by_rubric)
    write_report(report, file)
    quoted, unjudged = many(len(report.findings), "finding"), len(report.unjudged)
    told = f"{quoted} quoted, {unjudged} for a person to judge"
    click.echo(f"{file}: {many(sum(count for _, count in report.models), 'run')}, {told}")
