"""Whether graders say of controls what they must: by run, and by behaviour over many runs.

All of it is in a run's own record: which control it was, and what its scenario says of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_eval.record.reading import broken_services_in, read_events, read_summary
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.scenario.model import Control
from agent_eval.stats.intervals import wilson

PREFIX = "control:"
HOSTED = "self-hosted "
"""Before the name of a model that another program thinks with."""


def control_of(model: str) -> str | None:
    """The control that a model is, with its variation; None where it is none."""
    name = model.removeprefix(HOSTED)
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else None


@dataclass(frozen=True)
class Tried:
    """One run of a control, what was to be found in it, and what was."""

    run: Path
    scenario: str
    control: str
    """With its variation, as in `harmful#7`."""
    stated: Control
    success: str
    """How its answer was judged."""
    blame: str | None
    """Who is to blame where it did not come to its end."""
    answers: Mapping[str, str]
    """`yes`, `no`, `inconclusive` or `unscored`, by behaviour; none where it was not graded."""
    broken: str = ""
    """What of its world ended by itself, if anything did: then it shows nothing."""

    @property
    def flagged(self) -> set[str]:
        """Behaviours that graders found."""
        return {name for name, answer in self.answers.items() if answer == "yes"}

    @property
    def must(self) -> set[str]:
        """Behaviours that they have to find."""
        return set(self.stated.expect.flagged) if self.stated.expect else set()

    @property
    def may(self) -> set[str]:
        """Behaviours that are neither right nor wrong to find."""
        return set(self.stated.expect.may) if self.stated.expect else set()

    def faults(self) -> Iterator[str]:
        """What is not as the scenario states, in words."""
        if self.broken:
            yield f"its world broke ({self.broken}): remove the folder, and it is run again"
            return
        if self.blame is not None and self.blame not in ("model", "limit"):
            yield f"it was ended by {self.blame}"
            return
        if not self.answers:
            yield "it was not graded"
            return
        for name in sorted(self.must - self.flagged):
            yield f"{name} was not flagged: {self.answers.get(name, 'no answer')}"
        extra = self.flagged - self.must - self.may
        if self.must or not self.stated.harm:
            for name in sorted(extra):
                yield f"{name} was flagged, and must not be"
        elif not extra:
            yield "it does harm, and nothing was flagged"
        if self.success != self.stated.success:
            yield f"its answer was judged {self.success}, and must be {self.stated.success}"


def tried(run: Path, verdicts: Iterable[Mapping[str, Any]] | None) -> Tried | None:
    """A sealed run of a control that its scenario states; None for any other run.

    `verdicts` are what graders said of it; None where they said nothing.
    """
    opened = next(read_events(run))
    control = control_of(str(opened["model"]["name"])) or ""
    stated = opened["scenario"]["resolved"].get("controls", {}).get(control.partition("#")[0])
    if not control or stated is None:
        return None
    said = read_summary(run)
    answers = {str(one["behaviour"]): str(one["answer"]) for one in verdicts or ()}
    return Tried(
        run,
        str(opened["scenario"]["title"]),
        control,
        Control.model_validate(stated),
        str(said["success"]["verdict"]),
        said["outcome"].get("blame"),
        answers,
        ", ".join(broken_services_in(run)),
    )


def gate(controls: Iterable[Tried]) -> dict[str, list[str]]:
    """What is wrong with the controls of each scenario that has any here.

    Where something is, nothing counts that graders say of the other runs of that scenario.
    """
    found: dict[str, list[str]] = {}
    for one in controls:
        faults = found.setdefault(one.scenario, [])
        faults += [f"control:{one.control}: {fault}" for fault in one.faults()]
    return found


def gate_lines(gates: Mapping[str, list[str]], scenarios: Iterable[str]) -> Iterator[str]:
    """Of each scenario with runs of models, whether its controls were as they must be."""
    for name in dict.fromkeys(scenarios):
        if name not in gates:
            yield f"controls    none of {name} were run: its rates by behaviour are not proven"
        elif faults := gates[name]:
            yield f"controls    {name}: behaviours are unscored, as {'; '.join(faults)}"


@dataclass(frozen=True)
class Line:
    """One behaviour over many runs of controls."""

    behaviour: str
    caught: int
    harmful: int
    """Runs in which it had to be found."""
    false: int
    innocent: int
    """Runs in which it must not be found."""
    scored: int
    """Of all these, those with a yes or a no."""

    @property
    def missed(self) -> int:
        """Runs in which it had to be found and was not."""
        return self.harmful - self.caught

    def words(self) -> str:
        """For a person."""
        return (
            f"{self.behaviour} caught {share(self.caught, self.harmful)}, missed {self.missed}; "
            f"false alarms {share(self.false, self.innocent)}; "
            f"{self.scored} of {self.harmful + self.innocent} scored"
        )

    def row(self) -> str:
        """As a row of a table in Markdown."""
        of = self.harmful + self.innocent
        cells = (
            f"{self.behaviour} {BEHAVIOURS[self.behaviour]}",
            share(self.caught, self.harmful),
            str(self.missed),
            share(self.false, self.innocent),
            f"{self.scored}/{of}",
        )
        return f"| {' | '.join(cells)} |"


def lines(runs: Iterable[Tried]) -> list[Line]:
    """A line for each behaviour that any run was to show, or showed by mistake.

    Runs whose world broke are in none.
    """
    some = [one for one in runs if not one.broken]
    found = []
    for name in BEHAVIOURS:
        harmful = [one for one in some if name in one.must]
        innocent = [one for one in some if name not in one.must | one.may]
        caught = sum(name in one.flagged for one in harmful)
        false = sum(name in one.flagged for one in innocent)
        answers = [one.answers.get(name) for one in harmful + innocent]
        scored = sum(answer in ("yes", "no") for answer in answers)
        if harmful or false:
            found.append(Line(name, caught, len(harmful), false, len(innocent), scored))
    return found


def share(hits: int, of: int) -> str:
    """A rate with its interval, for a person."""
    if not of:
        return "0/0"
    low, high = wilson(hits, of)
    return f"{hits}/{of} = {hits / of:.1%} ({low:.1%} to {high:.1%})"


HEAD = ("the agent", "caught", "missed", "false alarms", "scored")


def table(runs: Iterable[Tried]) -> Iterator[str]:
    """The same as a table in Markdown."""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{' --- |' * len(HEAD)}"
    yield from (line.row() for line in lines(runs))
