"""Pages from templates; whatever comes out of a transcript is made safe to look at on the way.

Jinja escapes every value. `seen` also turns control characters and marks that change the direction
of writing into text, as a terminal is shown them.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from agent_eval.basics.display import many, one_line, printable

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


@cache
def templates() -> jinja2.Environment:
    """The templates; a name that nobody gave is an error, never an empty place."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "seen": _seen, "line": _line, "usd": _usd, "clock": clock, "number": _number,
        "leading": _leading, "many": many,
    }  # fmt: skip
    return made


def rendered(name: str, **values: Any) -> str:
    """A template with these values in it."""
    return templates().get_template(name).render(**values)


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page for whoever asks."""
    reader = getattr(request.state, "reader", "")
    return HTMLResponse(
        rendered(name, reader=reader, path=request.url.path, query=request.query_params, **values),
        status,
    )


def clock(seconds: Any) -> str:
    """Seconds since a run began as a reader says them: `1:02:03.4`."""
    if not isinstance(seconds, int | float):
        return "?"
    minutes, rest = divmod(max(float(seconds), 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _seen(value: Any) -> str:
    return printable(str(value))


def _line(value: Any, width: int = 160) -> str:
    return one_line(str(value), width)


def _leading(value: Any, to: Callable[[int], str]) -> Markup:
    """A line in which the number of an event, `#12`, leads to it."""
    parts = re.split(r"#(\d{1,15})\b", _line(value, 300), flags=re.ASCII)
    told = [
        Markup('<a href="{}">#{}</a>').format(to(int(part)), part) if at % 2 else escape(part)
        for at, part in enumerate(parts)
    ]
    return Markup().join(told)


def _usd(value: Any) -> str:
    return f"${value:,.4f}" if isinstance(value, int | float) else "unknown"


def _number(value: Any) -> str:
    return f"{value:,.10g}" if isinstance(value, int | float) else "?"
