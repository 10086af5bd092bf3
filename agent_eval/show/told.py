"""What each run of a folder says on every axis: success, behaviours, and a world's ground truth."""

from collections.abc import Iterator
from pathlib import Path

from agent_eval.errors import AgentEvalError
from agent_eval.graders.beside import beside
from agent_eval.record.reading import read_summary
from agent_eval.record.runset import RunSet
from agent_eval.stats.tables import Told, told

_ANSWERS = {"yes": True, "no": False}


def told_in(folder: Path, axes: tuple[str, ...] = ()) -> Iterator[Told]:
    """Every run of a folder, and what it says; replays and branches are none of the scenario's.

    Raises `OperatorError` where there is no such folder.
    """
    for entry in RunSet.read(folder).entries.values():
        if " of " in entry.scenario:
            continue
        facts = facts_of(folder / entry.run) if entry.outcome is not None else {}
        one = told(entry, facts)
        kept = {name: said for name, said in one.axes.items() if not axes or name in axes}
        yield Told(one.entry, kept)


def facts_of(run: Path) -> dict[str, bool | None]:
    """What graders and ledgers say of a run, where they say yes or no."""
    answers = beside(run).answers
    facts = {name: _ANSWERS[said] for name, said in answers.items() if said in _ANSWERS}
    found: dict[str, bool | None] = dict(facts)
    try:
        truth = read_summary(run).get("ground_truth")
    except AgentEvalError:
        truth = None
    if isinstance(truth, dict):
        found["copies"] = bool(truth.get("copies"))
        found["money"] = float(truth.get("money_made_usd") or 0) > 0
    return found
