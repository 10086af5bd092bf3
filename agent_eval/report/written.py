"""The two forms of a report. Whatever a run wrote is text in both, and nothing else.

In the page Jinja escapes every value, and a policy in its head forbids all but its own style. In
Markdown every value has each character that could mean something written out. Characters that act
on terminals or turn the direction of writing are shown as escapes in both.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from agent_eval.basics.display import many, one_line, printable
from agent_eval.errors import OperatorError
from agent_eval.report.gather import Report

TEMPLATES = Path(__file__).parent / "templates"
FORMS = {".html": "report.html", ".htm": "report.html", ".md": "report.md"}

_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]()#!|~&<>@$^]|:(?=//)|(?<=www)\.)")
_BEGINS_SOMETHING = re.compile(r"^(\d{1,9}(?=\.(?:\s|$)))?([-+=.])")
"""What makes a list, a heading or a rule of the line that begins with it."""


def write_report(report: Report, file: Path) -> None:
    """Write a report in the form that the file's name asks for; raises `OperatorError`."""
    form = form_of(file)
    text = page(report) if form == "report.html" else markdown(report)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error


def form_of(file: Path) -> str:
    """The template that a file's name asks for; raises `OperatorError` for a name that asks none.

    Whoever gathers a report asks first, so that a wrong name costs no reading.
    """
    form = FORMS.get(file.suffix.lower())
    if form is None:
        raise OperatorError(f"{file}: name it .html or .md, so that its form is known")
    return form


def page(report: Report) -> str:
    """One page that opens from disk and loads nothing."""
    style = TEMPLATES.joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    made = _environment(_seen, autoescape=True)
    return made.get_template("report.html").render(
        report=report, style=Markup(style), digest=Markup(digest)  # noqa: S704 - both are ours
    )  # fmt: skip


def markdown(report: Report) -> str:
    """The same as Markdown."""
    return _environment(_escaped, autoescape=False).get_template("report.md").render(report=report)


def _environment(each: Callable[[Any], Any], *, autoescape: bool) -> jinja2.Environment:
    """Templates whose every value goes through `each`."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,  # noqa: S701 - where this does not escape, `each` does
        undefined=jinja2.StrictUndefined,
        finalize=each,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "percent": _percent, "line": _line, "fenced": _fenced, "whole": _whole,
        "many": many, "moment": _moment,
    }  # fmt: skip
    return made


def _seen(value: Any) -> Any:
    return value if isinstance(value, Markup) else printable(str(value))


def _escaped(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    flat = " ".join(printable(str(value)).split())
    return _BEGINS_SOMETHING.sub(r"\1\\\2", _MEANS_SOMETHING.sub(r"\\\1", flat))


def _fenced(text: str) -> Markup:
    """A block of text whose fence is longer than any in it."""
    shown = printable(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}text\n{shown}\n{fence}")  # noqa: S704 - nothing ends the fence


def _line(value: Any, width: int = 200) -> str:
    return one_line(str(value), width)


def _whole(value: Any) -> str:
    return "?" if value is None else f"{value:,.10g}"


def _moment(value: Any) -> str:
    """A time of a record, to the minute; what is none stays as it is."""
    return re.sub(r"^([\d-]{10})T(\d\d:\d\d)[\d:.]*\+00:00$", r"\1 \2 UTC", _line(value, 40))


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.0%}"
