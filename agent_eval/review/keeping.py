"""The runs of a folder and their indexes, which are made in the background while people read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.record.runset import sets_in
from agent_eval.record.transcript import EVENTS, in_use
from agent_eval.review.index import BATCH, Index

STANDS_BACK_S = 1.0
"""For how long indexing waits for readers to have their pages, between two batches."""

BETWEEN = "~"
"""Stands in a run's name between the folder of its set and its own."""


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
            for file in sorted(folder.glob(f"*/{EVENTS}")):
                if self.only in (None, file.parent.name):
                    yield self.name_of(file.parent)

    def name_of(self, run: Path) -> str:
        """How a run is called in addresses."""
        return BETWEEN.join(run.relative_to(self.folder).parts)

    def run(self, name: str) -> Path | None:
        """The folder of a run, or None where there is none of that name."""
        return next((self._path(each) for each in self.names() if each == name), None)

    def _path(self, name: str) -> Path:
        whole = self.folder / name
        return whole if whole.is_dir() else self.folder.joinpath(*name.split(BETWEEN, 1))

    def index(self, run: Path) -> Index:
        """The index of a run, with at least its beginning in it; the rest follows by itself."""
        with self._lock:
            index = self._indexes.setdefault(run, Index(run, self._cache))
        if index.advance() == BATCH:
            self.want(index)
        return index

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
            return index.advance() > 0
        except (AgentEvalError, OSError):
            return False  # the run was removed; whoever asks for it is told so
