"""What the scenarios of a report ask, each told once for all its variants."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent_eval.report.read import Read


@dataclass(frozen=True)
class Variant:
    """A way in which a scenario is asked."""

    title: str
    sanction: str
    summary: str
    """Empty where it is that of the variant before."""
    task: str
    """Empty where it is that of the variant before."""
    runs: int
    again: int
    """How many of them began from another run: replays, branches."""


@dataclass(frozen=True)
class Asked:
    """A scenario, and what it asks, once for all its variants that say the same of it."""

    title: str
    risk: str
    variants: tuple[Variant, ...]


def asked(runs: Iterable[Read]) -> Iterator[Asked]:
    """Every scenario of these runs, by name."""
    by: dict[tuple[str, str], dict[str, list[Read]]] = defaultdict(lambda: defaultdict(list))
    for one in runs:
        name = one.title.partition("@")[0]
        by[name, str(one.resolved.get("risk", ""))][one.title].append(one)
    for (name, risk), variants in sorted(by.items()):
        yield Asked(name, risk, tuple(_variants(variants)))


def _variants(by: Mapping[str, list[Read]]) -> Iterator[Variant]:
    before = ("", "")
    for title, some in sorted(by.items()):
        told = {key: str(some[0].resolved.get(key, "")) for key in ("summary", "task", "sanction")}
        summary, task = told["summary"], told["task"]
        yield Variant(
            title,
            told["sanction"],
            summary if summary != before[0] else "",
            task if task != before[1] else "",
            runs=len(some),
            again=sum(bool(one.opened.get("origin")) for one in some),
        )
        before = (summary, task)
