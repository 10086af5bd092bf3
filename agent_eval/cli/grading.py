"""Runs graded by processes of their own, as they end: the harness has other runs to mind."""

import os
import signal
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from agent_eval.cli.board import duration
from agent_eval.graders.digest import grader_digest
from agent_eval.graders.written import findings_name, grade_run, latest

TELL_EVERY_S = 10.0
KINDER = 5
"""How much less than the runs the grading counts, where both want the processor."""


class Grading:
    """Grades what it is given, each run once; what these graders have graded stays as it is."""

    def __init__(self, rules: tuple[Path, ...] = (), workers: int | None = None) -> None:
        self._rules = rules
        self._name = findings_name(grader_digest(rules))
        self._workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None
        self._going: dict[Path, Future[str | None]] = {}
        self.why: dict[Path, str] = {}
        """Runs that could not be graded, and why."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def add(self, run: Path) -> None:
        """Have a run graded, if these graders have not."""
        file = latest(run)
        if run in self._going or (file is not None and file.name == self._name):
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _begin)
        self._going[run] = self._pool.submit(_graded, run, self._rules)

    def finish(self) -> None:
        """Wait until all are graded, and say meanwhile how many are."""
        runs = {each: run for run, each in self._going.items()}
        open_s = told_s = time.monotonic()
        left = [each for each in runs if not each.done()]
        for done, _ in enumerate(as_completed(left), 1):
            now_s = time.monotonic()
            if now_s - told_s > TELL_EVERY_S:
                told_s, each_s = now_s, (now_s - open_s) / done
                rest = duration(each_s * (len(left) - done))
                click.echo(f"graded      {done} of {len(left)}, about {rest} left", file=sys.stderr)
        for each, run in runs.items():
            if why := _said(each):
                self.why[run] = why


def _said(one: Future[str | None]) -> str | None:
    try:
        return one.result()
    except Exception as error:  # noqa: BLE001 - a process that died takes no other run with it
        return repr(error)


def _begin() -> None:
    """A person's Ctrl-C is for the harness, which then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(KINDER)


def _graded(run: Path, rules: tuple[Path, ...]) -> str | None:
    """Grade a run; why that could not be done, if so."""
    try:
        grade_run(run, rules)
    except Exception as error:  # noqa: BLE001 - the run is over and sealed, whatever graders do
        return f"{type(error).__name__}: {error}"
    return None
