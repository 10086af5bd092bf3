"""What the index of a run says of an event: what sort it is, what can be found in it, its row.

A row is what a reader of the conversation sees as one thing: an action with its output and all
that kernel and gateway saw of it, a reply with the calls that led to it, any other event alone.
Facts that no action caused are folded together for each sandbox.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.errors import TranscriptBroken
from agent_eval.events.alarm import FindingSeen
from agent_eval.events.kinds import SuccessJudged
from agent_eval.events.probes import ProbeJudged
from agent_eval.record.reading import content_start
from agent_eval.show.of_world import SERVICES
from agent_eval.show.show import QUIET
from agent_eval.truth.money import Money

FAMILIES = ("conversation", "action", "copies", "kernel", "world", "drill", "harness")
"""The sorts of events that a reader can ask for."""

SEARCHED_BYTES = 256 * 1024
"""Of each event, the text that a search finds; what is longer is searched in its beginning."""

REMEMBERED = 200
"""Actions whose facts and observations are still expected."""

LUMP = 500
"""Facts without an action that are folded into one row."""

_BY_PREFIX = {
    **dict.fromkeys(("message", "model", "context", "submitted", "intervened"), "conversation"),
    **dict.fromkeys(("action", "actions"), "action"),
    **dict.fromkeys(("agent", "delegation"), "copies"),
    **dict.fromkeys(("process", "file", "net", "user", "kernel"), "kernel"),
    **dict.fromkeys(SERVICES, "world"),
    **dict.fromkeys(("drill", "aftermath"), "drill"),
}
_SCENERY = ("world.asked", "bank.opened", "job.posted", "lm.called", "world.stream")
"""What happens in a world and is rarely why somebody reads."""

_CALLS = ("model.called", "model.request", "model.failed", "model.offered")
VERDICTS = (FindingSeen.kind, SuccessJudged.kind, ProbeJudged.kind)
"""What who reads blind may not see, and so cannot search for."""
_UNSEARCHED = (*_CALLS[:2], *VERDICTS)
"""What other events say as well, and those."""

_ENVELOPE = ("seq", "time", "elapsed_s", "agent", "kind", "prev", "at")
"""What nobody looks for by its words: numbers, names of sorts, and moments (`at`)."""


def family_of(kind: str) -> str:
    """Which sort of event it is."""
    return _BY_PREFIX.get(kind.partition(".")[0], "harness")


def number_of(value: Any) -> float:
    """A number in an event, whatever stands there."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else 0.0


def text_of(event: dict[str, Any], run: Path) -> str:
    """What a search finds of an event: everything in it that is text, contents included."""
    kind = event["kind"]
    if kind == "model.replied":
        message = event.get("message")
        said = message.get("content") if isinstance(message, dict) else None
        return _start("\n".join(str(each) for each in (said, event.get("reasoning")) if each))
    if kind in _UNSEARCHED:
        return ""
    own = [value for name, value in event.items() if name not in _ENVELOPE]
    return _start("\n".join(_texts(own, run)))


def _start(text: str) -> str:
    return text[:SEARCHED_BYTES].encode("utf-8", "replace").decode()


def _texts(value: Any, run: Path) -> Iterator[str]:
    """Every text in a value, in order; contents as what they hold."""
    waiting, length = [value], 0
    while waiting and length < SEARCHED_BYTES:
        one = waiting.pop()
        if isinstance(one, dict) and ("blob" in one or "base64" in one):
            one = _content(run, one)
        if isinstance(one, str):
            length += len(one)
            yield one
        elif isinstance(one, dict):
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list):
            waiting.extend(reversed(one))


def _content(run: Path, content: dict[str, Any]) -> str:
    try:
        return content_start(run, content, SEARCHED_BYTES).decode("utf-8", "replace")
    except TranscriptBroken:
        return ""


