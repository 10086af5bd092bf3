"""The live view of a run: a line that moves in a terminal, plain lines elsewhere.

A listener of the transcript: it sees events after they are on record, and can change nothing.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent_eval.basics.display import one_line, printable
from agent_eval.scenario.model import Budget
from agent_eval.show.family_tree import FamilyTree

REFRESHES_PER_S = 8


class Watch:
    """Shows agent, step, spend against budget and the last action."""

    def __init__(self, title: str, budget: Budget) -> None:
        self._title = title
        self._budget = budget
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._steps = self._tokens = 0
        self._usd = 0.0
        self.family = FamilyTree()
        """Who is alive."""
        self._agent, self._last = "0", "starting the sandbox"
        self._live: Live | None = None
        self._still = False

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._move()
        else:
            self._print(self._title)
        return self

    def _move(self) -> None:
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
        )
        self._live.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, words: str) -> None:
        """Tell the person something that stays on the screen."""
        self._print(f"agent-eval: {words}")

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._console.width

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the terminal to somebody else for a while."""
        moving, self._live, self._still = self._live, None, True
        if moving is not None:
            moving.stop()
        try:
            yield
        finally:
            self._still = False
            if moving is not None:
                self._move()

    def show(self, lines: Iterable[Text]) -> None:
        """Show what is safe to look at; it stays on the screen."""
        for line in lines:
            self._console.print(line, soft_wrap=True, end=line.end)

    def see(self, event: dict[str, Any]) -> None:
        """Take note of an event."""
        self.family.note(event)
        words = self._words(event) or _of_a_person(event) or _of_a_copy(event)
        words = words or _of_graders(event) or _of_a_drill(event)
        if words is None:
            return
        self._agent, self._last = event["agent"], words
        if self._live is None and not self._still:
            self._print(f"{event['elapsed_s']:8.2f}s  [{self._agent}] {self._counts()}  {words}")

    def _words(self, event: dict[str, Any]) -> str | None:
        match event["kind"]:
            case "sandbox.ready":
                return f"sandbox ready in {event['ready_s']:.2f} s on {event['runtime']}"
            case "model.called" if self._live is not None:
                return "waiting for the model"
            case "model.replied" | "model.offered":
                settled = event["settled"]
                self._steps += settled.get("steps", 0)
                self._tokens += settled.get("input_tokens", 0) + settled.get("output_tokens", 0)
                self._usd += settled.get("usd", 0)
            case "model.failed":
                self._usd += event["settled"].get("usd", 0)
                return f"attempt {event['attempt']} failed: {one_line(event['error'], 120)}"
            case "context.compacted":
                return f"context full: {len(event['shortened'])} observations shortened"
            case "action.started":
                return f"{event['tool']}: {one_line(event['input']['code'], 100)}"
            case "submitted":
                return f"answer: {one_line(event['answer'], 100)}"
            case "sandbox.removed" if event["state"].get("removed") is False:
                return "the sandbox is still there: `agent-eval reap` removes it"
            case "trouble":
                return f"{event['blame']}: {one_line(event['message'], 300)}"
        return None

    def _counts(self) -> str:
        budget = self._budget
        steps = f"step {self._steps}" + (f"/{budget.steps}" if budget.steps else "")
        usd = f"${self._usd:.3f}" + (f"/${budget.usd:g}" if budget.usd is not None else "")
        agents = f"{self.family.alive} agents  " if self.family.alive > 1 else ""
        return f"{agents}{steps}  {usd}  {self._tokens:,} tokens"

    def _picture(self) -> Text:
        width = self._console.width
        counts = f"[{self._agent}] {self._counts()}  "
        return Text.assemble(
            (one_line(self._title, width) + "\n", "bold"),
            (counts, "cyan"),
            one_line(self._last, max(width - len(counts) - 1, 10)),
            no_wrap=True,
        )

    def _print(self, words: str) -> None:
        self._console.print(Text(printable(words)), soft_wrap=True)


def _of_a_copy(event: dict[str, Any]) -> str | None:
    match event["kind"]:
        case "agent.started":
            return f"a copy: {one_line(event['task'], 100)}"
        case "agent.ended":
            return f"the copy ended: {event['outcome']['status']}"
        case "delegation.refused":
            return f"no copy ({event['cap']}): {one_line(event['reason'], 100)}"
    return None


def _of_graders(event: dict[str, Any]) -> str | None:
    if event["kind"] != "finding.seen":
        return None
    then = {"pause": "; the run pauses", "stop": "; the run ends"}.get(event["did"], "")
    return f"FOUND {event['behaviour']}: {one_line(event['why'], 160)}{then}"


def _of_a_drill(event: dict[str, Any]) -> str | None:
    match event["kind"]:
        case "drill.begun":
            return f"drill {event['act']}: {event['due']}"
        case "drill.ended" if not event["done"]:
            return f"drill {event['act']}: not done: {one_line(event.get('detail') or '', 120)}"
        case "aftermath.begun":
            return f"its world goes on for up to {event['at_most_s']:g} s of its own time"
    return None


def _of_a_person(event: dict[str, Any]) -> str | None:
    match event["kind"]:
        case "intervened":
            return f"{one_line(event['who'], 40)}: {event['type']} ({event['about']})"
        case "person.awaited":
            return f"nobody has decided for {event['waited_s']:g} s; the run pauses"
        case "operator.steered":
            return f"from another terminal: {event['act']}"
    return None
