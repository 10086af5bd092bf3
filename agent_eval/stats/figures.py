"""Figures that forecasts are made from: out of tables that people write, and out of runs.

A table is CSV or JSON lines; every row says what it is about by the columns that it fills:

    model, loss                     what a model's loss is
    model, problem, passes, tries   how often it solved a problem; rows of one problem add up
    model, horizon_minutes          how long a task it does half of the time
    model, compute / released       what is known of a model: a number in any unit, a day
    problem, minutes                how long a person needs for a problem

A measured row may have `began`, when its first run began (ISO 8601); what has none cannot be held
against a forecast. Several tables and folders of runs are read together: the compute of models that
ran may stand in a table of its own.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError
from agent_eval.record.reading import read_summary
from agent_eval.record.runset import Entry, RunSet, entry_of
from agent_eval.record.transcript import EVENTS
from agent_eval.stats.problems import Tries

COLUMNS = (
    "model", "problem", "loss", "passes", "tries", "horizon_minutes", "compute", "released",
    "minutes", "began",
)  # fmt: skip
MEASURES = ("loss", "passes", "horizon_minutes")


@dataclass(frozen=True)
class Measured:
    """When something was measured."""

    model: str
    problem: str | None
    place: str
    """The run, or the row of a table."""
    began: datetime | None
    """None where nobody says."""


@dataclass
class Figures:
    """What was measured, and what is known of models and problems."""

    results: dict[str, dict[str, Tries]] = field(default_factory=lambda: defaultdict(dict))
    """By model, then by problem."""
    losses: dict[str, float] = field(default_factory=dict)
    horizons: dict[str, float] = field(default_factory=dict)
    """Minutes, by model."""
    compute: dict[str, float] = field(default_factory=dict)
    released: dict[str, date] = field(default_factory=dict)
    minutes: dict[str, float] = field(default_factory=dict)
    """By problem."""
    times: list["Measured"] = field(default_factory=list)
    """When each was measured."""

    @property
    def models(self) -> list[str]:
        """Those of which anything was measured."""
        return sorted({*self.results, *self.losses, *self.horizons})

    def add_tries(self, model: str, problem: str, tries: Tries) -> None:
        """Add what a model did with a problem to what it did before."""
        before = self.results[model].get(problem, Tries(0, 0))
        both = Tries(before.trials + tries.trials, before.hits + tries.hits)
        self.results[model][problem] = both


def read_figures(paths: Iterable[Path]) -> Figures:
    """All tables and runs together; raises `OperatorError` with file and line of every fault."""
    figures = Figures()
    for path in paths:
        if path.is_dir():
            _take_runs(figures, path)
            continue
        for number, row in _rows(path):
            try:
                _take_row(figures, row, f"{path}:{number}")
            except (ValueError, TypeError) as error:
                raise OperatorError(f"{path}:{number}: {error}") from error
    return figures


# --- tables -------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table with their lines, columns that are empty left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"{path}: cannot be read ({error}). Name a folder of runs, or a table (.csv or .jsonl) "
            f"with columns out of {', '.join(COLUMNS)}"
        ) from error
    rows = _of_lines(path, text) if path.suffix == ".jsonl" else _of_csv(text)
    for number, row in rows:
        filled = {name: value for name, value in row.items() if value not in (None, "")}
        unknown = [str(name) for name in filled if name not in COLUMNS]
        if unknown:
            raise OperatorError(
                f"{path}:{number}: no column is called {', '.join(unknown)}; "
                f"known are {', '.join(COLUMNS)}"
            )
        yield number, filled


def _of_csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    before = len(text.splitlines()) - len(lines)
    for number, row in enumerate(csv.DictReader(lines, restkey="(one too many)"), 2 + before):
        yield number, {name: _stripped(value) for name, value in row.items()}


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _of_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = untrusted_json(line)
        except ValueError as error:
            raise OperatorError(f"{path}:{number}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise OperatorError(f"{path}:{number}: a row is an object, {{...}}")
        yield number, row


def _take_row(figures: Figures, row: Mapping[str, Any], place: str) -> None:
    model, problem = _name(row, "model"), _name(row, "problem")
    known = _take_known(figures, row, model, problem)
    measured = [name for name in MEASURES if name in row]
    if not measured:
        if not known:
            raise ValueError(f"says nothing: fill one of {', '.join(MEASURES)}, or what is known")
        return
    if model is None:
        raise ValueError(f"{measured[0]} of which model? Fill the column `model`")
    if "loss" in row:
        _settle(figures.losses, model, "loss", _number(row, "loss"), "a model")
    if "horizon_minutes" in row:
        horizon = _above_zero(row, "horizon_minutes")
        _settle(figures.horizons, model, "horizon_minutes", horizon, "a model")
    if "passes" in row:
        if problem is None or "tries" not in row:
            raise ValueError("passes need the columns `problem` and `tries`")
        figures.add_tries(model, problem, _tries(row))
    began = _moment(row["began"]) if "began" in row else None
    figures.times.append(Measured(model, problem, place, began))


def _take_known(
    figures: Figures, row: Mapping[str, Any], model: str | None, problem: str | None
) -> bool:
    """Take what a row says of a model or a problem beside measures; whether it says anything."""
    if "minutes" in row:
        _settle(figures.minutes, problem, "minutes", _above_zero(row, "minutes"), "a problem")
    if "compute" in row:
        _settle(figures.compute, model, "compute", _above_zero(row, "compute"), "a model")
    if "released" in row:
        _settle(figures.released, model, "released", _day(row), "a model")
    return bool({"minutes", "compute", "released"} & row.keys())


def _settle(known: dict[str, Any], name: str | None, what: str, value: Any, of: str) -> None:
    """Take a value, and refuse another one for the same name."""
    if name is None:
        raise ValueError(f"{what} of what? It is of {of}: fill that column")
    if known.setdefault(name, value) != value:
        raise ValueError(f"{what} of {name} is {value} here and {known[name]} before; say one")


def _name(row: Mapping[str, Any], column: str) -> str | None:
    value = row.get(column)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{column}: {value!r} is no name")
    return value


def _number(row: Mapping[str, Any], column: str) -> float:
    value = row[column]
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{column}: {value!r} is no number") from error
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"{column}: {value!r} is no number")
    return number


def _above_zero(row: Mapping[str, Any], column: str) -> float:
    number = _number(row, column)
    if number <= 0:
        raise ValueError(f"{column}: {number:g} is not above 0")
    return number


def _tries(row: Mapping[str, Any]) -> Tries:
    hits, trials = _number(row, "passes"), _number(row, "tries")
    if hits != int(hits) or trials != int(trials) or not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits:g} passes in {trials:g} tries cannot be; both are whole numbers")
    return Tries(int(trials), int(hits))


def _day(row: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(str(row["released"]))
    except ValueError as error:
        raise ValueError(f"released: {row['released']!r} is no day; write 2026-01-31") from error


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"began: {value!r} is no moment; write 2026-01-31T12:00+00:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- runs ---------------------------------------------------------------------------------------


def _take_runs(figures: Figures, folder: Path) -> None:
    """A run, or all runs of a folder: a scenario is a problem, and so is each task of a probe."""
    if folder.joinpath(EVENTS).is_file():
        _take_run(figures, folder, entry_of(folder))
        return
    for entry in RunSet.read(folder).entries.values():
        if " of " not in entry.scenario:
            _take_run(figures, folder / entry.run, entry)


def _take_run(figures: Figures, run: Path, entry: Entry) -> None:
    if not entry.counts:
        return
    done = _of_probe(run)
    if done is None:
        hit = int(entry.verdict == "success")
        done = {} if entry.verdict == "unscored" else {entry.scenario: Tries(1, hit)}
    began = _moment(entry.started) if entry.started is not None else None
    for problem, tries in done.items():
        figures.add_tries(entry.model, problem, tries)
        figures.times.append(Measured(entry.model, problem, str(run), began))


def _of_probe(run: Path) -> dict[str, Tries] | None:
    """What a probe's model did with each task; what machine or limit left undone is no try."""
    tasks = probed(run)
    if tasks is None:
        return None
    tried = {
        name: Tries(sum(counts.values()) - counts.get("lost", 0), counts.get("passed", 0))
        for name, counts in tasks.items()
    }
    return {name: tries for name, tries in tried.items() if tries.trials}


def probed(run: Path) -> dict[str, dict[str, int]] | None:
    """What came of each task of a probe, by what came and how often; None for any other run."""
    told = read_summary(run).get("probe")
    if not isinstance(told, dict):
        return None
    try:
        return {
            f"{told['name']}/{name}": {str(what): int(count) for what, count in counts.items()}
            for name, counts in told["tasks"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OperatorError(f"{run}: its probe is not as this program writes it: {error!r}") from (
            error
        )


def canonical(value: Any) -> bytes:
    """A value as JSON that is the same for equal values, for digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
