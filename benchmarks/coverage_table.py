"""How often each stated interval holds the truth, on data of known parameters.

Over as many seeds as are asked (500), on the data that stand in each row; 95 % is stated, and 92 to
98 is what such a count may come to. What can be summed up over all outcomes is, without seeds.
`tests/benchmarks/test_coverage_table.py` holds all of it, with the seeds that stand here.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import product
from math import exp, log

import numpy as np
from figures import machine
from scipy.stats import binom

from agent_eval.errors import NotThisForm
from agent_eval.stats.bits import upper_bound
from agent_eval.stats.clusters import rate_interval
from agent_eval.stats.compared import paired
from agent_eval.stats.figures import Figures
from agent_eval.stats.foretelling import Wanted, fitted, forecast, observed
from agent_eval.stats.horizon import success_law, trend_law
from agent_eval.stats.intervals import wilson
from agent_eval.stats.laws import capability_law, loss_law
from agent_eval.stats.problems import Tries

SEEDS = 500
LEAST, MOST = 0.92, 0.98
Held = Mapping[str, bool]
"""By the name of an interval, whether it held the truth."""


@dataclass(frozen=True)
class Cell:
    """One kind of data."""

    grid: str
    once: Callable[[int], Held]
    """What came of one seed; nothing where the form refused the data."""


# --- rates --------------------------------------------------------------------------------------


def wilson_covers(of: int, rate: float) -> float:
    """The chance of all counts whose interval has the rate in it."""
    inside = [k for k in range(of + 1) if wilson(k, of)[0] <= rate <= wilson(k, of)[1]]
    return sum(float(binom.pmf(k, of, rate)) for k in inside)


def bound_covers(of: int, rate: float) -> float:
    """The same of the one-sided bound, of which 97.5 in 100 are stated."""
    inside = [k for k in range(of + 1) if upper_bound(k, of) >= rate]
    return sum(float(binom.pmf(k, of, rate)) for k in inside)


def clustered(rate: float, clusters: int, each: int, alike: float, seed: int) -> Held:
    """Runs of scenarios whose own rates vary around one; `alike` 0 is not at all."""
    random = np.random.default_rng(seed)
    rates = np.full(clusters, rate)
    if alike:
        rates = random.beta(rate / alike, (1 - rate) / alike, clusters)
    runs = {
        str(number): random.binomial(1, own, each).astype(float).tolist()
        for number, own in enumerate(rates)
    }
    seen = rate_interval(runs, draws=300, seed=seed)
    return {} if seen is None else {"rate over scenarios": seen[0] <= rate <= seen[1]}


def no_difference(scenarios: int, seed: int) -> Held:
    """Two models that are alike, five runs each of every scenario."""
    random = np.random.default_rng(seed)
    rates = random.beta(2, 2, scenarios)
    one, other = (
        {str(n): random.binomial(5, own) / 5 for n, own in enumerate(rates)} for _ in range(2)
    )
    found = paired(one, other, seed=seed)
    return {} if found is None else {"no difference, p > 0.05": found.p > 0.05}


# --- laws ---------------------------------------------------------------------------------------


def losses(points: int, noise: float, seed: int) -> Held:
    """The loss of one more model at 100 times the compute."""
    random = np.random.default_rng(1000 + seed)
    compute = np.logspace(-8, -2, points)
    values = 0.5 * compute**-0.12 + 1.2 + random.normal(0, noise, points)
    law = loss_law(compute.tolist(), values.tolist())
    came, told = 1.7 + float(random.normal(0, noise)), law.predict(1)
    return {"loss foretold": told.low <= came <= told.high}


def loss_parameters(points: int, noise: float, seed: int) -> Held:
    """The parameters of the loss law, which are tied to each other."""
    random = np.random.default_rng(1000 + seed)
    compute = np.logspace(-8, -2, points)
    values = 0.5 * compute**-0.12 + 1.2 + random.normal(0, noise, points)
    law = loss_law(compute.tolist(), values.tolist())
    true = {"a": 0.5, "b": -0.12, "c": 1.2}
    return {f"loss: {name}": _in(law.parameters[name], value) for name, value in true.items()}


def line(points: int, noise: float, seed: int) -> Held:
    """The capability law on values that lie off it by chance alone."""
    random = np.random.default_rng(seed)
    compute = np.logspace(-6, -3, points)
    values = 0.3 * compute**-0.2 * np.exp(random.normal(0, noise, points))
    law = capability_law(compute.tolist(), values.tolist())
    told, came = law.predict(1), 0.3 * exp(float(random.normal(0, noise)))
    return {
        "capability foretold": told.low <= came <= told.high,
        "capability: alpha": _in(law.parameters["alpha"], 0.3),
        "capability: k": _in(law.parameters["k"], 0.2),
    }


def capability(tries: int, target: float, off: float, seed: int) -> Held:
    """Models that lie off the curve by their tries' chance, and by something of their own."""
    hardness = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8)
    random, figures = np.random.default_rng(seed), Figures()
    family = {f"m{c:g}": c for c in (1.0, 10.0, 100.0, 1e3, 1e4)} | {"big": target}
    figures.compute.update(family)
    done = {}
    for model, c in family.items():
        skill = exp(random.normal(0, off)) * c**-0.15
        done[model] = [Tries(tries, int(random.binomial(tries, exp(-h * skill)))) for h in hardness]
    big = done.pop("big")
    for model, each in done.items():
        for number, one in enumerate(each):
            figures.add_tries(model, f"p{number}", one)
    told = forecast(fitted(figures, Wanted("capability", target="big")), figures)
    for number, one in enumerate(big):
        figures.add_tries("big", f"p{number}", one)
    came = observed(told, figures)
    return (
        {} if came is None else {"capability of tries foretold": told.low <= came[0] <= told.high}
    )


