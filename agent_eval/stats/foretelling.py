"""Fits over figures, and what they foretell of a model that was not measured yet.

    loss         a model's loss, by its compute
    capability   the mean over problems of the negative log pass rate, by compute
    success      a model's mean success on tasks that it has not been given, by their length
    trend        how long a task a model does half of the time, by its day of release

Whatever a fit rests on and leaves out is in it, by name, so that a registered forecast can be made
again and nothing about it is left to choose afterwards.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import exp
from pathlib import Path
from statistics import median
from typing import Any, Literal

from agent_eval.errors import OperatorError
from agent_eval.stats.figures import Figures, canonical
from agent_eval.stats.horizon import fit_success, success_law, trend_law
from agent_eval.stats.laws import Law, Predicted, Tried, capability_law, loss_law
from agent_eval.stats.problems import Tries, buckets, eligible, minus_mean_log
from agent_eval.stats.register import Forecast

Form = Literal["loss", "capability", "success", "trend"]
AXES: dict[str, tuple[str, str]] = {
    "loss": ("compute", "loss"),
    "capability": ("compute", "-mean log pass rate"),
    "success": ("minutes a person needs", "success"),
    "trend": ("released", "minutes of tasks done half of the time"),
}
NEEDS: dict[str, str] = {
    "loss": "a table with columns model, compute, loss",
    "capability": "runs of scenarios or probes, or a table with columns model, problem, passes, "
    "tries; and one with model, compute",
    "success": "runs, or a table with columns model, problem, passes, tries; and one with problem, "
    "minutes",
    "trend": "a table with columns model, released, horizon_minutes, or runs and the minutes of "
    "their problems",
}
"""What each form is fitted to, in words."""
SHOWN: dict[str, int] = {"loss": 20, "capability": 5, "success": 30, "trend": 6}
"""From how many points on it was shown that intervals of a form hold as often as they say."""
SHOWN_TRIES = 120
"""The same for `success`, of tries in all."""
FAR = 1000.0
"""Times the largest compute: as far as the source's capability forecast reached."""


@dataclass(frozen=True)
class Wanted:
    """What is to be fitted, and of whom it is to foretell something."""

    form: Form
    models: tuple[str, ...] = ()
    """Those that are fitted; none named means all that were measured, the target aside."""
    target: str | None = None
    at: float | None = None
    """Compute, minutes or day (as an ordinal) of what is foretold; else the target's own."""
    buckets: int = 1
    bucket: int = 1
    """Which one, from 1, the easiest."""
    leave_hardest: int = 0
    """So many problems are in no bucket."""
    tries: int | None = None
    """Of each problem, that the target will have; None means as many as the fitted ones had."""


@dataclass(frozen=True)
class Fit:
    """A fitted form with all that it rests on."""

    wanted: Wanted
    law: Law
    points: Mapping[str, tuple[float, float]]
    """What was measured: by model (by problem for `success`), where on the axis, and the value."""
    models: tuple[str, ...]
    problems: tuple[str, ...]
    excluded: Mapping[str, str]
    """Problems and models that were left out, and why."""
    data_sha256: str
    foretold: Predicted | None
    """None where neither target nor place was named."""
    few_tries: bool = False
    """Whether there were fewer than `SHOWN_TRIES`, where that matters."""

    @property
    def metric(self) -> str:
        """What is measured, in words."""
        over = f" over {len(self.problems)} problems" if self.problems else ""
        return {"success": "mean success"}.get(self.wanted.form, AXES[self.wanted.form][1]) + over


def fitted(figures: Figures, wanted: Wanted) -> Fit:
    """Fit a form; raises `NotThisForm` and `OperatorError` where nothing may be foretold."""
    makers = {"loss": _loss, "capability": _capability, "success": _success, "trend": _trend}
    return makers[wanted.form](figures, wanted)


def forecast(fit: Fit, figures: Figures) -> Forecast:
    """What is to be registered; raises `OperatorError` where the target was measured already."""
    target, told = fit.wanted.target, fit.foretold
    if target is None or told is None:
        raise OperatorError("a forecast is about somebody: name --target MODEL")
    if fit.wanted.form != "success" and target in _measured(figures, fit.wanted.form):
        raise OperatorError(
            f"{target} is among the figures already: a forecast is made before that. Take its "
            "runs and rows away, or name another --target"
        )
    return _stated(fit, target, told)


def came_of(fit: Fit, figures: Figures) -> float | None:
    """What came of what a fit foretells, where that was measured already."""
    target, told = fit.wanted.target, fit.foretold
    if target is None or told is None:
        return None
    found = observed(_stated(fit, target, told), figures)
    return found[0] if found else None


def _stated(fit: Fit, target: str, told: Predicted) -> Forecast:
    return Forecast(
        metric=fit.metric,
        target=target,
        form=fit.wanted.form,
        parameters={name: list(values) for name, values in fit.law.parameters.items()},
        models=list(fit.models),
        data_sha256=fit.data_sha256,
        code_sha256=code_sha256(),
        predicted=told.value,
        low=told.low,
        high=told.high,
        level=told.level,
        at=told.at,
        problems=list(fit.problems),
    )


