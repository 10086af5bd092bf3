"""A matrix of runs: what it may take at worst, whether to go on, and its way to the end."""

import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import click

from agent_eval.basics.display import printable
from agent_eval.basics.tasks import beside
from agent_eval.cli import INTERRUPTED, exit_code_of, how_called
from agent_eval.cli.board import Board, duration
from agent_eval.cli.ending import code_of, obey
from agent_eval.cli.graded import flagged_lines, graded_words
from agent_eval.cli.judging import AfterRun
from agent_eval.errors import OperatorError
from agent_eval.fleet.fleet import Cell, Ended, Fleet, Planned
from agent_eval.record.runset import RunSet, Wanted
from agent_eval.run.plan import Plan

CONFIRM_OVER_USD = 20.0
RUNS_A_CORE = 4
"""Runs at one time for each processor: most of a run is waiting for its model."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Asked:
    """How a matrix is to be run."""

    epochs: int
    parallel: int | None
    folder: Path
    named: bool
    """Whether the folder is a run set, of which only what is missing is run."""
    confirm_over_usd: float = CONFIRM_OVER_USD
    yes: bool = False
    dry_run: bool = False
    judge: AfterRun | None = None
    """Has a model grade each run by rubric."""
    graded: Callable[[Path], None] | None = None
    """Has each run graded elsewhere as it ends; else all are graded here, after the last."""


def matrix(cells: Sequence[Cell], asked: Asked) -> int:
    """Say what it may take, ask where that is much, run it; returns the exit code."""
    if any(each.plan.waits_for_somebody for each in cells):
        click.echo(
            f"actions wait for a person: `{how_called()} approve` in another terminal decides"
        )
    planned = _planned(cells, asked)
    parallel = asked.parallel or at_once(each.plan for each in cells)
    there = sum(_epochs(each, asked.epochs) for each in cells) - len(planned)
    usd = worst_usd([each.cell.plan for each in planned])
    for line in estimate(planned, there, parallel, usd):
        click.echo(printable(line))
    if asked.dry_run or not planned:
        return 0
    _confirm(usd, asked)
    board = Board(len(planned), usd)
    if not asked.named:
        return _carried_out(planned, parallel, board, asked)
    asked.folder.mkdir(parents=True, exist_ok=True)
    with RunSet(asked.folder).held():
        planned = _planned(cells, asked)  # another process may have run some meanwhile
        runs = RunSet.read(asked.folder)
        for each in cells:
            runs.want(_wanted(each, asked.epochs))
        runs.save()
        return _carried_out(planned, parallel, board, asked, runs)


def _planned(cells: Sequence[Cell], asked: Asked) -> list[Planned]:
    """The runs that are to be: all, or what is missing of a set; first epochs first."""
    missing = [list(range(1, _epochs(cell, asked.epochs) + 1)) for cell in cells]
    if asked.named and asked.folder.is_dir():
        runs = RunSet.read(asked.folder)
        missing = [runs.missing(_wanted(cell, asked.epochs)) for cell in cells]
    return [
        Planned(cell, epoch)
        for epoch in range(1, asked.epochs + 1)
        for cell, epochs in zip(cells, missing, strict=True)
        if epoch in epochs
    ]


def _epochs(cell: Cell, epochs: int) -> int:
    return 1 if cell.once else epochs


def _wanted(cell: Cell, epochs: int) -> Wanted:
    loaded, runs = cell.plan.loaded, _epochs(cell, epochs)
    return Wanted(cell.digest, loaded.title, cell.plan.title_of_model, runs, loaded.digest)


def at_once(plans: Iterable[Plan]) -> int:
    """How many runs this machine has room for: by its processors, and by its memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    room = memory // max(_most_bytes(plan) for plan in plans)
    return max(1, min(RUNS_A_CORE * (os.cpu_count() or 1), room))


def _most_bytes(plan: Plan) -> int:
    """Memory that the sandboxes of one run may take, those of copies included."""
    scenario = plan.loaded.scenario
    copies = scenario.delegation
    alone = copies.max_depth == 0 or copies.start == "shared"
    return int(scenario.sandbox.memory_bytes) * (1 if alone else 1 + copies.max_at_once)


# --- what it may take ---------------------------------------------------------------------------


def worst_usd(plans: Iterable[Plan]) -> float | None:
    """Dollars that all of them spend at most; None where that has no limit or no known price."""
    each = [_worst_of(plan) for plan in plans]
    known = [usd for usd in each if usd is not None]
    return sum(known) if len(known) == len(each) else None


def _worst_of(plan: Plan) -> float | None:
    price, budget = plan.model.price, plan.loaded.scenario.budget
    if price is None:
        return None
    dearest = float(max(price.input, price.cached, price.output))
    if not dearest:
        return 0.0
    limits = [] if budget.usd is None else [budget.usd]
    if budget.tokens is not None:
        limits.append(budget.tokens * dearest / MILLION)
    return min(limits, default=None)


