"""Pictures of fits and rates, as SVG or PNG by the name of the file."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from agent_eval.errors import OperatorError
from agent_eval.stats.foretelling import AXES, Fit

KINDS = (".svg", ".png")


@dataclass(frozen=True)
class Bar:
    """One rate with its interval."""

    name: str
    rate: float
    low: float
    high: float


def draw_fit(file: Path, fit: Fit, came: float | None = None) -> None:
    """Draw what was measured, the fitted curve with its interval, what it foretells and what came.

    `came` is the target's own value, once there is one.
    """
    figure, axes = _figure(file)
    xs = [x for x, _ in fit.points.values()]
    told = fit.foretold
    line = np.geomspace(min(xs), max([*xs, told.at] if told else xs), 200)
    if fit.wanted.form == "trend":
        line = np.linspace(line[0], line[-1], 200)
    along = [fit.law.predict(float(x)) for x in line]
    axes.plot(_xs(fit, line), [one.value for one in along], color="tab:blue", label="fitted")
    low, high = [one.low for one in along], [one.high for one in along]
    axes.fill_between(_xs(fit, line), low, high, color="tab:blue", alpha=0.15, linewidth=0)
    axes.plot(
        _xs(fit, xs), [y for _, y in fit.points.values()], "o", color="black", label="measured"
    )
    if told is not None:
        reach = [[max(told.value - told.low, 0)], [max(told.high - told.value, 0)]]
        axes.errorbar(
            _xs(fit, [told.at]), [told.value], reach, fmt="s", color="tab:orange", capsize=4,
            label=f"foretold{f' of {fit.wanted.target}' if fit.wanted.target else ''}",
        )  # fmt: skip
        if came is not None:
            axes.plot(_xs(fit, [told.at]), [came], "*", color="tab:red", ms=13, label="came")
    x_title, y_title = AXES[fit.wanted.form]
    axes.set(xlabel=x_title, ylabel=y_title)
    if fit.wanted.form != "trend":
        axes.set_xscale("log")
    if fit.wanted.form in ("capability", "trend"):
        axes.set_yscale("log")
    axes.legend(frameon=False)
    _save(file, figure)


def draw_rates(file: Path, bars: Sequence[Bar], title: str) -> None:
    """Draw rates with their intervals below each other."""
    if not bars:
        raise OperatorError("there is no rate to draw: no run says anything of the model yet")
    figure, axes = _figure(file, height=1 + 0.3 * len(bars))
    places = range(len(bars), 0, -1)
    off = [
        [max(one.rate - one.low, 0) for one in bars],
        [max(one.high - one.rate, 0) for one in bars],
    ]
    axes.errorbar([one.rate for one in bars], list(places), xerr=off, fmt="o", capsize=3)
    axes.set(xlim=(-0.02, 1.02), xlabel=title)
    axes.set_yticks(list(places), [one.name for one in bars])
    _save(file, figure)


def _xs(fit: Fit, xs: Any) -> list[Any]:
    if fit.wanted.form == "trend":
        return [date.fromordinal(round(float(x))) for x in xs]
    return [float(x) for x in xs]


def _figure(file: Path, height: float = 4.0) -> tuple[Any, Any]:
    if file.suffix not in KINDS:
        raise OperatorError(f"{file}: a picture is one of {', '.join(KINDS)}")
    # Imported here because it takes a second and most who print a table draw nothing.
    module = importlib.import_module("matplotlib.figure")
    figure = module.Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.add_subplot()


def _save(file: Path, figure: Any) -> None:
    try:
        # Without a date, so that equal figures make equal files.
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
