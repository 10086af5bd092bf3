"""Pages over all runs of a folder: the table with its rates, and a search in all of them."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent_eval.record.runset import Entry, RunSet
from agent_eval.review import asking
from agent_eval.review.asking import Source, Wish
from agent_eval.review.found import Grading, grading_of
from agent_eval.review.keeping import Keeper
from agent_eval.review.readers import WITHHELD, sees
from agent_eval.review.rendering import page
from agent_eval.review.scanning import MOST_S, Scan
from agent_eval.review.told import Row, Telling
from agent_eval.review.veil import veiled
from agent_eval.show.findings import behaviour_rates, rate_lines
from agent_eval.show.rates import success_rate

AT_ONCE = 500
"""Runs of a table; of more, the rest comes with another filter."""

HITS_IN_A_RUN = 5
RUNS_WITH_HITS = 40

LABELS = "labels.jsonl"


@dataclass(frozen=True)
class Listed:
    """A run in the table."""

    name: str
    entry: Entry
    grading: Grading
    goes_on: bool
    labels: int
    """Lines that reviewers wrote about it."""

    @property
    def scenario(self) -> str:
        """Its title."""
        return self.entry.scenario

    @property
    def model(self) -> str:
        """Its name."""
        return self.entry.model

    @property
    def outcome(self) -> str:
        """How it ended, in a word or two."""
        if self.entry.outcome is None:
            return "goes on" if self.goes_on else "no end"
        return str(self.entry.outcome.get("status"))

    @property
    def blame(self) -> str:
        """Whose fault that was, if anybody's."""
        return str((self.entry.outcome or {}).get("blame") or "")

    @property
    def success(self) -> str:
        """How its answer was judged."""
        return self.entry.verdict

    @property
    def found(self) -> tuple[str, ...]:
        """Behaviours that are flagged."""
        return tuple(self.grading.said("yes"))

    @property
    def usd(self) -> float | None:
        """What it cost; None where nobody knows."""
        value = (self.entry.spent or {}).get("usd", 0)
        return float(value) if isinstance(value, int | float) else None

    @property
    def steps(self) -> int:
        """How many it took."""
        value = (self.entry.spent or {}).get("steps", 0)
        return int(value) if isinstance(value, int | float) else 0


FILTERS: dict[str, Callable[[Listed], Iterable[str]]] = {
    "scenario": lambda one: (one.scenario,),
    "model": lambda one: (one.model,),
    "outcome": lambda one: (one.outcome,),
    "blame": lambda one: (one.blame,) if one.blame else (),
    "success": lambda one: (one.success,),
    "found": lambda one: one.found,
    "labels": lambda one: ("some" if one.labels else "none",),
}
"""What a reader can filter by, and what a run has of it."""

SORTS: dict[str, Callable[[Listed], Any]] = {
    "run": lambda one: one.name,
    "scenario": lambda one: one.scenario,
    "model": lambda one: one.model,
    "outcome": lambda one: (one.outcome, one.blame),
    "success": lambda one: one.success,
    "found": lambda one: (-len(one.found), one.found),
    "steps": lambda one: -one.steps,
    "spent": lambda one: -(one.usd or 0.0),
    "labels": lambda one: -one.labels,
}
"""Columns, each with what it is sorted by; what is large comes first."""


@dataclass(frozen=True)
class Group:
    """Runs that are equal but for chance."""

    scenario: str
    model: str
    version: str
    """That tells it from others of one scenario and model; empty where there is none."""
    runs: int
    success: str
    findings: tuple[str, ...]


def listed(request: Request) -> tuple[list[Listed], dict[str, str]]:
    """All runs of the folder and its sets, and what could not be read, with the reason."""
    keeper: Keeper = request.app.state.keeper
    runs: list[Listed] = []
    unreadable: dict[str, str] = {}
    for folder in keeper.sets():
        found = RunSet.read(folder)
        for name, why in found.unreadable.items():
            unreadable[keeper.name_of(folder / name)] = why
        runs += [
            _one(request, folder / entry.run, entry)
            for entry in found.entries.values()
            if keeper.only in (None, entry.run)
        ]
    return runs, unreadable


def _one(request: Request, run: Path, entry: Entry) -> Listed:
    keeper: Keeper = request.app.state.keeper
    goes_on = entry.outcome is None and keeper.goes_on(run)
    stamp = tuple(_stamp(run / name) for name in ("findings.jsonl", "run.json"))
    seen = sees(request, run)
    grading, entry = (_graded(run, stamp), entry) if seen else (WITHHELD, veiled(entry))
    return Listed(keeper.name_of(run), entry, grading, goes_on, _labels(run))