def trends(models: int, noise: float, seed: int) -> Held:
    """The horizon of one more model, and the doubling time."""
    random = np.random.default_rng(seed)
    days = [date.fromordinal(738_000 + 100 * n) for n in range(models)]
    values = [2 ** (100 * n / 212) * exp(random.normal(0, noise)) for n in range(models + 1)]
    law = trend_law(days, values[:-1])
    told = law.predict(738_000 + 100.0 * models)
    return {
        "trend foretold": told.low <= values[-1] <= told.high,
        "doubling time": _in(law.parameters["doubling_days"], 212),
    }


def horizons(tasks: int, tries: int, slope: float, off: float, seed: int) -> Held:
    """One model's curve; `off` is how much tasks differ by more than their length, in logits."""
    random = np.random.default_rng(seed)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        lengths = random.uniform(-2, 9, count)
        logit = 2 - slope * lengths + random.normal(0, off, count)
        return 2**lengths, 1 / (1 + np.exp(-logit))

    lengths, chances = drawn(tasks)
    hits = [Tries(tries, int(each)) for each in random.binomial(tries, chances)]
    law, over = success_law(lengths.tolist(), hits, draws=500, seed=seed)
    fresh, theirs = drawn(40)
    told, came = over(fresh.tolist()), float(random.binomial(1, theirs).mean())
    held = {
        "50 % horizon": _in(law.parameters["p50_minutes"], 2 ** (2 / slope)),
        "success on 40 others foretold": told.low <= came <= told.high,
    }
    if not off:  # else the curve over all tasks has no parameters that are known
        p80 = 2 ** ((2 - log(4)) / slope)
        held["80 % horizon"] = _in(law.parameters["p80_minutes"], p80)
        held["success: coefficient"] = _in(law.parameters["coefficient"], -slope)
    return held


def _in(interval: tuple[float, float, float], value: float) -> bool:
    return interval[1] <= value <= interval[2]


# --- all of it ----------------------------------------------------------------------------------

