"""What of a run is graded: the words of its agents, in parts, as lines that cannot pose as others.

Only what agents read, thought, said and did is taken: never a finding, a label, a verdict, what the
scenario tells its graders, or another grader's score. A heading says who did what; every line of
theirs begins with `| `, and nothing in it can act on whoever reads it.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.basics.display import one_line, printable
from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import content_bytes, parse_line, read_events

LINE_CHARS = 1000
"""A longer line goes on in the next, after `|+`."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of a part."""

    seq: int
    """The event that it is from."""
    heading: str
    """Who did what."""
    text: str
    """With its mark before it."""


@dataclass
class Material:
    """What a grader can be shown of a run, by part."""

    opened: Event = field(default_factory=dict)
    events: int = 0
    prompt: list[Line] = field(default_factory=list)
    """The task."""
    parts: dict[str, list[Line]] = field(
        default_factory=lambda: {"actions": [], "reasoning": [], "output": []}
    )
    served: set[str] = field(default_factory=set)
    """The models that answered the agents, as their servers named them."""
    _begun: set[str] = field(default_factory=set)
    """Agents that have called their model."""

    def take(self, run: Path, event: Event) -> None:
        """One event, in order."""
        self.events = max(self.events, event["seq"] + 1)
        if event["kind"] == "run.opened" and not self.opened:
            self.opened = event
        if event["kind"] == "model.called":
            self._begun.add(event["agent"])
        if taken := _TAKEN.get(event["kind"]):
            taken(self, run, event)

    def say(self, event: Event, did: str, text: str | None, *parts: str) -> None:
        """Words that stand in these parts."""
        if not text:
            return
        heading = one_line(f"#{event['seq']} agent {event['agent']} {did}", 200)
        lines = list(_lines(event["seq"], heading, text))
        for part in parts:
            (self.prompt if part == "prompt" else self.parts[part]).extend(lines)

    def message(self, _run: Path, event: Event) -> None:
        """What an agent was told, or saw."""
        message, root = event["message"], event["agent"] == "0"
        if message["role"] == "system":
            return
        text = _text_of(message)
        if event["agent"] in self._begun:
            self.say(event, "sees", text, "actions")
        elif root:
            self.say(event, "is asked", text, "prompt")
        else:
            self.say(event, "is told by the agent that made it", text, "actions")

    def replied(self, _run: Path, event: Event) -> None:
        """What an agent's model thought, said, and asked to be done."""
        if event.get("model"):
            self.served.add(str(event["model"]))
        self.say(event, "thinks", event.get("reasoning"), "reasoning")
        self.spoken(event, event["message"], "")

    def spoken(self, event: Event, message: Event, where: str) -> None:
        """A model's message."""
        self.say(event, f"says{where}", _text_of(message), "actions", "output")
        for call in message.get("tool_calls") or ():
            done = call["function"]
            self.say(event, f"does{where}", f"{done['name']}:\n{_arguments(done)}", "actions")

    def submitted(self, _run: Path, event: Event) -> None:
        """An answer was handed in."""
        self.say(event, "hands in", event["answer"], "actions", "output")

    def self_hosted(self, run: Path, event: Event) -> None:
        """The model under test answered a program inside."""
        if event["served_by"] == "subject":
            where = f" through a program in {event['sandbox']}"
            self.spoken(event, json.loads(content_bytes(run, event["reply"])), where)

    def told(self, _run: Path, event: Event) -> None:
        """A person was told something."""
        said = f"tells {event['person']} by {event['channel']}"
        self.say(event, said, event["text"], "actions", "output")

    def said(self, _run: Path, event: Event) -> None:
        """A person said something."""
        self.say(event, f"is told by {event['person']}", event["text"], "actions")


_TAKEN: dict[str, Any] = {
    "message": Material.message,
    "model.replied": Material.replied,
    "submitted": Material.submitted,
    "lm.answered": Material.self_hosted,
    "people.told": Material.told,
    "people.said": Material.said,
}


def read_material(run: Path) -> Material:
    """Read a run; raises `TranscriptBroken` where it is none that this program wrote."""
    material = Material()
    try:
        for event in _placed(run):
            material.take(run, event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TranscriptBroken(f"{run} cannot be graded: {error!r}") from error
    return material


def _placed(run: Path) -> Iterator[Event]:
    """The events of a run; what a branch inherited is cited by the event that brought it."""
    for event in read_events(run):
        if event["kind"] == "run.branched":
            lines = content_bytes(run, event["inherited"]).splitlines(keepends=True)
            for number, line in enumerate(lines):
                yield parse_line(line, number) | {"seq": event["seq"]}
        yield event


def _text_of(message: Event) -> str:
    """The words of a message, whatever form its server has for them."""
    content = message.get("content")
    if isinstance(content, str) or content is None:
        return content or ""
    return json.dumps(content)


def _arguments(done: Event) -> str:
    """What an action was asked to do, readable where it is well-formed."""
    try:
        given = json.loads(done["arguments"])
    except ValueError:
        return str(done["arguments"])
    if isinstance(given, dict):
        told = [value if isinstance(value, str) else json.dumps(value) for value in given.values()]
        return "\n".join(told)
    return str(done["arguments"])


def _lines(seq: int, heading: str, text: str) -> Iterable[Line]:
    for line in text.split("\n"):
        shown = printable(line.removesuffix("\r"))
        yield Line(seq, heading, f"| {shown[:LINE_CHARS]}")
        for at in range(LINE_CHARS, len(shown), LINE_CHARS):
            yield Line(seq, heading, f"|+{shown[at : at + LINE_CHARS]}")
