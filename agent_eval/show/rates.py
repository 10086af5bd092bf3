"""A rate that says what it rests on: how many of the runs it covers, and how far it may be off."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from agent_eval.record.runset import Entry
from agent_eval.stats.intervals import wilson


@dataclass(frozen=True)
class Rate:
    """How often a task was done, over runs that say something of the model."""

    hits: int
    scored: int
    """Runs with a verdict; partial success is none."""
    of: int
    """All runs that were asked for or are there."""
    beside: dict[str, int]
    """Runs that are in no rate, by whose fault that is."""

    @property
    def interval(self) -> tuple[float, float]:
        """Between what and what the true rate lies, at 95 in 100 (Wilson's score interval)."""
        return wilson(self.hits, self.scored)

    def words(self) -> str:
        """The rate with its interval, its coverage, and what is beside it."""
        low, high = self.interval
        said = "no rate"
        if self.scored:
            said = f"{self.hits}/{self.scored} = {self.hits / self.scored:.0%}"
            said += f" ({low:.0%} to {high:.0%})"
        beside = "".join(f", {count} by {blame}" for blame, count in sorted(self.beside.items()))
        return f"{said}, {self.scored} of {self.of} scored{beside}"


def success_rate(entries: Iterable[Entry], wanted: int = 0) -> Rate:
    """The rate of success of equal runs, of which so many were asked for."""
    runs = list(entries)
    verdicts = Counter(one.verdict for one in runs if one.counts)
    beside = Counter(_fault(one) for one in runs if not one.counts)
    scored = sum(verdicts.values()) - verdicts["unscored"]
    return Rate(verdicts["success"], scored, max(wanted, len(runs)), dict(beside))


def _fault(entry: Entry) -> str:
    return "nobody yet" if entry.outcome is None else str(entry.outcome.get("blame"))