@lru_cache(maxsize=5000)
def _graded(run: Path, _stamp: tuple[int, ...]) -> Grading:
    return grading_of(run)


def _stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _labels(run: Path) -> int:
    try:
        return run.joinpath(LABELS).read_bytes().count(b"\n")
    except OSError:
        return 0


def chosen(runs: Iterable[Listed], query: Mapping[str, str]) -> list[Listed]:
    """The runs that a reader asks for, in the order that is asked for."""
    wanted = {name: query[name] for name in FILTERS if query.get(name)}
    least = amount(query.get("spent", ""))
    kept = [
        one
        for one in runs
        if all(value in FILTERS[name](one) for name, value in wanted.items())
        and (one.usd or 0.0) >= least
    ]
    return sorted(kept, key=SORTS.get(query.get("sort", ""), SORTS["run"]))


def amount(text: str) -> float:
    """Dollars from an address; none where that is no amount."""
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{0,9})?|\.\d{1,9}", text, re.ASCII) else 0.0


def groups(runs: Iterable[Listed]) -> Iterator[Group]:
    """Rates of runs that are equal but for chance, with their intervals and what they cover."""
    by: dict[tuple[str, str, str], list[Listed]] = {}
    for one in runs:
        by.setdefault((one.scenario, one.model, one.entry.cell), []).append(one)
    alike = Counter((scenario, model) for scenario, model, _ in by)
    for (scenario, model, cell), some in sorted(by.items()):
        said = (one.grading.verdicts or None for one in some if one.entry.counts)
        rates = {name: rate for name, rate in behaviour_rates(said).items() if rate.hits}
        withheld = any(one.grading is WITHHELD for one in some)
        success = "withheld" if withheld else success_rate(one.entry for one in some).words()
        version = cell[:8] if alike[scenario, model] > 1 else ""
        yield Group(scenario, model, version, len(some), success, tuple(rate_lines(rates)))


def table(request: Request) -> Response:
    """All runs, or the only one."""
    keeper: Keeper = request.app.state.keeper
    if keeper.only:
        return RedirectResponse(f"/run/{keeper.only}", 303)
    runs, unreadable = listed(request)
    query = dict(request.query_params)
    kept = chosen(runs, query)
    options = {
        name: sorted({value for one in runs for value in of(one)}) for name, of in FILTERS.items()
    }
    kept_query = {name: query[name] for name in (*FILTERS, "spent") if query.get(name)}
    sorts = {name: "/?" + urlencode(kept_query | {"sort": name}) for name in SORTS}
    return page(
        request,
        "runs.html",
        runs=kept[:AT_ONCE],
        more=max(len(kept) - AT_ONCE, 0),
        of=len(runs),
        groups=list(groups(kept)),
        options=options,
        sorts=sorts,
        sorted_by=query.get("sort", "run"),
        unreadable=unreadable,
    )


@dataclass(frozen=True)
class Hits:
    """What a search found in a run."""

    name: str
    count: int
    rows: list[Row]


def search(request: Request) -> Response:
    """Events of all runs in which these words stand."""
    keeper: Keeper = request.app.state.keeper
    words = request.query_params.get("q", "").strip()
    after = asking.number(request.query_params.get("after"), 0)
    found: list[Hits] = []
    waiting, until = [], time.monotonic() + MOST_S
    names = list(keeper.names()) if words else []
    searched = after
    for name in names[after:]:
        if len(found) >= RUNS_WITH_HITS:
            break
        searched += 1
        run = keeper.run(name)
        if run is None:
            continue
        index = keeper.index(run)
        seen = sees(request, run)
        with index.opened(veiled=not seen) as db, Source(run, veiled=not seen) as source:
            places, count = asking.search(db, words, -1, HITS_IN_A_RUN)
            if not keeper.whole(index):
                waiting.append(name)
                ahead = Scan(run, words, asking.come_to(db), until)
                places += ahead.find(-1, HITS_IN_A_RUN - len(places))
                count = max(count, len(places))
            tell = Telling(db, source)
            if places:
                found.append(Hits(name, count, [tell.hit(each, words) for each in places]))
    return page(
        request,
        "search.html",
        words=words,
        found=found,
        waiting=waiting,
        searched=searched,
        left=max(len(names) - searched, 0),
        wish=Wish(),
    )


ROUTES = [Route("/", table), Route("/search", search)]
