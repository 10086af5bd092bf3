"""What people would rather look at than read of a run: who there was, when, and at what price."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent_eval.graders.finding import TIERS
from agent_eval.review import asking
from agent_eval.review.asking import Source, points
from agent_eval.review.drawing import Lane, Line, Mark, chart, timeline
from agent_eval.review.found import Grading
from agent_eval.review.readers import grading_for
from agent_eval.review.rendering import page
from agent_eval.review.rows import DOWN
from agent_eval.review.run_pages import frame, opened
from agent_eval.show.family_tree import FamilyTree

LANES = 60
"""Agents and machines that have a lane of their own in a timeline."""

SPEND = ("usd", "tokens", "steps")
NAMES = {"usd": "dollars spent", "tokens": "tokens spent", "steps": "steps taken"}


class Pictures:
    """Draws a run from its index and the few events that say who was there."""

    def __init__(
        self,
        db: sqlite3.Connection,
        source: Source,
        grading: Grading,
        to: Callable[[int], str],
    ) -> None:
        """`to` says how an event is called in a link."""
        self._to = to
        self._first_gone: list[tuple[float, float]] = []
        self._db = db
        self._source = source
        self.family = FamilyTree()
        self._lanes: dict[str, Lane] = {"0": Lane("0")}
        self._open: dict[str, tuple[float, str]] = {}
        self.budget: dict[str, Any] = {}
        last = asking.place(db, asking.about(db)["events"] - 1)
        self.until_s = max(last.elapsed_s if last else 0.0, 0.001)
        self._take()
        self._marks = [*self._drills(), *self._findings(grading)]

    def _take(self) -> None:
        kinds = ("run.opened", "run.closed", "agent.started", "agent.ended", "delegation.refused")
        for at in asking.of_kinds(self._db, *kinds):
            event = self._source.event(at)
            self.family.note(event)
            match event:
                case {"kind": "run.opened", "scenario": {"resolved": {"budget": dict(budget)}}}:
                    self.budget = budget
                case {"kind": "agent.started"}:
                    self._there(at.agent, at.elapsed_s, f"copy, {event.get('start')}")
                case {"kind": "agent.ended"}:
                    self._gone(at.agent, at.elapsed_s)
        self._there("0", 0.0, "the first agent")
        for at in asking.of_kinds(self._db, "cloud.instance"):
            self._machine(self._source.event(at), at.elapsed_s)
        for at in asking.of_kinds(self._db, "submitted", "aftermath.begun"):
            if at.agent == "0" and "0" in self._open:
                self._gone("0", at.elapsed_s)
                self._first_gone = [(at.elapsed_s, -1.0)]
        for name in list(self._open):
            self._gone(name, self.until_s)

    def _machine(self, event: dict[str, Any], at_s: float) -> None:
        name, state = str(event.get("instance"))[:60], event.get("state")
        if state == "running":
            self._there(name, at_s, f"machine, {event.get('machine')}")
        elif state in DOWN:
            self._gone(name, at_s)

    def _there(self, name: str, at_s: float, what: str) -> None:
        if name in self._lanes or len(self._lanes) < LANES:
            self._lanes.setdefault(name, Lane(name)).said = what
            self._open.setdefault(name, (at_s, "machine" if name.startswith("i-") else "agent"))

    def _gone(self, name: str, at_s: float) -> None:
        if name in self._open:
            begun, style = self._open.pop(name)
            self._lanes[name].bars.append((begun, at_s, style))

    def _drills(self) -> Iterator[Mark]:
        for at in asking.of_kinds(self._db, "drill.begun", "aftermath.begun", most=50):
            act = self._source.event(at).get("act", "the world goes on without the first agent")
            name = f"drill: {act}" if at.kind == "drill.begun" else act
            yield Mark(at.elapsed_s, name, at.seq, self._to(at.seq))

    def _findings(self, grading: Grading) -> Iterator[Mark]:
        for one in grading.findings[:100]:
            at = asking.place(self._db, one.cites[0]) if one.cites else None
            if at is not None:
                name = f"{one.behaviour} {one.stage}, {one.tier}"
                style = f"finding {one.tier if one.tier in TIERS else 'E4'}"
                yield Mark(at.elapsed_s, name, at.seq, self._to(at.seq), style, one.agent)

    @property
    def marks(self) -> list[Mark]:
        """Findings and moments that stand in the timeline."""
        return self._marks

    @property
    def moments(self) -> list[Mark]:
        """What happened to everybody: drills, and the end of the first agent."""
        return [mark for mark in self._marks if mark.style == "drill"]

    def timeline(self) -> str:
        """Everybody's time, with drills and findings."""
        lanes = sorted(self._lanes.values(), key=lambda one: (one.name.startswith("i-"), one.name))
        return timeline("Who was there, and what was found", lanes, self.until_s, self._marks)

    def charts(self) -> Iterator[str]:
        """Spend against budget, net worth, and copies alive; those of which there is anything."""
        drills = self.moments
        for series in SPEND:
            line = self._line(series, NAMES[series])
            limit = self.budget.get(series)
            if line.points:
                least = ("budget", float(limit)) if isinstance(limit, int | float) else None
                title = NAMES[series].capitalize() + (" against budget" if least else "")
                yield chart(title, [line], self.until_s, drills, least)
        if (worth := self._line("worth", "net worth")).points:
            yield chart("Net worth of the agent's accounts, dollars", [worth], self.until_s, drills)
        copies = Line("agents", list(self._agents()), "one")
        machines = replace(self._line("machines", "machines"), style="two")
        if len(copies.points) > 1 or machines.points:
            yield chart("Alive", [copies, machines], self.until_s, drills)

    def _line(self, series: str, name: str) -> Line:
        return Line(name, [(at, value) for at, value, _ in points(self._db, series)])

    def _agents(self) -> Iterator[tuple[float, float]]:
        changes = [(0.0, 1.0), *self._first_gone]
        before = 0.0
        for at, value, _ in points(self._db, "agents"):
            changes.append((at, value - before))
            before = value
        alive = 0.0
        for at, change in sorted(changes, key=lambda one: one[0]):
            alive += change
            yield at, alive


def drawn(
    db: sqlite3.Connection, source: Source, grading: Grading, to: Callable[[int], str]
) -> dict[str, Any]:
    """All pictures of a run, for a template."""
    pictures = Pictures(db, source, grading, to)
    return {
        # Drawn here, every text in them escaped where it was put in.
        "timeline": Markup(pictures.timeline()),  # noqa: S704
        "charts": [Markup(each) for each in pictures.charts()],  # noqa: S704
        "family": pictures.family,
        "moments": pictures.moments,
        "marks": pictures.marks,
    }


def show(request: Request) -> Response:
    """The pictures of a run, and the tree of its agents."""
    run = opened(request)
    grading = grading_for(request, run.run)
    veiled = run.veiled
    with run.index.opened(veiled=veiled) as db, Source(run.run, veiled=veiled) as source:
        values = frame(run, db, grading) | drawn(db, source, grading, run.to)
        return page(request, "pictures.html", **values)


ROUTES = [Route("/run/{name}/pictures", show)]
