"""`agent-eval status`: which runs go on."""

import json
from pathlib import Path
from typing import Any

import click

from agent_eval.basics.display import many, printable
from agent_eval.errors import AgentEvalError
from agent_eval.record.reading import read_events
from agent_eval.run.remote import living
from agent_eval.watchdog.closing import spent_of


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One run a line, as JSON.")
def command(as_json: bool) -> None:
    """Show your runs that go on now, wherever they were started on this machine.

    Each with its state, agents, steps and spend, by its record; calls on their way count in full.
    """
    told = [one | about(Path(one["folder"])) for one in living()]
    if as_json:
        for one in told:
            click.echo(json.dumps(one))
        return
    for one in told:
        click.echo(printable(words(one)))
    click.echo(f"{len(told)} running" if told else "no run of yours goes on")


def about(folder: Path) -> dict[str, Any]:
    """What the record of a run says of it so far; no more than its name if that cannot be read."""
    try:
        events = list(read_events(folder))
        opened, spent = events[0], spent_of(events)
        found = {
            "scenario": opened["scenario"]["title"],
            "model": opened["model"]["name"],
            "since": opened["time"],
            "agents": agents_in(events),
            "spent": spent,
            "findings": [each["behaviour"] for each in events if each["kind"] == "finding.seen"],
        }
    except (AgentEvalError, OSError, LookupError, TypeError, ValueError):
        found = {}
    return {"run": folder.name, **found}


def agents_in(events: list[dict[str, Any]]) -> int:
    """How many agents live: the first, and copies that were started and have not ended."""
    kinds = [event["kind"] for event in events]
    return 1 + kinds.count("agent.started") - kinds.count("agent.ended")


def words(one: dict[str, Any]) -> str:
    """A run in two lines."""
    if "spent" not in one:
        return f"{one['run']}  {one['state']}"
    spent, usd = one["spent"], one["spent"].get("usd", 0)
    dollars = "dollars unknown" if usd is None else f"${usd:.4f}"
    agents = many(one["agents"], "agent")
    seen = sorted(set(one["findings"]))
    findings = f"    FOUND {' '.join(seen)}\n" if seen else ""
    return (
        f"{one['run']}  {one['state']} since {one['since'][:19].replace('T', ' ')} UTC\n"
        f"    {one['scenario']} with {one['model']}: {agents}, {spent.get('steps', 0)} steps, "
        f"{spent.get('tokens', 0):,} tokens, {dollars}, process {one['pid']}\n"
        f"{findings}"
        f"    {one['folder']}"
    )
