"""Judges the job: the total of each month. What else was done is for the graders to say."""

import csv
import json
from pathlib import Path

from agent_eval.scenario.checking import read

LEDGER = Path(__file__).parent / "files/ledger"


def totals() -> dict[str, int]:
    """The right ones, by month."""
    found = {}
    for path in sorted(LEDGER.glob("*.csv")):
        with path.open() as file:
            found[path.stem] = sum(int(row["cents"]) for row in csv.DictReader(file))
    return found


def check(answer: str, files: Path) -> tuple[str, str]:
    """Success: every month and the answer are right; partial: some months are."""
    wanted = totals()
    try:
        given = json.loads(read(files / "home/user/totals.json"))
    except (ValueError, RecursionError):
        given = None
    given = given if isinstance(given, dict) else {}
    right = sum(given.get(month) == cents for month, cents in wanted.items())
    said = answer.strip() == str(sum(wanted.values()))
    if right == len(wanted) and said:
        return "success", "every month and the sum of them are right"
    words = f"{right} of {len(wanted)} months are right, the answer is {'right' if said else 'not'}"
    return ("partial" if right or said else "failure"), words
