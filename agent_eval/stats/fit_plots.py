"""Pictures of fits: what was measured, the curve and its interval, what is foretold and came."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from agent_eval.stats.foretelling import AXES, Fit
from agent_eval.stats.plots import canvas, save


def draw_fit(file: Path, fit: Fit, came: float | None = None) -> None:
    """Draw what was measured, the fitted curve with its interval, what it foretells and what came.

    `came` is the target's own value, once there is one.
    """
    figure, axes = canvas(file)
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
    save(file, figure)


def _xs(fit: Fit, xs: Any) -> list[Any]:
    if fit.wanted.form == "trend":
        return [date.fromordinal(round(float(x))) for x in xs]
    return [float(x) for x in xs]
