"""Which of two is better: answers of two models or variants to one scenario, without their names.

    preferences.jsonl   beside the runs of a folder, append-only as labels are

Who is shown first is drawn for each reviewer and pair. Win rates count a tie as half a win.
"""

import hashlib
import hmac
import itertools
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

from agent_eval.errors import OperatorError
from agent_eval.labels.appending import Record, append, read
from agent_eval.record.runset import Entry, RunSet
from agent_eval.record.transcript import GENESIS
from agent_eval.stats.clusters import rate_interval
from agent_eval.stats.intervals import LEVEL, score_interval

PREFERENCES = "preferences.jsonl"
Better = Literal["first", "second", "tie"]
BETTER = ("first", "second", "tie")


@dataclass(frozen=True)
class Pair:
    """Two runs to compare; `one` and `other` are names of run folders, in the order of names."""

    one: str
    other: str

    def name(self, key: bytes) -> str:
        """What it goes by in an address: nothing of the runs can be told from it."""
        text = f"pair\0{self.one}\0{self.other}".encode()
        return hmac.new(key, text, hashlib.sha256).hexdigest()[:24]

    def ordered(self, key: bytes, reader: str) -> tuple[str, str]:
        """The two in the order in which a reader sees them: always the same for that reader."""
        text = f"order\0{self.one}\0{self.other}\0{reader}".encode()
        turned = hmac.new(key, text, hashlib.sha256).digest()[0] & 1
        return (self.other, self.one) if turned else (self.one, self.other)


@dataclass(frozen=True)
class Preference:
    """What somebody preferred."""

    author: str
    pair: Pair
    better: str | None
    """The name of the better run; None for a tie."""


@dataclass(frozen=True)
class Standing:
    """How one model, on one variant, did against all others that it was held against."""

    contestant: str
    wins: int
    ties: int
    losses: int
    rate: float
    """Wins and half the ties among all."""
    low: float
    high: float
    """At 95 in 100."""
    by: str
    """What the interval takes as independent: `scenarios`, or `pairs` where those are few."""


def contestant(entry: Entry) -> str:
    """Whom a run stands for: a model, on a variant of a scenario."""
    variant = entry.scenario.partition("@")[2]
    return entry.model + (f" @{variant}" if variant else "")


def pairs(folder: Path) -> list[Pair]:
    """All pairs of runs of one scenario by different models or variants that came to an answer."""
    by: dict[str, list[Entry]] = defaultdict(list)
    for entry in RunSet.read(folder).entries.values():
        if entry.counts and " of " not in entry.scenario:
            by[entry.scenario.partition("@")[0]].append(entry)
    return [
        Pair(*sorted((one.run, other.run)))
        for some in by.values()
        for one, other in itertools.combinations(sorted(some, key=lambda each: each.run), 2)
        if contestant(one) != contestant(other)
    ]


def next_pair(folder: Path, reader: str, key: bytes) -> Pair | None:
    """A pair that a reader has not decided on: of those that fewest did, one drawn for them."""
    said = read_preferences(folder)
    decided = {one.pair for one in said if one.author == reader}
    counts = Counter(one.pair for one in said)
    open_ = [pair for pair in pairs(folder) if pair not in decided]

    def place(pair: Pair) -> tuple[int, bytes]:
        text = f"{pair.one}\0{pair.other}\0{reader}".encode()
        return counts[pair], hmac.new(key, text, hashlib.sha256).digest()

    return min(open_, key=place, default=None)


def prefer(
    folder: Path, reader: str, shown: tuple[str, str], better: str, once: str | None = None
) -> None:
    """Write down which of two runs, named in the order they were shown, is better.

    Raises `OperatorError` for a choice that is none.
    """
    if better not in BETTER:
        raise OperatorError(f"{better!r} is no choice: {', '.join(BETTER)}")
    record = {
        "id": once or secrets.token_hex(8),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "author": reader,
        "kind": "preference",
        "first": shown[0],
        "second": shown[1],
        "better": better,
    }
    append(folder / PREFERENCES, record, _opened)


def _opened() -> Record:
    return {"kind": "preferences.opened", "head": GENESIS}


def read_preferences(folder: Path) -> list[Preference]:
    """The last word of each author on each pair; nothing where nobody chose."""
    last: dict[tuple[str, Pair], Preference] = {}
    for record in read(folder / PREFERENCES).records:
        if (one := _preference(record)) is not None:
            last[one.author, one.pair] = one
    return list(last.values())


def _preference(record: dict[str, Any]) -> Preference | None:
    first, second, better = (record.get(name) for name in ("first", "second", "better"))
    author = record.get("author")
    if not (isinstance(first, str) and isinstance(second, str) and isinstance(author, str)):
        return None
    if better not in BETTER or first == second:
        return None
    named = {"first": first, "second": second}.get(str(better))
    return Preference(author, Pair(*sorted((first, second))), named)


def standings(said: Iterable[Preference], folder: Path) -> list[Standing]:
    """Win rates of every model and variant, best first, with intervals."""
    entries = RunSet.read(folder).entries
    scores: dict[str, list[tuple[str, Pair, float]]] = defaultdict(list)
    for one in said:
        for name, score in _scores(one):
            if one.pair.one in entries and one.pair.other in entries:
                entry = entries[name]
                scenario = entry.scenario.partition("@")[0]
                scores[contestant(entry)].append((scenario, one.pair, score))
    return sorted((_standing(*each) for each in scores.items()), key=lambda one: -one.rate)


def _scores(one: Preference) -> Iterator[tuple[str, float]]:
    for name in (one.pair.one, one.pair.other):
        yield name, 0.5 if one.better is None else float(name == one.better)


def _standing(name: str, scores: list[tuple[str, Pair, float]]) -> Standing:
    values = [score for *_, score in scores]
    rate = sum(values) / len(values)
    clusters: dict[str, list[float]] = defaultdict(list)
    for scenario, _, score in scores:
        clusters[scenario].append(score)
    interval, by = rate_interval(clusters, seed=0), "scenarios"
    if interval is None:  # people who look at one pair are no two trials
        apart = len({pair for _, pair, _ in scores})
        interval = score_interval(rate, apart, NormalDist().inv_cdf((1 + LEVEL) / 2))
        by = "pairs"
    counts = Counter(values)
    return Standing(name, counts[1.0], counts[0.5], counts[0.0], rate, *interval, by)
