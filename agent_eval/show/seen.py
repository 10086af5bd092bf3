"""What the kernel told of each action, in a few lines for a reader of the conversation."""

from collections import Counter
from typing import Any

from rich.text import Text

from agent_eval.basics.display import one_line, printable

SHOWN = 12
"""Different things of one action that are named; of more, their number."""


class Seen:
    """Gathers the facts of a run, event by event, until the end of an action is shown."""

    def __init__(self) -> None:
        self._things: dict[Any, Counter[str]] = {}

    def lines(self, event: dict[str, Any]) -> list[Text]:
        """What to print before this event, if anything."""
        if event.get("kind") != "action.ended":
            self._note(event)
            return []
        agent = event.get("agent")
        gathered = {key: things for key, things in self._things.items() if key[0] == agent}
        self._things = {key: each for key, each in self._things.items() if key not in gathered}
        return [
            _line(things, left_by=None if action == event.get("action") else action)
            for (_, action), things in gathered.items()
        ]

    def _note(self, event: dict[str, Any]) -> None:
        thing = _thing(event)
        if thing and isinstance(event.get("action"), int):
            key = event.get("agent"), event["action"]
            self._things.setdefault(key, Counter())[thing] += 1


def _thing(event: dict[str, Any]) -> str | None:
    """What is worth a reader's time: programs that ran, addresses that were tried."""
    kind = event.get("kind")
    if kind == "process.started":
        return str(event.get("program") or "a program whose name is not known").rpartition("/")[2]
    if kind == "net.connected":
        return f"connects to {event.get('address')}"
    return None


def _line(things: Counter[str], left_by: int | None) -> Text:
    named = [f"{thing} x{count}" if count > 1 else thing for thing, count in things.items()]
    more = f", and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    whose = "" if left_by is None else f" (left behind by action {left_by})"
    said = f"kernel{whose}: {', '.join(named[:SHOWN])}{more}"
    return Text("      " + printable(one_line(said, 500)), style="dim")
