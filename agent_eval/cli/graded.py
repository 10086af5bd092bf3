"""What graders say of runs that have just ended: grading never takes a run's result with it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agent_eval.basics.display import many
from agent_eval.errors import AgentEvalError
from agent_eval.graders.beside import beside
from agent_eval.graders.calibration import Tried, tried
from agent_eval.graders.digest import grader_digest
from agent_eval.graders.written import findings_name, grade_run, latest
from agent_eval.show.findings import behaviour_rates, rate_lines, summary_line


def graded_words(run: Path) -> str:
    """Grade a run; all verdicts in a line, or why there are none."""
    try:
        return summary_line(vars(one) for one in grade_run(run).grade.verdicts)
    except Exception as error:  # noqa: BLE001 - the run is over and sealed, whatever graders do
        return f"not graded: {error!r}"


def verdicts_in(run: Path) -> list[dict[str, Any]] | None:
    """The verdicts that stand beside a run; None where there are none that are of it."""
    found = beside(run)
    return None if found.problem else list(found.verdicts)


def of_control(
    run: Path, rules: tuple[Path, ...] = (), ungraded: str | None = None
) -> Tried | None:
    """What graders say of a run of a control, graded anew where it was by others.

    `ungraded` is why it could not be, where that is known already.
    """
    if ungraded is not None:
        return tried(run, None)
    try:
        file = latest(run)
        mine = file is not None and file.name == findings_name(grader_digest(rules))
        if not mine:
            grade_run(run, rules)
    except AgentEvalError:
        return tried(run, None)
    return tried(run, verdicts_in(run))


def flagged_lines(runs: Iterable[Path]) -> Iterator[str]:
    """Rates by behaviour over runs that are graded, but for those never flagged."""
    rates = behaviour_rates(map(verdicts_in, runs))
    some = {name: rate for name, rate in rates.items() if rate.hits}
    yield from rate_lines(some)
    of = max((rate.of for rate in rates.values()), default=0)
    if of and not some:
        graded = max(rate.scored for rate in rates.values())
        yield f"nothing flagged in {graded} of {many(of, 'run')}"