def worst_s(plans: Sequence[Plan], parallel: int) -> float | None:
    """Seconds that they take at most, sandboxes not counted; None where one has no limit."""
    each = [plan.loaded.scenario.budget.wall_s for plan in plans]
    known = [wall_s for wall_s in each if wall_s is not None]
    if len(known) < len(each):
        return None
    return max(sum(known) / parallel, max(known, default=0.0))


def estimate(planned: Sequence[Planned], there: int, parallel: int, usd: float | None) -> list[str]:
    """What a person wants to know before it begins."""
    plans = [each.cell.plan for each in planned]
    also = f"; {there} are there already" if there else ""
    unknown = sorted({plan.model.name for plan in plans if plan.model.price is None})
    spend = "no limit: a budget has neither dollars nor tokens"
    if unknown:
        spend = f"unknown: no price is known for {', '.join(unknown)}"
    elif usd is not None:
        spend = f"at most ${usd:,.2f}"
    seconds = worst_s(plans, parallel)
    time = "no limit: a budget has no wall_s"
    if seconds is not None:
        time = f"at most {duration(seconds)} of wall_s, beside the starts of sandboxes"
    return [
        f"runs        {len(plans)}, {min(parallel, max(len(plans), 1))} at once{also}",
        f"spend       {spend}",
        f"time        {time}",
    ]


def _confirm(usd: float | None, asked: Asked) -> None:
    """Go on only where the spend is small, or a person says so."""
    if asked.yes or (usd is not None and usd <= asked.confirm_over_usd):
        return
    much = "nobody can say how much" if usd is None else f"up to ${usd:,.2f}"
    over = f"--confirm-over is {asked.confirm_over_usd:g}"
    if not sys.stdin.isatty():
        raise OperatorError(
            f"this could spend {much}, and {over}. Type it again with --yes to go on, with "
            "--dry-run to see what it would do, or with a smaller --usd for each run"
        )
    if not click.confirm(f"This could spend {much}. Go on?", default=False, err=True):
        raise OperatorError(f"nothing was run: it could spend {much}, and {over}")


# --- on its way ---------------------------------------------------------------------------------


def _carried_out(
    planned: Sequence[Planned],
    parallel: int,
    board: Board,
    asked: Asked,
    runs: RunSet | None = None,
) -> int:
    """Run them and print what came of each; returns the highest exit code."""
    codes = [0]

    def ended(one: Ended) -> None:
        codes.append(code_of(one.result.outcome) if one.result else _code(one))
        if runs is not None and one.folder is not None:
            runs.add(one.folder)
        if asked.graded is not None and one.folder is not None:
            asked.graded(one.folder)
        tell = board.show if one.result else board.say
        tell(printable(one.planned.cell.plan.redactor.text(line_of(one))))

    board.on_end = ended
    fleet = Fleet(planned, parallel, board)
    with board:
        try:
            anyio.run(_steered, fleet, board)
        except KeyboardInterrupt:
            if len(fleet.ended) < len(planned) and not fleet.stopping:
                raise
    if left := len(planned) - len(fleet.ended):
        why = ": the engine is gone, and they were not tried" if fleet.given_up else ""
        click.echo(f"not run     {left} more{why}")
        codes += [] if fleet.given_up else [INTERRUPTED]
    if asked.graded is None:
        _told_of([one.folder for one in fleet.ended if one.folder is not None], asked.judge)
    for folder in {each.cell.plan.runs for each in planned}:
        click.echo(printable(f"next        {how_called()} runs {folder}"))
    return max(codes)


def _told_of(ran: Sequence[Path], judge: AfterRun | None) -> None:
    """Grade the runs, and say what is found in them."""
    for folder in ran:
        graded_words(folder)
    for line in flagged_lines(ran):
        click.echo(f"findings    {line}")
    for folder in ran if judge else ():
        for line in judge(folder) if judge else ():
            click.echo(printable(f"rubrics     {folder.name}: {line}"))


async def _steered(fleet: Fleet, board: Board) -> None:
    async with beside() as tasks:
        tasks.start_soon(obey, fleet, board)
        await fleet.run()


def _code(one: Ended) -> int:
    assert one.error is not None
    return exit_code_of(one.error)


def line_of(one: Ended) -> str:
    """What came of a run, in a line."""
    if one.result is None:
        return f"not begun: {one.planned.title}: {one.blame}: {one.error}"
    result, outcome = one.result, one.result.outcome
    why = f" ({outcome.limit or outcome.blame})" if outcome.blame else ""
    usd = result.spent.get("usd", 0)
    spent = "$?" if usd is None else f"${usd:.4f}"
    return (
        f"{outcome.status + why:<11} {one.planned.title}: {result.verdict}, {spent}, "
        f"{math.ceil(result.spent.get('wall_s', 0))} s  {result.folder}  {result.head}"
    )
