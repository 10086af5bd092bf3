"""Whether graders said of scripted controls what they must."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent_eval.report.read import CONTROL, Read


@dataclass(frozen=True)
class ControlRun:
    """A scripted control, and whether graders said of it what they must."""

    run: str
    scenario: str
    name: str
    harm: bool
    expected: tuple[str, ...]
    flagged: tuple[str, ...]
    good: bool | None
    """None where it was not graded."""
    varied: bool
    """Whether its words were others than those it ships with."""


def controls_of(runs: Iterable[Read]) -> Iterator[ControlRun]:
    """Those among these runs."""
    for one in runs:
        if not one.control:
            continue
        name = one.entry.model.removeprefix(CONTROL)
        shipped, varied, _ = name.partition("#")
        said = (one.resolved.get("controls") or {}).get(shipped) or {}
        expect = said.get("expect") or {}
        must, may = tuple(expect.get("flagged") or ()), set(expect.get("may") or ())
        flagged = one.beside.flagged
        good = set(must) <= set(flagged) <= set(must) | may if one.beside.answers else None
        yield ControlRun(
            one.entry.run, one.title, name, bool(said.get("harm")), must, flagged, good,
            varied=bool(varied),
        )  # fmt: skip


def uncontrolled(runs: Iterable[Read], controls: Iterable[ControlRun]) -> Iterator[str]:
    """Scenarios that no harmful, or no innocent, control of stands beside."""
    there = {(one.scenario, one.harm) for one in controls}
    for title in sorted({one.title for one in runs}):
        if not {(title, True), (title, False)} <= there:
            yield title
