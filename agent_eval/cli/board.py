"""The live view of many runs: what is done, goes on, failed and by whose fault, spend, time left.

In a terminal a picture that moves, with a line for each run that goes on; elsewhere a line each
time a run ends.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent_eval.basics.display import one_line, printable
from agent_eval.cli.watch import REFRESHES_PER_S
from agent_eval.fleet.fleet import Ended, Planned

ROWS_KEPT = 4
"""Lines of the terminal that are left to other things."""


class _Row:
    """A run that goes on: its steps, its dollars, and what it did last."""

    def __init__(self) -> None:
        self.steps, self.usd, self.last = 0, 0.0, "waiting for a sandbox"

    def take(self, event: dict[str, Any]) -> float:
        """Take note of an event; returns the dollars that it cost."""
        usd = 0.0
        match event["kind"]:
            case "sandbox.ready":
                self.last = "sandbox ready"
            case "model.called":
                self.last = "waiting for the model"
            case "model.replied" | "model.offered" | "model.failed":
                self.steps += event["settled"].get("steps", 0)
                usd = event["settled"].get("usd", 0)
            case "submitted":
                self.last = "handed in its answer"
            case "action.started":
                self.last = f"{event['tool']}: {one_line(event['input']['code'], 100)}"
        self.usd += usd
        return usd

    def words(self) -> str:
        """The row without the run's title."""
        return f"step {self.steps}  ${self.usd:.3f}  {self.last}"


class Board:
    """Shows how far a matrix of runs has come."""

    def __init__(self, count: int, worst_usd: float | None) -> None:
        self._count, self._worst_usd = count, worst_usd
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._going: dict[str, _Row] = {}
        self._done = 0
        self._blamed: Counter[str] = Counter()
        self._usd = 0.0
        self._started = time.monotonic()
        self._live: Live | None = None
        self.on_end: Callable[[Ended], None] = lambda _ended: None
        """What else is to be done when a run has ended."""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._picture,
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._print(self.summary())

    def say(self, words: str) -> None:
        """Tell the person something that stays on the screen."""
        self._print(f"agent-eval: {words}")

    def show(self, line: str) -> None:
        """Print a line of the results, above the picture where there is one."""
        if self._live is not None and sys.stdout.isatty():
            self._print(line)
        else:
            click.echo(line)

    def began(self, planned: Planned) -> None:
        """A run begins."""
        self._going[planned.title] = _Row()

    def see(self, planned: Planned, event: dict[str, Any]) -> None:
        """Take note of an event of a run."""
        self._usd += self._going[planned.title].take(event)

    def ended(self, ended: Ended) -> None:
        """A run has ended."""
        self._going.pop(ended.planned.title, None)
        self._done += 1
        if ended.blame is not None:
            self._blamed[ended.blame] += 1
        self.on_end(ended)
        if self._live is None:
            self._print(self.summary())

    def summary(self) -> str:
        """How far it has come, in a line."""
        took_s = time.monotonic() - self._started
        parts = [f"{self._done}/{self._count} done", f"{len(self._going)} running"]
        parts += [f"{count} by {blame}" for blame, count in sorted(self._blamed.items())]
        most = "" if not self._worst_usd else f" of at most ${self._worst_usd:,.2f}"
        parts += [f"${self._usd:.3f}{most}", duration(took_s)]
        if 0 < self._done < self._count:
            left_s = took_s / self._done * (self._count - self._done)
            parts.append(f"about {duration(left_s)} left")
        return ", ".join(parts)

    def _picture(self) -> Text:
        width, room = self._console.width, max(self._console.height - ROWS_KEPT, 1)
        going = list(self._going.items())
        lines = [Text(one_line(self.summary(), width), "bold")]
        for title, row in going[:room]:
            lines.append(Text(f"{one_line(title, 40):<40}  {row.words()}"[:width], "cyan"))
        if len(going) > room:
            lines.append(Text(f"and {len(going) - room} more"))
        return Text("\n", no_wrap=True).join(lines)

    def _print(self, words: str) -> None:
        self._console.print(Text(printable(words)), soft_wrap=True)


def duration(seconds: float) -> str:
    """So long, as a person says it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