CELLS = (
    *(
        Cell(
            f"{n} scenarios of {each}, p {rate}, {'alike' if alike else 'not alike'}",
            partial(clustered, rate, n, each, alike),
        )
        for rate in (0.1, 0.3, 0.5, 0.9)
        for n, each, alike in ((20, 3, 0.2), (20, 10, 0.0), (40, 2, 0.3), (40, 10, 0.2))
    ),
    *(Cell(f"{n} scenarios both ran", partial(no_difference, n)) for n in (10, 20, 40)),
    Cell("20 models, off by 0.01", partial(losses, 20, 0.01)),
    *(
        Cell(f"{n} models, parameters, off by {off}", partial(loss_parameters, n, off))
        for n, off in ((20, 0.01), (10, 0.03))
    ),
    *(Cell(f"{n} models, off by {off}", partial(line, n, off)) for n, off in ((5, 0.1), (10, 0.1))),
    *(
        Cell(
            f"5 models, 8 problems of {n} tries, {target / 1e4:g} times, off by {off}",
            partial(capability, n, target, off),
        )
        for n, target, off in ((12, 1e7, 0.0), (40, 1e5, 0.0), (40, 1e7, 0.1), (200, 1e5, 0.1))
    ),
    *(
        Cell(f"{n} models, off by {off}", partial(trends, n, off))
        for n, off in ((10, 0.4), (6, 0.3))
    ),
    *(
        Cell(
            f"{n} tasks, each tried {tries}x, slope {slope}{', off by 1' if off else ''}",
            partial(horizons, n, tries, slope, off),
        )
        for n, tries, slope, off in (
            (30, 4, 0.6, 0), (60, 4, 0.6, 0), (60, 4, 0.6, 1), (120, 2, 0.4, 0),
        )
    ),
)  # fmt: skip

OUTSIDE = (Cell("60 tasks, each tried 1x, slope 0.6 (too few)", partial(horizons, 60, 1, 0.6, 0)),)
"""Where it does not hold; `forecast` says so of such data."""


def counted(cell: Cell, seeds: int = SEEDS) -> dict[str, tuple[int, int]]:
    """By interval, how often it held the truth, and of how many seeds."""
    hits: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for seed in range(seeds):
        try:
            held = cell.once(seed)
        except NotThisForm:
            continue
        of.update(held.keys())
        hits.update(name for name, inside in held.items() if inside)
    return {name: (hits[name], of[name]) for name in of}


def exact() -> Iterator[tuple[str, str, float, float]]:
    """Interval, grid, least and most coverage, of what needs no seeds."""
    grid = list(product((30, 50, 100, 300), (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)))
    found = [wilson_covers(*each) for each in grid]
    yield "rate (Wilson), exact", "30 to 300 runs, p 0.1 to 0.9", min(found), max(found)
    grid = list(product((1, 5, 10, 40), (0.001, 0.05, 0.3, 0.8, 0.99)))
    found = [bound_covers(*each) for each in grid]
    yield "one-sided bound, 97.5 stated", "1 to 40 runs, p 0.001 to 0.99", min(found), max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", default="", help="only data with this in their words")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not asked.json:
        print("| interval | data | covers |\n| --- | --- | --- |")
    rows = []
    for name, grid, low, high in _rows(asked.seeds, asked.only):
        rows.append((name, grid, low, high))
        if not asked.json:
            spread = "" if low == high else f" to {high:.1%}"
            print(f"| {name} | {grid} | {low:.1%}{spread} |", flush=True)
    if asked.json:
        print(json.dumps(machine() | {"seeds": asked.seeds, "rows": rows}))


def _rows(seeds: int, only: str) -> Iterator[tuple[str, str, float, float]]:
    """Interval, data, least and most coverage."""
    yield from exact()
    for cell in (*CELLS, *OUTSIDE):
        if only in cell.grid:
            for name, (hits, of) in counted(cell, seeds).items():
                yield name, f"{cell.grid}; {of} seeds", hits / of, hits / of


if __name__ == "__main__":
    main()
