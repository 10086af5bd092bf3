"""The runs of a folder and their indexes, which are made in the background while people read."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.record.runset import is_run, runs_in, sets_in
from agent_eval.record.transcript import EVENTS, in_use
from agent_eval.review.index import BATCH, Index

STANDS_BACK_S = 1.0
"""For how long indexing waits for readers to have their pages, between two batches."""

AT_ONCE_S = 0.1
"""For which a page waits until the index of its run is whole, as that of most runs soon is."""

AT_A_TIME = 4000
"""Events that are taken into an index in the background before readers have their turn."""

KEPT_OPEN = 50
"""Indexes of runs; each takes three of the files that a process may have open."""

BETWEEN = "~"
"""Stands in a run's name between the folder of its set and its own."""

NO_NAMES = ("", ".", "..")


class Keeper:
    """Finds runs by name, and keeps their indexes up with them."""

    def __init__(self, folder: Path, cache: Path) -> None:
        """`folder` holds runs, or sets of them, or is a run; raises `OperatorError` if none."""
        if not folder.is_dir():
            raise OperatorError(f"{folder} is no folder of runs: it is not there")
        self.only = folder.resolve().name if folder.joinpath(EVENTS).is_file() else None
        """The run's name, where a single one is shown."""
        self.folder = folder.resolve().parent if self.only else folder
        self._cache = cache
        self._indexes: dict[Path, Index] = {}
        self._wanted: list[Index] = []
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._readers = 0
        self._alone = threading.Event()
        self._worker: threading.Thread | None = None

    def sets(self) -> list[Path]:
        """The folders that hold runs: this one, and those of run sets in it."""
        return [self.folder] if self.only else sets_in(self.folder)

    def names(self) -> Iterator[str]:
        """The names of all runs."""
        for folder in self.sets():
            for run in runs_in(folder):
                if self.only in (None, run.name):
                    yield self.name_of(run)

    def name_of(self, run: Path) -> str:
        """How a run is called in addresses."""
        return BETWEEN.join(run.relative_to(self.folder).parts)

    def run(self, name: str) -> Path | None:
        """The folder of a run, or None where there is none of that name."""
        if self.only not in (None, name):
            return None
        ways = ([name], name.split(BETWEEN, 1))
        plain = (way for way in ways if not any(each in NO_NAMES or "/" in each for each in way))
        runs = (self.folder.joinpath(*way) for way in plain if "\0" not in name)
        return next((run for run in runs if is_run(run)), None)

    def index(self, run: Path) -> Index:
        """The index of a run, with at least its beginning in it; the rest follows by itself."""
        with self._lock:
            index = self._indexes.pop(run, None) or Index(run, self._cache)
            self._indexes[run] = index  # those asked for last stand last
            under_way = index in self._wanted
            self._let_go()
        until = time.monotonic() + AT_ONCE_S
        while not under_way and index.advance() == BATCH:
            if time.monotonic() > until:
                self.want(index)
                break
        return index

    def _let_go(self) -> None:
        """Close the indexes that nobody asked for in a long time: a process may open so many."""
        idle = [run for run, index in self._indexes.items() if index not in self._wanted]
        for run in idle[: max(len(self._indexes) - KEPT_OPEN, 0)]:
            self._indexes.pop(run).close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Somebody waits for a page: indexing in the background stands back for so long."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                self._alone.set()

    def want(self, index: Index) -> None:
        """Have an index made to its end in the background."""
        with self._lock:
            if index not in self._wanted:
                self._wanted.append(index)
            if self._worker is None:
                self._worker = threading.Thread(target=self._make, daemon=True, name="indexing")
                self._worker.start()
        self._work.set()

    def whole(self, index: Index) -> bool:
        """Whether an index is made to its end, or somebody has to come back later."""
        with self._lock:
            return index not in self._wanted

    @staticmethod
    def goes_on(run: Path) -> bool:
        """Whether a process still writes a run."""
        return in_use(run / EVENTS)

    def _make(self) -> None:
        while self._work.wait():
            with self._lock:
                index = self._wanted[-1] if self._wanted else None
                if index is None:
                    self._work.clear()
                    continue
                self._alone.clear()
                waited_for = self._readers
            if waited_for:
                self._alone.wait(STANDS_BACK_S)
            if not self._advanced(index):
                with self._lock:
                    self._wanted.remove(index)

    @staticmethod
    def _advanced(index: Index) -> bool:
        try:
            return index.advance(AT_A_TIME) > 0
        except (AgentEvalError, OSError, sqlite3.Error):
            return False  # the run was removed; whoever asks for it is told so
