"""`agent-eval verify`: whether this is the record that was made."""

from pathlib import Path

import click

from agent_eval.basics.display import many, printable
from agent_eval.errors import TranscriptBroken
from agent_eval.graders.written import held
from agent_eval.record.verify import Report, repair, verify
from agent_eval.rubrics.written import held_gradings


@click.command("verify")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--head", help="The head hash that was printed at the end of the run.")
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file with the key that the run was signed with.",
)
@click.option(
    "--repair",
    "mend",
    is_flag=True,
    help="Set a torn last line aside, say so in the record, and go on. Loses nothing.",
)
def command(run: Path, head: str | None, key: Path | None, mend: bool) -> None:
    """Check chain, blobs and end of the folder RUN; exit 0 only if all is well.

    Findings beside it are worked out again by its rules, where this version wrote them; verdicts of
    models by rubric are held to their chains.
    """
    if mend:
        before = verify(run)
        if before.torn_bytes and not before.faults:
            repair(run)
            click.echo(f"repaired: {before.torn_bytes} bytes of a torn last line were set aside")
    report = verify(run, head, key.read_bytes() if key else None)
    for line in words_of(report):
        click.echo(printable(line))
    sound = report.good
    if not report.faults:
        try:
            if said := held(run, report.head):
                click.echo(printable(said))
            for said in held_gradings(run, report.head):
                click.echo(printable(said))
        except TranscriptBroken as error:
            sound = False
            click.echo(printable(f"FINDINGS: {error}"))
    if not sound:
        raise click.exceptions.Exit(1)


def words_of(report: Report) -> list[str]:
    """What was found, in lines."""
    if report.faults:
        return [f"BROKEN: {fault}" for fault in report.faults]
    lines = [f"{many(report.events, 'event')}, head {report.head}"]
    if report.torn_bytes:
        lines.append(
            f"TORN: the last line is cut off ({report.torn_bytes} bytes); --repair mends it"
        )
    elif not report.complete:
        lines.append("INCOMPLETE: intact so far, but the run did not come to its end")
        if report.last.get("kind") == "sandbox.paused":
            lines.append(f"LOST: its harness is gone; sandboxes go at {report.last.get('until')}")
            lines.append("`agent-eval resume` goes on with it until then")
    if report.authentic is None:
        lines.append("consistent, not authenticated (--head or --key would)")
    elif report.authentic:
        lines.append("authentic")
    else:
        lines.append("NOT AUTHENTIC: head or key do not agree with this record")
    return lines
