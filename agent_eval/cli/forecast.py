"""`agent-eval forecast`: fits over small models, predictions made in advance, and what came."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click

from agent_eval.basics.display import printable
from agent_eval.cli import how_called
from agent_eval.errors import OperatorError
from agent_eval.stats.figures import Figures, read_figures
from agent_eval.stats.fit_plots import draw_fit
from agent_eval.stats.foretelling import (
    AXES,
    Fit,
    Point,
    Wanted,
    began,
    came_of,
    fitted,
    forecast,
    observed,
    points,
    remarks,
)
from agent_eval.stats.laws import Predicted
from agent_eval.stats.register import Checked, Registered, check, register, registered
from agent_eval.stats.written import as_csv, as_records

MISSED = 1

DATA = """\b
DATA are folders of runs, of probes too, and tables (.csv, or .jsonl with an object a line).
A row says what it is about by the columns that it fills:
  model, loss                     what a model's loss is
  model, problem, passes, tries   how often it solved a problem; rows of one add up
  model, horizon_minutes          how long a task it does half of the time
  model, compute / released       what is known of a model: any unit; 2026-01-31
  problem, minutes                how long a person needs for a problem
  began                           when what a row says was measured began (ISO 8601)

\b
For example:
  agent-eval forecast fit capability runs/family family.csv --target large --plot fit.svg
  agent-eval forecast register register.jsonl capability runs/family family.csv --target large
  agent-eval forecast check register.jsonl runs/large"""

Command = Callable[..., Any]


@dataclass(frozen=True)
class Held:
    """A forecast held against what came, as a row."""

    number: int
    registered: str
    target: str
    metric: str
    predicted: float
    low: float
    high: float
    observed: float | None
    """None where nothing was measured yet."""
    hit: bool | None

    @classmethod
    def of(cls, one: Registered, came: Checked | None) -> "Held":
        """The row of a registered forecast."""
        about = one.forecast
        return cls(
            *(one.number, one.time.isoformat(), about.target, about.metric),
            *(about.predicted, about.low, about.high),
            observed=None if came is None else came.observed,
            hit=None if came is None else came.hit,
        )


@click.group("forecast", epilog=DATA)
def command() -> None:
    """Predict a large model from small ones, and hold the prediction against what came."""


def _of_a_fit(function: Command) -> Command:
    """The arguments and options of whatever fits."""
    path = click.Path(exists=True, path_type=Path)
    options: list[Callable[[Command], Command]] = [
        click.argument("form", type=click.Choice(tuple(AXES))),
        click.argument("data", nargs=-1, required=True, type=path),
        click.option("--model", "models", multiple=True,
                     help="Fit only these; usually all but the target."),
        click.option("--target", help="The model that is foretold; it is never fitted."),
        click.option("--at", help="Its compute, or for trend its day (2026-01-31), or for success "
                                  "the minutes of a task; usually out of the tables."),
        click.option("--buckets", default=1, type=click.IntRange(1),
                     help="Problems in so many buckets, by the fitted models' difficulty alone."),
        click.option("--bucket", default=1, type=click.IntRange(1),
                     help="Which one, from 1, the easiest."),
        click.option("--leave-hardest", default=0, type=click.IntRange(0), metavar="N",
                     help="The N hardest problems are in no bucket."),
        click.option("--tries", type=click.IntRange(1), metavar="N",
                     help="Tries of each problem that the target will have, for capability; "
                          "usually as many as the fitted ones had."),
        click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Draw it, as .svg or .png."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@command.command("fit", epilog=DATA)
@_of_a_fit
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--csv", "table", is_flag=True, help="The points beside the curve, as a table.")
def fit_command(
    form: Any, data: tuple[Path, ...], plot: Path | None, as_json: bool, table: bool, **options: Any
) -> None:
    """Fit FORM to DATA: loss L(C) = a C^b + c, capability, success by length of task, or trend."""
    figures = read_figures(data)
    fit = fitted(figures, _wanted(form, options))
    came = came_of(fit, figures)
    if plot is not None:
        draw_fit(plot, fit, came)
    if as_json:
        click.echo(json.dumps(_as_json(fit) | {"came": came}))
        return
    if table:
        click.echo(as_csv(points(fit, came), Point), nl=False)
        return
    for line in _lines(fit):
        click.echo(printable(line))
    if came is not None:
        click.echo(f"came       {came:.4g}")


@command.command("register", epilog=DATA)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="REGISTER")
@_of_a_fit
def register_command(
    file: Path, form: Any, data: tuple[Path, ...], plot: Path | None, **options: Any
) -> None:
    """Fit, and write what it foretells of the target into REGISTER, before the target is run.

    Keep the hash that is printed: with it, nobody can take a line away afterwards.
    """
    figures = read_figures(data)
    fit = fitted(figures, _wanted(form, options))
    made = register(file, forecast(fit, figures))
    if plot is not None:
        draw_fit(plot, fit)
    for line in (
        *_lines(fit),
        f"registered number {made.number} in {file} at {made.time:%Y-%m-%d %H:%M:%S} UTC",
        f"head       {made.line_sha256}",
        f"next       run {made.forecast.target}, then {how_called()} forecast check {file} DATA",
    ):
        click.echo(printable(line))


@command.command("check", epilog=DATA)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                metavar="REGISTER")  # fmt: skip
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--number", type=click.IntRange(1), help="Only this forecast; usually all.")
@click.option("--head", help="The hash that `register` printed: its line has to be there.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--csv", "table", is_flag=True, help="The same as a table.")
def check_command(
    file: Path, data: tuple[Path, ...], number: int | None, head: str | None, as_json: bool,
    table: bool,
) -> None:  # fmt: skip
    """Hold what came against REGISTER; refuses runs that are older than their forecast.

    Exit code 1 where a forecast missed, 2 where nothing can be said.
    """
    there = registered(file)
    if head is not None and head not in [one.line_sha256 for one in there]:
        raise OperatorError(f"{file} has no line with the hash {head}: lines were taken away")
    chosen = [one for one in there if number in (None, one.number)]
    if not chosen:
        raise OperatorError(f"{file} has no forecast {number}; it has {len(there)}")
    figures = read_figures(data)
    results = [(one, _checked(one, figures)) for one in chosen]
    rows = [Held.of(one, came) for one, (came, _) in results]
    if as_json:
        click.echo(json.dumps(as_records(rows)))
    elif table:
        click.echo(as_csv(rows, Held), nl=False)
    else:
        for one, (came, said) in results:
            for line in _check_lines(one, came, said):
                click.echo(printable(line))
    known = [came for _, (came, _) in results if came is not None]
    if not known:
        targets = ", ".join(sorted({one.forecast.target for one in chosen}))
        raise OperatorError(f"nothing was measured of {targets} yet: run that first")
    if not all(came.hit for came in known):
        raise click.exceptions.Exit(MISSED)


def _wanted(form: Any, options: dict[str, Any]) -> Wanted:
    at = options.pop("at")
    try:
        place = None if at is None else _place(form, at)
    except ValueError as error:
        unit = "a day, 2026-01-31" if form == "trend" else "a number above 0"
        raise OperatorError(f"--at {at}: give {unit}") from error
    return Wanted(form=form, at=place, **options)


def _place(form: str, at: str) -> float:
    if form == "trend":
        return float(date.fromisoformat(at).toordinal())
    if not float(at) > 0:
        raise ValueError(at)
    return float(at)


def _checked(one: Registered, figures: Figures) -> tuple[Checked | None, list[str]]:
    """What came of a forecast, and remarks; nothing where its target was not measured yet."""
    found = observed(one.forecast, figures)
    if found is None:
        return None, []
    value, said = found
    return check(one, value, began(one.forecast, figures)), said


def _lines(fit: Fit) -> Iterator[str]:
    x_title, _ = AXES[fit.wanted.form]
    models = ", ".join(fit.models)
    yield f"form       {fit.wanted.form}, by {x_title}: {fit.metric}"
    yield f"fitted     {fit.law.points} points of {models}"
    for name, (value, low, high) in fit.law.parameters.items():
        yield f"{name:<10} {value:.4g} ({low:.4g} to {high:.4g})"
    if fit.foretold is not None:
        whose = f"{fit.wanted.target}: " if fit.wanted.target else ""
        told = fit.foretold
        yield f"foretold   {whose}{_interval(told)} at {_where(fit.wanted.form, told.at)}"
    yield from remarks(fit)


def _interval(told: Predicted) -> str:
    return f"{told.value:.4g} ({told.low:.4g} to {told.high:.4g}, {told.level:.0%})"


def _where(form: str, at: float) -> str:
    if form == "trend":
        return date.fromordinal(round(at)).isoformat()
    return f"{at:.4g} {'minutes' if form == 'success' else 'compute'}"


def _check_lines(one: Registered, came: Checked | None, said: list[str]) -> Iterator[str]:
    about = one.forecast
    stated = f"{about.predicted:.4g} ({about.low:.4g} to {about.high:.4g})"
    title = f"{one.number}. {about.target}: {about.metric}, foretold {stated} {one.time:%Y-%m-%d}"
    if came is None:
        yield f"{title}: open, nothing was measured yet"
        return
    yield f"{title}: {'hit' if came.hit else 'miss'}, {came.observed:.4g} came"
    yield from (f"   {each}" for each in said)


def _as_json(fit: Fit) -> dict[str, Any]:
    return {
        "form": fit.wanted.form,
        "metric": fit.metric,
        "parameters": fit.law.parameters,
        "points": fit.points,
        "models": fit.models,
        "problems": fit.problems,
        "excluded": dict(fit.excluded),
        "data_sha256": fit.data_sha256,
        "foretold": None if fit.foretold is None else asdict(fit.foretold),
    }
