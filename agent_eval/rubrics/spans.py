"""A text that is longer than a grader's window, as spans that overlap.

Each line is in at least one span, and each span begins with the last lines of the one before, so
that what stands at a cut is seen whole by somebody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_eval.rubrics.material import Line

SPAN_BYTES = 48 * 1024
"""Of a text, at most, in one call, where the window of the grader is not known to be smaller."""

LEAST_BYTES = 16 * 1024
"""A span is not made smaller than this: it has room for a line and what is before it."""

OVERLAP_PART = 8
"""One part in so many of a span is of the one before."""


@dataclass(frozen=True)
class Span:
    """Some lines on end."""

    lines: tuple[Line, ...]

    @property
    def cites(self) -> tuple[int, int]:
        """The first and the last event that it is from."""
        return self.lines[0].seq, self.lines[-1].seq

    def text(self) -> str:
        """As a grader reads it."""
        said, heading = [], ""
        for line in self.lines:
            if line.heading != heading:
                heading = line.heading
                said.append(heading)
            said.append(line.text)
        return "\n".join(said)


def spans_of(lines: Sequence[Line], most_bytes: int = SPAN_BYTES) -> list[Span]:
    """The spans of a text, each of at most so many bytes; none of one that is empty.

    Raises `ValueError` where a span would be too small for a line.
    """
    if most_bytes < LEAST_BYTES:
        raise ValueError(f"a span has at least {LEAST_BYTES} bytes")
    spans: list[Span] = []
    start = 0
    while start < len(lines):
        end = _end(lines, start, most_bytes)
        spans.append(Span(tuple(lines[start:end])))
        if end == len(lines):
            break
        start = _overlapping(lines, start, end, most_bytes // OVERLAP_PART)
    return spans


def _end(lines: Sequence[Line], start: int, most_bytes: int) -> int:
    """Where a span ends that begins there; at least one line is in it."""
    taken, end = 0, start
    while end < len(lines):
        taken += _bytes(lines[end])
        if taken > most_bytes and end > start:
            break
        end += 1
    return end


def _overlapping(lines: Sequence[Line], start: int, end: int, most_bytes: int) -> int:
    """Where the span after one begins: before its end, and after its beginning."""
    taken, at = 0, end
    while at > start + 1:
        taken += _bytes(lines[at - 1])
        if taken > most_bytes:
            break
        at -= 1
    return at


def _bytes(line: Line) -> int:
    """What a line takes at most, its heading and line ends included."""
    return len(line.text.encode()) + len(line.heading.encode()) + 2