def observed(one: Forecast, figures: Figures) -> tuple[float, list[str]] | None:
    """What came of a forecast, with remarks; None where its target was not measured yet."""
    target = one.target
    if target not in _measured(figures, one.form):
        return None
    if one.form == "loss":
        return figures.losses[target], []
    if one.form == "trend":
        return _horizon(figures, target), []
    solved = figures.results[target]
    missing = [name for name in one.problems if name not in solved]
    if missing and len(missing) == len(one.problems):
        return None
    if missing:
        raise OperatorError(
            f"{target} was not given {len(missing)} of the {len(one.problems)} problems that the "
            f"forecast is about ({', '.join(missing[:3])}, ...): run those as well"
        )
    if one.form == "success":
        return _mean_rate([solved[name] for name in one.problems]), []
    never = [name for name in one.problems if not solved[name].hits]
    said = [f"never solved, so that the true value is larger: {', '.join(never)}"] if never else []
    return minus_mean_log(solved, one.problems), said


def began(one: Forecast, figures: Figures) -> list[datetime]:
    """When all that a forecast is held against began; refuses what has no time."""
    times = [
        each
        for each in figures.times
        if each.model == one.target and (one.form != "success" or each.problem in one.problems)
    ]
    for each in times:
        if each.began is None:
            raise OperatorError(
                f"{each.place} does not say when it was measured, so that it may be older than the "
                "forecast. Give the runs themselves, or fill the column `began`"
            )
    return [each.began for each in times if each.began is not None]