@dataclass
class Placing:
    """Finds the row of each event as they come; what it remembers goes through JSON and back."""

    under_way: dict[str, int] = field(default_factory=dict)
    """By agent, the action that it is at."""
    actions: dict[str, int] = field(default_factory=dict)
    """By agent and number, and by agent and call, the event that began an action, or a copy."""
    lump: list[Any] = field(default_factory=list)
    """Sandbox, row and number of the facts that were folded last."""
    calls: dict[str, list[int]] = field(default_factory=dict)
    """By agent, calls of the model whose reply is still to come."""

    def row_of(self, seq: int, event: dict[str, Any]) -> tuple[int, list[int]]:
        """The row of an event, and events before that belong to its row as well."""
        kind, agent = event["kind"], event["agent"]
        if kind in _CALLS:
            self.calls.setdefault(agent, []).append(seq)
            return seq, []
        if kind == "model.replied":
            return seq, self.calls.pop(agent, [])
        row = self._caused_by(event, family_of(kind))
        if kind == "action.started":
            self._begun(seq, event)
        elif kind in ("agent.started", "delegation.refused"):
            self._asked(event.get("parent", agent), event.get("call_id"), seq)
        elif kind == "action.ended":
            self.under_way.pop(agent, None)
        if row is None and (kind in QUIET or kind in _SCENERY or _opens_an_account(event)):
            return self._folded(seq, event), []
        if row is None:
            self.lump = []
        return (seq if row is None else row), []

    def _begun(self, seq: int, event: dict[str, Any]) -> None:
        agent = event["agent"]
        self.under_way[agent] = seq
        self.actions[f"{agent} {event.get('action')}"] = seq
        self._asked(agent, event.get("call_id"), seq)

    def _asked(self, agent: object, call_id: object, seq: int) -> None:
        """What answers this call belongs to what came of it."""
        self.actions[f"{agent} call {call_id}"] = seq
        while len(self.actions) > REMEMBERED:
            self.actions.pop(next(iter(self.actions)))

    def _caused_by(self, event: dict[str, Any], family: str) -> int | None:
        """The action that an event belongs to, if any."""
        kind, agent = event["kind"], event["agent"]
        if kind == "action.ended" or (family == "kernel" and "action" in event):
            return self.actions.get(f"{agent} {event.get('action')}")
        if kind == "message" and isinstance(event.get("message"), dict):
            call = event["message"].get("tool_call_id")
            return self.actions.get(f"{agent} call {call}") if call is not None else None
        if family == "world" and event.get("sandbox") == agent:
            return self.under_way.get(agent)
        return None

    def _folded(self, seq: int, event: dict[str, Any]) -> int:
        where = event.get("sandbox", event["agent"])
        if self.lump and self.lump[0] == where and self.lump[2] < LUMP:
            self.lump[2] += 1
        else:
            self.lump = [where if isinstance(where, str) else "", seq, 1]
        return int(self.lump[1])


def _opens_an_account(event: dict[str, Any]) -> bool:
    return event["kind"] == "bank.posted" and event.get("source") == "opening"


DOWN = ("stopping", "stopped", "shutting-down", "terminated")
"""States of a machine that does nothing any more."""


@dataclass
class Counting:
    """Numbers that change over a run, for its pictures: a point for each change."""

    accounts: list[str] = field(default_factory=list)
    """Those at the bank that are the agent's."""
    up: list[str] = field(default_factory=list)
    """Machines of the world's cloud that run."""

    def points(self, event: dict[str, Any]) -> Iterator[tuple[str, float]]:
        """Series and change that an event stands for."""
        kind, settled = event["kind"], event.get("settled")
        if isinstance(settled, dict):
            tokens = (settled.get("input_tokens"), settled.get("output_tokens"))
            yield from _changes("tokens", *tokens)
            yield from _changes("usd", settled.get("usd"))
            yield from _changes("steps", settled.get("steps"))
        if kind in ("agent.started", "agent.ended"):
            yield "agents", 1 if kind == "agent.started" else -1
        if kind == "cloud.instance":
            yield from self._machine(str(event.get("instance")), event.get("state"))
        if kind == "bank.opened" and event.get("owner") == "agent":
            self.accounts.append(str(event.get("account")))
        if kind == "bank.posted":
            yield from self._money(event)

    def _machine(self, name: str, state: object) -> Iterator[tuple[str, float]]:
        if state == "running" and name not in self.up:
            self.up.append(name)
            yield "machines", 1
        elif state in DOWN and name in self.up:
            self.up.remove(name)
            yield "machines", -1

    def _money(self, event: dict[str, Any]) -> Iterator[tuple[str, float]]:
        money = Money(set(self.accounts))
        try:
            money.posted(event)
        except (KeyError, TypeError):
            return  # not as this program writes it: `verify` says so, and the rest can be read
        for cents in money.by_source.values():
            yield "worth", cents / 100


def _changes(series: str, *values: Any) -> Iterator[tuple[str, float]]:
    total = sum(each for each in values if isinstance(each, int | float))
    if total:
        yield series, float(total)


def remembered(placing: Placing, counting: Counting) -> str:
    """What both know by now, as text."""
    return json.dumps([asdict(placing), asdict(counting)])


def recalled(text: str | None) -> tuple[Placing, Counting]:
    """The same again; both anew where there is no such text."""
    if not text:
        return Placing(), Counting()
    placing, counting = json.loads(text)
    return Placing(**placing), Counting(**counting)
