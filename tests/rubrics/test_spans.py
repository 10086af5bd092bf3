"""Spans: every line is in one, and what stands at a cut is seen whole."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.rubrics.material import LINE_CHARS, Line
from agent_eval.rubrics.spans import LEAST_BYTES, OVERLAP_PART, spans_of

LINES = st.lists(
    st.builds(
        Line,
        seq=st.integers(0, 5),
        heading=st.sampled_from(["#1 agent 0 says", "#2 agent 0 sees"]),
        text=st.integers(0, LINE_CHARS).map(lambda size: "| " + "\U0001f600" * size),
    ),
    max_size=60,
)


@given(lines=LINES, size=st.integers(LEAST_BYTES, 3 * LEAST_BYTES))
def test_every_line_is_in_a_span_and_spans_overlap(lines: list[Line], size: int) -> None:
    spans = spans_of(lines, size)
    if not lines:
        assert spans == []
        return
    at, after = 0, 0
    for number, span in enumerate(spans):
        assert len(span.text().encode()) <= size
        starts = [start for start in range(at, len(lines)) if _is(lines, start, span.lines)]
        start = next(each for each in starts if number == 0 or each > at)
        assert start <= after, "no line is left out between two"
        if number:
            there = sum(len(line.text.encode()) for line in lines[start:after])
            first = len(lines[start - 1].text.encode()) + len(lines[start - 1].heading) + 2
            assert there + first + 60 * (after - start) > size // OVERLAP_PART or start == at + 1
        at, after = start, start + len(span.lines)
    assert after == len(lines)


def _is(lines: list[Line], start: int, some: tuple[Line, ...]) -> bool:
    """Whether these are the very lines from there on, and not ones that only read like them."""
    there = lines[start : start + len(some)]
    return len(there) == len(some) and all(map(operator.is_, there, some))


def test_a_span_says_who_goes_on() -> None:
    lines = [Line(at, f"#{at} agent 0 says", f"| {'x' * 900}") for at in range(40)]
    spans = spans_of(lines, LEAST_BYTES)
    assert len(spans) > 2
    for span in spans:
        assert span.text().startswith(f"#{span.cites[0]} agent 0 says\n| ")
    with pytest.raises(ValueError, match="at least"):
        spans_of(lines, 10)