def code_sha256() -> str:
    """SHA-256 over the code that fits and foretells, as hexadecimal."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _measured(figures: Figures, form: str) -> set[str]:
    if form == "loss":
        return set(figures.losses)
    if form == "trend":
        return {*figures.horizons, *(name for name in figures.results if figures.minutes)}
    return set(figures.results)


def _chosen(there: Sequence[str], wanted: Wanted, known: Mapping[str, Any], what: str) -> list[str]:
    """The models to be fitted; raises `OperatorError` for one that lacks what the form needs."""
    models = list(wanted.models) or [name for name in there if name != wanted.target]
    if not models:
        raise OperatorError(
            f"nothing that a {wanted.form} fit needs was measured of any model: give "
            f"{NEEDS[wanted.form]}"
        )
    for name in models:
        if name not in there:
            raise OperatorError(f"nothing was measured of {name!r}; there is {', '.join(there)}")
        if name not in known:
            raise OperatorError(
                f"the {what} of {name!r} is not known: give a table with columns model, {what}, or "
                "name the models to fit with --model"
            )
        if name == wanted.target:
            raise OperatorError(f"{name} cannot be fitted and foretold at once")
    return models


def _foretold(law: Law, wanted: Wanted, known: Mapping[str, float], what: str) -> Predicted | None:
    at = wanted.at
    if at is None and wanted.target is not None:
        at = known.get(wanted.target)
        if at is None:
            raise OperatorError(
                f"the {what} of {wanted.target!r} is not known: say it with --at, or in a table "
                f"with columns model, {what}"
            )
    return None if at is None else law.predict(at)


def _digest(wanted: Wanted, rests_on: Any) -> str:
    return hashlib.sha256(canonical([wanted.form, rests_on])).hexdigest()


# --- the forms ----------------------------------------------------------------------------------


def _loss(figures: Figures, wanted: Wanted) -> Fit:
    models = _chosen(sorted(figures.losses), wanted, figures.compute, "compute")
    points = {name: (figures.compute[name], figures.losses[name]) for name in models}
    law = loss_law(*_columns(points))
    told = _foretold(law, wanted, figures.compute, "compute")
    return Fit(wanted, law, points, tuple(models), (), {}, _digest(wanted, points), told)


def _capability(figures: Figures, wanted: Wanted) -> Fit:
    models = _chosen(sorted(figures.results), wanted, figures.compute, "compute")
    results = {name: figures.results[name] for name in models}
    problems, excluded = _bucket(results, wanted)
    points = {
        name: (figures.compute[name], minus_mean_log(solved, problems))
        for name, solved in results.items()
    }
    had = round(median(solved[name].trials for solved in results.values() for name in problems))
    law = capability_law(*_columns(points), Tried(had, wanted.tries or had, len(problems)))
    told = _foretold(law, wanted, figures.compute, "compute")
    rests_on = {
        name: [figures.compute[name], {p: vars(solved[p]) for p in problems}]
        for name, solved in results.items()
    }
    data = _digest(wanted, rests_on)
    return Fit(wanted, law, points, tuple(models), tuple(problems), excluded, data, told)


def _bucket(
    results: Mapping[str, Mapping[str, Tries]], wanted: Wanted
) -> tuple[list[str], dict[str, str]]:
    """The problems of the bucket that every model solved, and why each other one is left out."""
    _, out = eligible(results)
    if wanted.buckets == 1 and not wanted.leave_hardest:
        inside = sorted({name for solved in results.values() for name in solved})
    else:
        made = buckets(
            results, list(results), count=wanted.buckets, leave_hardest=wanted.leave_hardest
        )
        if not 1 <= wanted.bucket <= len(made):
            raise OperatorError(f"there are {len(made)} buckets, and no number {wanted.bucket}")
        inside = made[wanted.bucket - 1]
    return [name for name in inside if name not in out], {
        name: why for name, why in out.items() if name in inside or "never tried" in why
    }


def _success(figures: Figures, wanted: Wanted) -> Fit:
    models = wanted.models or tuple(name for name in (wanted.target,) if name)
    if len(models) != 1:
        raise OperatorError("a success fit is of one model: name it with --model")
    (model,) = models
    solved = figures.results.get(model)
    if not solved:
        raise OperatorError(f"{model!r} has no results: give {NEEDS['success']}")
    excluded = {name: "nobody said its minutes" for name in solved if name not in figures.minutes}
    known = {name: figures.minutes[name] for name in sorted(solved) if name not in excluded}
    if not known:
        raise OperatorError("no task has minutes: give a table with columns problem, minutes")
    law, over = success_law(list(known.values()), [solved[name] for name in known])
    fresh = sorted(figures.minutes.keys() - solved.keys())
    told = law.predict(wanted.at) if wanted.at is not None else None
    if told is None and fresh:
        told = over([figures.minutes[name] for name in fresh])
    elif told is None and wanted.target:
        raise OperatorError(
            "every task with minutes was given to it already: add rows problem, minutes of those "
            "that are to come"
        )
    points = {
        name: (length, solved[name].hits / solved[name].trials) for name, length in known.items()
    }
    data = _digest(wanted, {name: [known[name], vars(solved[name])] for name in known})
    problems = tuple(fresh) if wanted.at is None else ()
    few = sum(solved[name].trials for name in known) < SHOWN_TRIES
    return Fit(wanted, law, points, models, problems, excluded, data, told, few)


def _trend(figures: Figures, wanted: Wanted) -> Fit:
    there = sorted(_measured(figures, "trend"))
    models = _chosen(there, wanted, figures.released, "released")
    days = {name: float(day.toordinal()) for name, day in figures.released.items()}
    points = {name: (days[name], _horizon(figures, name)) for name in models}
    law = trend_law([date.fromordinal(int(x)) for x, _ in points.values()], _columns(points)[1])
    told = _foretold(law, wanted, days, "released")
    return Fit(wanted, law, points, tuple(models), (), {}, _digest(wanted, points), told)


def _horizon(figures: Figures, model: str) -> float:
    """Minutes: as a table says, or from what the model did with tasks of known length."""
    if model in figures.horizons:
        return figures.horizons[model]
    solved = figures.results[model]
    known = [name for name in sorted(solved) if name in figures.minutes]
    if not known:
        raise OperatorError(f"no task that {model} was given has minutes: add problem, minutes")
    rates = [solved[name].hits / solved[name].trials for name in known]
    weights = [float(solved[name].trials) for name in known]
    return fit_success([figures.minutes[n] for n in known], rates, weights).horizon_minutes()


def _mean_rate(tries: Sequence[Tries]) -> float:
    return sum(one.hits / one.trials for one in tries) / len(tries)


def _columns(points: Mapping[str, tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points.values()], [y for _, y in points.values()]


@dataclass(frozen=True)
class Point:
    """One point of a fit, or what it foretells."""

    name: str
    """The model; for `success` the problem."""
    what: Literal["fitted", "foretold"]
    at: float
    """Compute, minutes, or a day as an ordinal."""
    measured: float | None
    """None of what did not come yet."""
    curve: float
    low: float
    high: float


def points(fit: Fit, came: float | None) -> list[Point]:
    """What was measured beside the curve; last what is foretold, and what `came` of it."""
    found = []
    for name, (at, value) in fit.points.items():
        told = fit.law.predict(at)
        found.append(Point(name, "fitted", at, value, told.value, told.low, told.high))
    if fit.foretold is not None:
        told = fit.foretold
        place = (told.at, came, told.value, told.low, told.high)
        found.append(Point(fit.wanted.target or "", "foretold", *place))
    return found


def remarks(fit: Fit) -> list[str]:
    """What a person should know of a fit before relying on it."""
    said = [f"left out   {name}: {why}" for name, why in sorted(fit.excluded.items())]
    told, form = fit.foretold, fit.wanted.form
    if fit.law.points < SHOWN[form] or fit.few_tries:
        tries = f", {SHOWN_TRIES} tries in all" if form == "success" else ""
        said.append(
            f"beware     that intervals hold 95 times in 100 is shown for {SHOWN[form]} points and "
            f"more{tries}; these may hold less often"
        )
    if told is not None and form in ("loss", "capability"):
        far = told.at / max(x for x, _ in fit.points.values())
        if far > FAR:
            said.append(
                f"beware     {far:,.0f} times the largest compute that was fitted; the source "
                f"went {FAR:,.0f} times for capability, 10,000 for loss"
            )
    if told is not None and form == "capability":
        said.append(
            f"that is    a geometric mean pass rate of {exp(-told.value):.1%} "
            f"({exp(-told.high):.1%} to {exp(-told.low):.1%})"
        )
    return said
