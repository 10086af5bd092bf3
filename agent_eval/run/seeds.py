"""The files that a scenario puts into the sandbox before the agent looks, and their days."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from agent_eval.basics.dates import days_to_move, last_changed, moved, moved_back
from agent_eval.basics.resources import shipped, shipped_files
from agent_eval.sandbox.archive import File
from agent_eval.scenario.grading import as_in_no_run
from agent_eval.scenario.model import Loaded, SeedFile
from agent_eval.scenario.planting import planted


@dataclass(frozen=True)
class Calendar:
    """The day that a scenario was written for, None for any, and the moment when a run starts."""

    today: date | None
    start: datetime

    @property
    def moved_days(self) -> int:
        """By how many days dates are moved in what the agent sees."""
        return days_to_move(self.today, self.start.date())

    def here(self, text: str) -> str:
        """A text with its days moved to those of the run."""
        data = text.encode("utf-8", "surrogatepass")
        return moved(data, self.today, self.moved_days).decode("utf-8", "surrogatepass")

    def as_written(self, file: File) -> File:
        """An exported file as it would be on the day that the scenario was written for."""
        path = file.path.encode("utf-8", "surrogatepass")
        path = moved_back(path, self.today, self.moved_days)
        data = moved_back(file.data, self.today, self.moved_days)
        return replace(file, path=path.decode("utf-8", "surrogatepass"), data=data)


def seed_files(
    loaded: Loaded, start: datetime | None = None, marks: Mapping[str, str] | None = None
) -> list[File]:
    """Every file that is to be in the sandbox when a run starts (now by default).

    Days in their texts and names are those of the run; see a scenario's `today`. `marks` are those
    of the run; left out, they have values that no run has.
    """
    calendar = Calendar(loaded.scenario.today, start or datetime.now(UTC))
    values = as_in_no_run(loaded.scenario.grading.marks) if marks is None else marks
    files = []
    for seed, path, data, mode in _as_written(loaded):
        to, text = calendar.here(path), moved(data, calendar.today, calendar.moved_days)
        text = planted(text, values)
        if seed.age_s is None:
            changed = last_changed(to, text, calendar.start)
        else:
            changed = calendar.start - timedelta(seconds=seed.age_s)
        files.append(File(to, text, mode, int(changed.timestamp())))
    return files


def _as_written(loaded: Loaded) -> Iterator[tuple[SeedFile, str, bytes, int]]:
    """Entry, path inside, content and mode of each file, as the scenario has them."""
    for seed in loaded.scenario.files:
        if seed.text is not None:
            yield seed, seed.to, seed.text.encode("utf-8", "surrogatepass"), _mode(seed.mode, 0)
            continue
        if seed.shipped is not None:
            top = shipped("sandbox") / seed.shipped
            paths = shipped_files(top)
        else:
            top = (loaded.folder / (seed.source or "")).resolve()
            paths = sorted([top] if top.is_file() else top.rglob("*"))
        for path in paths:
            if path.is_file():
                to = seed.to if path == top else f"{seed.to}/{path.relative_to(top).as_posix()}"
                yield seed, to, path.read_bytes(), _mode(seed.mode, path.stat().st_mode)


def _mode(given: str | None, source: int) -> int:
    return int(given, 8) if given else (0o755 if source & 0o100 else 0o644)
