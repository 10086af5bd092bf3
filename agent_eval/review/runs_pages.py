"""Pages over all runs of a folder: the table, a search in all of them, two of them side by side."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent_eval.record.runset import Entry, RunSet
from agent_eval.review.found import Grading, grading_of
from agent_eval.review.keeping import Keeper
from agent_eval.review.rendering import page


@dataclass(frozen=True)
class Listed:
    """A run in the table."""

    name: str
    entry: Entry
    grading: Grading
    goes_on: bool

    @property
    def outcome(self) -> str:
        """How it ended, in a word or two."""
        if self.entry.outcome is None:
            return "goes on" if self.goes_on else "no end"
        return str(self.entry.outcome.get("status"))

    @property
    def blame(self) -> str:
        """Whose fault that was, if anybody's."""
        return str((self.entry.outcome or {}).get("blame") or "")

    @property
    def usd(self) -> float | None:
        """What it cost; None where nobody knows."""
        value = (self.entry.spent or {}).get("usd", 0)
        return float(value) if isinstance(value, int | float) else None

    @property
    def steps(self) -> int:
        """How many it took."""
        value = (self.entry.spent or {}).get("steps", 0)
        return int(value) if isinstance(value, int | float) else 0


def listed(keeper: Keeper) -> tuple[list[Listed], dict[str, str]]:
    """All runs of the folder and its sets, and what could not be read, with the reason."""
    runs, unreadable = [], {}
    for folder in keeper.sets():
        found = RunSet.read(folder)
        for name, why in found.unreadable.items():
            unreadable[keeper.name_of(folder / name)] = why
        for entry in found.entries.values():
            if keeper.only in (None, entry.run):
                run = folder / entry.run
                name = keeper.name_of(run)
                runs.append(Listed(name, entry, grading_of(run), _goes_on(keeper, entry, run)))
    return runs, unreadable


def _goes_on(keeper: Keeper, entry: Entry, run: Any) -> bool:
    return entry.outcome is None and keeper.goes_on(run)


def table(request: Request) -> Response:
    """All runs, or the only one."""
    keeper: Keeper = request.app.state.keeper
    if keeper.only:
        return RedirectResponse(f"/run/{keeper.only}", 303)
    runs, unreadable = listed(keeper)
    return page(request, "runs.html", runs=runs, unreadable=unreadable)


ROUTES = [Route("/", table)]
