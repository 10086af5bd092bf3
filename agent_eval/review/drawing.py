"""SVG that is drawn here: steps over time and bars in lanes, in the colours of the page.

Every picture says in words what it shows, and what stands in it leads to its event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from agent_eval.basics.display import one_line
from agent_eval.review.rendering import clock

WIDTH, LEFT, RIGHT = 900, 100, 12
PLOT = WIDTH - LEFT - RIGHT
HEIGHT, TOP, BOTTOM = 190, 14, 24
LANE = 18

NEAR = 20
"""A limit that is more times as high as what was spent is named and not drawn."""


@dataclass(frozen=True)
class Line:
    """A sum over time."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str = "one"


@dataclass(frozen=True)
class Mark:
    """A moment that leads to its event."""

    at_s: float
    name: str
    seq: int
    href: str
    style: str = "drill"
    lane: str = ""


@dataclass
class Lane:
    """Somebody's time in a run."""

    name: str
    bars: list[tuple[float, float, str]] = field(default_factory=list)
    """Beginning, end and style."""
    said: str = ""


def chart(
    title: str,
    lines: Sequence[Line],
    until_s: float,
    marks: Iterable[Mark] = (),
    limit: tuple[str, float] | None = None,
) -> str:
    """Sums over time as steps, moments as upright lines, a limit as a level one."""
    values = [value for line in lines for _, value in line.points] + [0.0]
    most = max(values)
    if limit and limit[1] < NEAR * most:
        most = limit[1]
        values.append(most)
    low = min(values)
    high = max(most, low + 1e-9)
    parts = [_axes(low, high, until_s)]
    if limit and limit[1] not in values:
        title += f" ({limit[0]} {limit[1]:,.10g})"
    elif limit:
        at = _y(limit[1], low, high)
        parts.append(f'<path class="limit" d="M{LEFT} {at:.1f}H{LEFT + PLOT}"/>')
        words = f"{limit[0]} {limit[1]:,.10g}"
        place = f'x="{LEFT + PLOT}" y="{at - 3:.1f}"'
        parts.append(f'<text class="small end" {place}>{_safe(words)}</text>')
    parts += [_upright(mark, until_s, HEIGHT - BOTTOM) for mark in marks]
    for line in lines:
        parts.append(f'<path class="line {line.style}" d="{_path(line, low, high, until_s)}"/>')
    names = "".join(
        f'<tspan class="key {line.style}" dx="8">■</tspan><tspan> {_safe(line.name)}</tspan>'
        for line in lines
    )
    if len(lines) > 1:
        parts.append(f'<text class="small" x="{LEFT + 160}" y="{TOP - 3}">{names}</text>')
    return _whole(title, parts, HEIGHT)


def timeline(title: str, lanes: Sequence[Lane], until_s: float, marks: Iterable[Mark]) -> str:
    """A lane for everybody, with bars for when they were there; moments in lanes or across all."""
    height = TOP + LANE * max(len(lanes), 1) + BOTTOM
    places = {lane.name: TOP + LANE * at for at, lane in enumerate(lanes)}
    parts = [_time(until_s, height)]
    for lane in lanes:
        at = places[lane.name]
        name = _safe(one_line(lane.name, 14))
        parts.append(f'<text class="name" x="{LEFT - 6}" y="{at + 13}">{name}</text>')
        for begin, end, style in lane.bars:
            x, wide = _x(begin, until_s), max(_x(end, until_s) - _x(begin, until_s), 2)
            parts.append(
                f'<rect class="bar {style}" x="{x:.1f}" y="{at + 3}" width="{wide:.1f}" '
                f'height="{LANE - 6}" rx="2"><title>{_safe(lane.name)} {_safe(lane.said)}: '
                f"{clock(begin)} to {clock(end)}</title></rect>"
            )
    for mark in marks:
        if mark.lane in places:
            parts.append(_dot(mark, until_s, places[mark.lane] + LANE / 2))
        else:
            parts.append(_upright(mark, until_s, height - BOTTOM))
    return _whole(title, parts, height)


def _whole(title: str, parts: Iterable[str], height: int) -> str:
    said = _safe(title)
    return (
        f'<svg class="picture" viewBox="0 0 {WIDTH} {height}" role="group" aria-label="{said}">'
        f'<text class="title" x="{LEFT}" y="{TOP - 3}">{said}</text>{"".join(parts)}</svg>'
    )


def _axes(low: float, high: float, until_s: float) -> str:
    parts = [_time(until_s, HEIGHT)]
    for share in (0, 0.5, 1):
        value = low + (high - low) * share
        at = _y(value, low, high)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{LEFT + PLOT}"/>')
        parts.append(f'<text class="name" x="{LEFT - 6}" y="{at + 4:.1f}">{_short(value)}</text>')
    return "".join(parts)


def _time(until_s: float, height: int) -> str:
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, said = LEFT + PLOT * share, clock(until_s * share)
        anchor = "end" if share == 1 else "middle"
        parts.append(f'<text class="small {anchor}" x="{x:.1f}" y="{height - 8}">{said}</text>')
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{height - BOTTOM}"/>')
    return "".join(parts)


def _path(line: Line, low: float, high: float, until_s: float) -> str:
    path = [f"M{LEFT} {_y(0, low, high):.1f}"]
    path += [f"H{_x(at, until_s):.1f}V{_y(value, low, high):.1f}" for at, value in line.points]
    return "".join([*path, f"H{LEFT + PLOT}"])


def _upright(mark: Mark, until_s: float, bottom: float) -> str:
    x = _x(mark.at_s, until_s)
    return (
        f'<a href="{_safe(mark.href)}" aria-label="{_said(mark)}"><title>{_said(mark)}'
        f'</title><path class="moment {mark.style}" d="M{x:.1f} {TOP}V{bottom}"/></a>'
    )


def _dot(mark: Mark, until_s: float, y: float) -> str:
    x = _x(mark.at_s, until_s)
    return (
        f'<a href="{_safe(mark.href)}" aria-label="{_said(mark)}"><title>{_said(mark)}'
        f'</title><circle class="moment {mark.style}" cx="{x:.1f}" cy="{y:.1f}" r="5"/></a>'
    )


def _said(mark: Mark) -> str:
    return _safe(f"{mark.name}, at {clock(mark.at_s)}, event {mark.seq}")


def _x(at_s: float, until_s: float) -> float:
    return LEFT + PLOT * min(max(at_s / until_s if until_s > 0 else 0.0, 0.0), 1.0)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - BOTTOM - TOP) * (1 - (value - low) / (high - low))


def _short(value: float) -> str:
    """A number that fits beside an axis."""
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= least:
            return f"{value / (1e3 if letter == 'k' else least):,.4g}{letter}"
    return f"{value:,.4g}"


def _safe(text: str) -> str:
    return escape(one_line(text, 120))
