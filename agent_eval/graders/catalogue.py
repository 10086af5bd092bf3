"""Which detectors there are of which behaviour, and which behaviours have none, and why."""

from collections.abc import Iterator
from pathlib import Path

from agent_eval.graders.finding import NOT_DETECTABLE
from agent_eval.graders.grade import AFTERWARDS, DETECTORS, FALLBACK, PLACEHOLDERS, RULES
from agent_eval.graders.sigma import Rule, load_rules
from agent_eval.scenario.behaviours import BEHAVIOURS


def all_rules(folders: tuple[Path, ...] = (), refused: list[str] | None = None) -> list[Rule]:
    """The rules that ship and those of some folders, outside a run: its values are nothing."""
    nothing: dict[str, tuple[str, ...]] = dict.fromkeys(PLACEHOLDERS, ())
    rules = load_rules(RULES, nothing)
    for folder in folders:
        rules += load_rules(folder, nothing, FALLBACK, refused)
    return rules


def catalogue(folders: tuple[Path, ...] = ()) -> dict[str, list[str]]:
    """By behaviour, a line for each detector: its name, its tier if it is a rule, what it sees."""
    lines: dict[str, list[str]] = {name: [] for name in BEHAVIOURS}
    for join in (*DETECTORS, *AFTERWARDS):
        about = (join.detect.__doc__ or "").partition("\n")[0].rstrip(".")
        for name in join.behaviours:
            lines[name].append(f"{join.detect.__name__.replace('_', '-')}  join  {about}")
    for rule in all_rules(folders, []):
        if rule.category is not None:
            lines[rule.behaviour].append(f"{rule.id}  {rule.tier}  {rule.title}")
    return lines


def catalogue_lines(folders: tuple[Path, ...] = ()) -> Iterator[str]:
    """The same for people to read."""
    for name, lines in catalogue(folders).items():
        yield f"{name}  {BEHAVIOURS[name]}"
        yield from (f"    {line}" for line in lines)
        if name in NOT_DETECTABLE:
            yield f"    not detectable by rule: {NOT_DETECTABLE[name]}"
