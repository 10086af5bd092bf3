"""What was spent over a run, was owned and was alive, each a line of blocks for a terminal.

Pure, of events and of what each of them adds.

tokens     ▁▁▁▂▃▃▃▄▅▅▆▆▇▇██  55,417 of 2,000,000
net worth  ▅▅▅▅▅▅▄▄▄▄▆▆████  $11.98
machines   ▁▁▁▄▄▄▄▄████████  at most 2, 2 at the end
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

BLOCKS = "▁▂▃▄▅▆▇█"
COLUMNS = 40
MOST = 1e300
"""A sum beyond this, or none at all, is left out: a record may say anything."""

NAMES = {
    "tokens": "tokens", "usd": "dollars", "steps": "steps", "worth": "net worth",
    "agents": "copies", "machines": "machines",
}  # fmt: skip
ALIVE = ("agents", "machines")


class Sparks:
    """Gathers how sums grew."""

    def __init__(self) -> None:
        self._points: dict[str, list[tuple[float, float]]] = {}
        self._budget: dict[str, Any] = {}
        self._until_s = 0.0

    def note(self, event: dict[str, Any], changes: Iterable[tuple[str, float]]) -> None:
        """Take note of an event, and of the changes of sums that it stands for."""
        match event:
            case {"kind": "run.opened", "scenario": {"resolved": {"budget": dict(budget)}}}:
                self._budget = budget
        at_s = event.get("elapsed_s")
        if not isinstance(at_s, int | float) or not math.isfinite(at_s):
            return
        self._until_s = max(self._until_s, float(at_s))
        for series, change in changes:
            points = self._points.setdefault(series, [])
            total = change + (points[-1][1] if points else 0.0)
            if abs(total) < MOST:
                points.append((float(at_s), total))

    def lines(self) -> Iterator[str]:
        """A line for each sum that changed."""
        for series, name in NAMES.items():
            if points := self._points.get(series):
                drawn = spark(points, self._until_s)
                yield f"{name:<9}  {drawn}  {self._said(series, [each for _, each in points])}"

    def _said(self, series: str, values: list[float]) -> str:
        last = values[-1]
        if series in ALIVE:
            return f"at most {max(values):,.10g}, {last:,.10g} at the end"
        if series == "worth":
            return f"{'-' if last < 0 else ''}${abs(last):,.2f}"
        limit = self._budget.get(series)
        of = f" of {limit:,.10g}" if isinstance(limit, int | float) else ""
        return f"{last:,.10g}{of}"


def spark(points: Iterable[tuple[float, float]], until_s: float, columns: int = COLUMNS) -> str:
    """Blocks from the least to the most of a sum that begins at none, each as it stood then.

    `points` are seconds and the sum from then on, in order.
    """
    stood, begun, last = [0.0] * columns, 0, 0.0
    for at_s, value in points:
        share = min(max(at_s / until_s, 0.0), 1.0) if until_s > 0 else 0.0
        here = min(int(columns * share), columns - 1)
        stood[begun:here] = [last] * max(here - begun, 0)
        begun, last = max(begun, here), value
    stood[begun:] = [last] * (columns - begun)
    low, high = min(0.0, *stood), max(0.0, *stood)
    width = high - low
    steps = (round((each - low) / width * (len(BLOCKS) - 1)) if width else 0 for each in stood)
    return "".join(BLOCKS[step] for step in steps)
