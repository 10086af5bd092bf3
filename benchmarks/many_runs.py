"""How long the statistics of many runs take: a bootstrap of 10,000 draws over 20,000 runs.

The runs are made up (a rate for each scenario, drawn from a seed); what is measured is the code
that `agent-eval stats` runs over them, tables included. The goal is 10 s.
"""

import argparse
import json
import time

import numpy as np

from agent_eval.record.runset import Entry
from agent_eval.stats.clusters import DRAWS, rate_interval
from agent_eval.stats.tables import Told, rows, sums, told

GOAL_S = 10.0


def made_up(runs: int, scenarios: int) -> list[Told]:
    """Runs of as many scenarios as there are, each with a rate of its own."""
    random = np.random.default_rng(1)
    rates = random.beta(2, 2, scenarios)
    outcome = {"status": "submitted", "blame": None}
    entries = (
        Entry(
            run=f"r{number}",
            cell=f"c{number % scenarios}",
            epoch=number // scenarios,
            scenario=f"s{number % scenarios}",
            model="m",
            outcome=outcome,
            verdict="success" if random.random() < rates[number % scenarios] else "failure",
        )
        for number in range(runs)
    )
    return [told(entry, {}) for entry in entries]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--scenarios", type=int, nargs="*", default=[20, 200, 2_000, 20_000])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = []
    for scenarios in asked.scenarios:
        runs = made_up(asked.runs, scenarios)
        clusters: dict[str, list[float]] = {}
        for run in runs:
            clusters.setdefault(run.entry.scenario, []).append(float(bool(run.axes["success"])))
        began = time.perf_counter()
        rate_interval(clusters, draws=DRAWS, seed=1)
        bootstrap_s = time.perf_counter() - began
        began = time.perf_counter()
        rows(runs, (1, 10))
        sums(runs)
        tables_s = time.perf_counter() - began
        found.append(
            {"scenarios": scenarios, "bootstrap_s": bootstrap_s, "tables_and_bootstrap_s": tables_s}
        )
    most = max(one["tables_and_bootstrap_s"] for one in found)
    told_all = {"runs": asked.runs, "draws": DRAWS, "met": most < GOAL_S, "rounds": found}
    if asked.json:
        print(json.dumps(told_all))
        return
    for one in found:
        print(
            f"{asked.runs} runs of {one['scenarios']} scenarios, {DRAWS} draws: "
            f"{one['bootstrap_s']:.2f} s; with all tables {one['tables_and_bootstrap_s']:.2f} s"
        )
    print(f"goal {GOAL_S:g} s: {'met' if most < GOAL_S else 'missed'}")


if __name__ == "__main__":
    main()
