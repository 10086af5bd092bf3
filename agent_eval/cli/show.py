"""`agent-eval show`: a run as a conversation, as JSON, or while it happens."""

import json
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from agent_eval.basics.display import printable
from agent_eval.cli import how_called
from agent_eval.errors import AgentEvalError
from agent_eval.graders.written import latest, read_findings
from agent_eval.record.reading import events_file, parse_line, read_summary
from agent_eval.record.transcript import SUMMARY, in_use
from agent_eval.review.rows import Counting
from agent_eval.rubrics.written import verdicts_by_rubric
from agent_eval.show.family_tree import FamilyTree
from agent_eval.show.findings import finding_lines, verdict_lines
from agent_eval.show.rubrics import rubric_lines
from agent_eval.show.seen import Seen
from agent_eval.show.show import lines_of
from agent_eval.show.sparks import Sparks
from agent_eval.show.truth import truth_lines

POLL_S = 0.2


@click.command("show")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One event a line, as JSON.")
@click.option("--follow", "-f", is_flag=True, help="Go on while the run goes on.")
@click.option("--full", is_flag=True, help="Leave nothing out.")
@click.option("--kind", multiple=True, help="Only events of this kind; may be given again.")
@click.option("--tree", is_flag=True, help="Only the tree of its agents.")
def command(
    run: Path, as_json: bool, follow: bool, full: bool, kind: tuple[str, ...], tree: bool
) -> None:
    """Read the folder RUN as a conversation; at its end, what was spent and the tree of agents.

    Text of models and sandboxes is shown with its control characters as escapes.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    seen, family, kinds = Seen(), FamilyTree(), set[str]()
    counting, sparks = Counting(), Sparks()
    for event in _events(run, follow):
        family.note(event)
        kinds.add(event["kind"])
        sparks.note(event, counting.points(event))
        if tree or (kind and event["kind"] not in kind):
            continue
        if as_json:
            # Of all characters that act on a terminal JSON leaves only this one as it is.
            click.echo(json.dumps(event).replace("\x7f", "\\u007f"))
            continue
        for line in (*seen.lines(event), *lines_of(event, run, full=full)):
            console.print(line)
    if kind and kinds.isdisjoint(kind):
        there = ", ".join(sorted(kinds)) or "none"
        click.echo(printable(f"agent-eval: no event is of that kind; there are {there}"), err=True)
    if not (tree or as_json or kind or follow):
        for said in (*_without_end(run, kinds), *_found(run), *sparks.lines()):
            console.print(printable(said))
    if tree or (family.has_copies and not as_json and not kind):
        console.print(f"copies: {family.summary()}")
        for line in family.lines():
            console.print(line)


def _without_end(run: Path, kinds: Collection[str]) -> Iterator[str]:
    """What to do about a record in which the run's end is not."""
    if "run.closed" in kinds:
        return
    if in_use(events_file(run)):
        yield f"the run goes on: `{how_called()} show --follow {run}` goes on with it"
    else:
        yield (
            f"the record has no end: `{how_called()} verify {run}` says whether it is whole, "
            f"`{how_called()} resume {run}` goes on with a run that was lost"
        )


def _found(run: Path) -> Iterator[str]:
    """What graders found in a run; each finding names the events at whose numbers to look."""
    try:
        truth = read_summary(run).get("ground_truth") if (run / SUMMARY).exists() else None
        proven = list(truth_lines(truth)) if truth else []
    except (AgentEvalError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        proven = [f"run.json has none that this program wrote: {error!r}"]
    if proven:
        yield "ground truth:"
        yield from (f"  {line}" for line in proven)
    try:
        file = latest(run)
        records = list(read_findings(file)) if file else []
    except (AgentEvalError, OSError) as error:
        yield f"findings: {error}"
        return
    if records:
        yield f"findings ({file.name if file else ''}):"
        found = finding_lines(one for one in records if one["kind"] == "finding")
        yield from (f"  {line}" for line in found)
        yield from (f"  {line}" for line in verdict_lines(records[-1]["verdicts"]))
    try:
        yield from rubric_lines(verdicts_by_rubric(run))
    except (AgentEvalError, OSError) as error:
        yield f"by rubric: {error}"


def _events(run: Path, follow: bool) -> Iterator[dict[str, Any]]:
    """Complete events; with `follow`, also those still to come, until the run is closed."""
    number, part, path = 0, b"", events_file(run)
    with path.open("rb") as file:
        while True:
            line = part + file.readline()
            if line.endswith(b"\n"):
                event, part = parse_line(line, number, path), b""
                number += 1
                yield event
                if event["kind"] == "run.closed":
                    return
            elif follow:
                part = line
                time.sleep(POLL_S)
            else:
                return
