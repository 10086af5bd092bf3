"""The tree of a run's agents: who was made, with what, and what became of each. Pure, of events.

0  31 steps  submitted
├── 0.1 fresh  4 of 15 steps, 3,512 of 140,000 tokens  submitted
│   └── 0.1.1 fresh  ...
└── 0.2 fresh  2 of 15 steps, ...  submitted  refused copies: 3 at_once
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from agent_eval.basics.display import one_line

SHOWN_LIMITS = ("steps", "tokens", "usd")
DEEPEST = 50
"""Generations that are drawn: no run has so many, but a record may say anything."""


@dataclass
class _Node:
    start: str = ""
    granted: dict[str, Any] = field(default_factory=dict)
    spent: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] | None = None
    refused: Counter[str] = field(default_factory=Counter)


class FamilyTree:
    """Gathers what a run's events say of its agents."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {"0": _Node()}
        self._alive: set[str] = set()
        self._most_alive = 0

    @property
    def alive(self) -> int:
        """Agents that are alive, the first one included."""
        return len(self._alive) + 1

    @property
    def has_copies(self) -> bool:
        """Whether a copy was made or asked for."""
        return len(self._nodes) > 1 or bool(self._nodes["0"].refused)

    def note(self, event: dict[str, Any]) -> None:
        """Take note of an event; one that this version did not write may be any."""
        name = event.get("agent")
        if not isinstance(name, str) or name.count(".") > DEEPEST:
            return
        match event:
            case {"kind": "run.opened", "scenario": {"resolved": {"budget": dict(budget)}}}:
                self._nodes["0"].granted = budget
            case {"kind": "agent.started", "granted": dict(granted), "start": str(start)}:
                node = self._nodes.setdefault(name, _Node())
                node.start, node.granted = start, granted
                self._alive.add(name)
                self._most_alive = max(self._most_alive, len(self._alive))
            case {"kind": "agent.ended", "outcome": dict(outcome), "spent": dict(spent)}:
                node = self._nodes.setdefault(name, _Node())
                node.outcome, node.spent = outcome, spent
                self._alive.discard(name)
            case {"kind": "delegation.refused", "cap": str(cap)}:
                self._nodes.setdefault(name, _Node()).refused[cap] += 1
            case {"kind": "run.closed", "outcome": dict(outcome), "spent": dict(spent)}:
                self._nodes["0"].outcome, self._nodes["0"].spent = outcome, spent

    def summary(self) -> str:
        """Copies asked for, made and refused, in a line."""
        refused = sum((node.refused for node in self._nodes.values()), Counter[str]())
        made = len(self._nodes) - 1
        why = f" ({_counted(refused)})" if refused else ""
        return (
            f"{made + refused.total()} asked for, {made} made, {refused.total()} refused{why}; "
            f"at most {self._most_alive} at one time"
        )

    def agents(self) -> list[dict[str, Any]]:
        """Every agent, parents before children: depth, name, budget, spend and fate."""
        return [
            {
                "depth": name.count("."),
                "name": name,
                "start": node.start,
                "spent": ", ".join(_spent(node)),
                "shares": _shares(node),
                "outcome": node.outcome or {"status": "no end on record"},
                "refused": _counted(node.refused),
            }
            for name, node in sorted(self._nodes.items(), key=lambda each: _place(each[0]))
        ]

    def lines(self) -> list[Text]:
        """The tree, a line for each agent."""
        below: dict[str, list[str]] = {name: [] for name in self._nodes}
        for name in sorted(self._nodes, key=_place):
            above = name.rpartition(".")[0]
            while above and above not in below:
                above = above.rpartition(".")[0]
            if name != "0":
                below[above or "0"].append(name)
        drawn: list[Text] = []
        waiting = [("0", "", "")]
        while waiting:
            name, guide, inner = waiting.pop()
            drawn.append(Text(guide, style="dim") + _label(name, self._nodes[name]))
            last = len(below[name]) - 1
            waiting += [
                (each, inner + ("└── ", "├── ")[at < last], inner + ("    ", "│   ")[at < last])
                for at, each in reversed(list(enumerate(below[name])))
            ]
        return drawn


def _place(name: str) -> list[tuple[int, str]]:
    """Where a path stands in the tree: by number, so that 0.10 comes after 0.9."""
    return [(int(part), part) if part.isdecimal() and len(part) < 9 else (0, part)
            for part in name.split(".")]  # fmt: skip


def _label(name: str, node: _Node) -> Text:
    outcome = node.outcome or {"status": "no end on record"}
    status = one_line(str(outcome.get("status")), 40)
    why = outcome.get("limit") or (outcome.get("error") if status == "error" else None)
    parts = [", ".join(_spent(node)), status + (f" ({one_line(str(why), 40)})" if why else "")]
    if node.refused:
        parts.append(f"refused copies: {_counted(node.refused)}")
    style = "green" if status == "submitted" else "yellow"
    head = one_line(f"{name} {node.start}".strip(), 120)
    return Text.assemble((head, "bold"), "  ", ("  ".join(filter(None, parts)), style))


def _spent(node: _Node) -> list[str]:
    """What was spent of what was granted."""
    words = []
    for name in SHOWN_LIMITS:
        spent, granted = node.spent.get(name) or 0, node.granted.get(name)
        if isinstance(spent, int | float) and (spent or isinstance(granted, int | float)):
            most = f" of {granted:,.10g}" if isinstance(granted, int | float) else ""
            words.append(f"{spent:,.10g}{most} {name}")
    return words


def _shares(node: _Node) -> dict[str, float]:
    """Of each limit that was granted, the share that is spent."""
    pairs = {name: (node.spent.get(name) or 0, node.granted.get(name)) for name in SHOWN_LIMITS}
    return {
        name: min(spent / granted, 1.0)
        for name, (spent, granted) in pairs.items()
        if isinstance(spent, int | float) and isinstance(granted, int | float) and granted > 0
    }


def _counted(refused: Counter[str]) -> str:
    return ", ".join(f"{count} {one_line(cap, 20)}" for cap, count in refused.most_common(8))
