"""Pictures of rates, as SVG or PNG by the name of the file; those of fits are in `fit_plots`."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.errors import OperatorError

KINDS = (".svg", ".png")


@dataclass(frozen=True)
class Bar:
    """One rate with its interval."""

    name: str
    rate: float
    low: float
    high: float


def draw_rates(file: Path, bars: Sequence[Bar], title: str) -> None:
    """Draw rates with their intervals below each other."""
    if not bars:
        raise OperatorError("there is no rate to draw: no run says anything of the model yet")
    figure, axes = canvas(file, height=1 + 0.3 * len(bars))
    places = range(len(bars), 0, -1)
    off = [
        [max(one.rate - one.low, 0) for one in bars],
        [max(one.high - one.rate, 0) for one in bars],
    ]
    axes.errorbar([one.rate for one in bars], list(places), xerr=off, fmt="o", capsize=3)
    axes.set(xlim=(-0.02, 1.02), xlabel=title)
    axes.set_yticks(list(places), [one.name for one in bars])
    save(file, figure)


def canvas(file: Path, height: float = 4.0) -> tuple[Any, Any]:
    """A figure and its axes; raises `OperatorError` for a file of another kind."""
    if file.suffix not in KINDS:
        raise OperatorError(f"{file}: a picture is one of {', '.join(KINDS)}")
    # Imported here because it takes a second and most who print a table draw nothing.
    module = importlib.import_module("matplotlib.figure")
    figure = module.Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.add_subplot()


def save(file: Path, figure: Any) -> None:
    """Write a figure; raises `OperatorError` where that cannot be."""
    try:
        # Without a date, so that equal figures make equal files.
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
