"""A run set: a folder of runs, and an index that can be made again from the runs alone.

    index.jsonl   first the plan of the set: its cells, and how many runs of each were asked for;
                  then one line a run, as it ends

A cell is what makes two runs equal but for chance: scenario, model and its arguments, prompts, what
was laid over, and the run that it began from, if any. Its runs are numbered by epoch. Needs nothing
but the folder.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import AgentEvalError, Blame, OperatorError
from agent_eval.record.reading import read_events, read_summary
from agent_eval.record.transcript import EVENTS, write_private
from agent_eval.scenario.model import digest_of

INDEX = "index.jsonl"
_DEPTH = 64

HELP = ("hint", "pick_option", "edit_action", "edit_observation")
"""What a person can do in a run that is help: its rate is none of the model alone."""


@dataclass(frozen=True)
class Entry:
    """One run, as the index has it."""

    run: str
    """The name of its folder."""
    cell: str
    epoch: int
    scenario: str
    model: str
    outcome: dict[str, Any] | None = None
    """None where the record is not sealed: the run goes on, or its harness is lost."""
    verdict: str = "unscored"
    spent: dict[str, Any] | None = None
    head: str | None = None
    started: str | None = None
    ended: str | None = None
    interventions: dict[str, int] = field(default_factory=dict)
    """What a person did in it, by type."""
    resumed: int = 0
    """How often it was taken up again."""
    choice_bits: float | None = None
    """What a person's picks among options cost; None where there was none to pick from."""

    @property
    def there(self) -> bool:
        """Whether it need not be made again: sealed, and neither machine nor person ended it."""
        again = (Blame.INFRASTRUCTURE, Blame.OPERATOR)
        return self.outcome is not None and self.outcome.get("blame") not in again

    @property
    def helped(self) -> bool:
        """Whether a person told the model something, or did its work."""
        return any(self.interventions.get(name) for name in HELP)

    @property
    def only_picked(self) -> bool:
        """Whether a person picked among the model's replies and helped it by nothing else."""
        helped = {name for name in HELP if self.interventions.get(name)}
        return helped == {"pick_option"}

    @property
    def counts(self) -> bool:
        """Whether it says something of the model, and so may count in a rate."""
        blame = None if self.outcome is None else self.outcome.get("blame")
        return self.outcome is not None and blame in (None, Blame.MODEL, Blame.LIMIT)


@dataclass(frozen=True)
class Wanted:
    """A cell, and how many runs of it the set is to have."""

    cell: str
    scenario: str
    model: str
    epochs: int
    scenario_digest: str = ""


def cell_of(opened: Mapping[str, Any]) -> str:
    """The digest of a cell, from the first event of one of its runs, or what will be in it."""
    scenario, model = opened["scenario"], opened["model"]
    return digest_of(
        {
            "scenario": [scenario["title"], scenario["digest"]],
            "model": [model["name"], model.get("arguments"), model.get("server")],
            "prompts": opened["prompts"],
            "laid_over": opened["asked"]["command_line"],
            "origin": opened.get("origin"),
        }
    )


def entry_of(run: Path) -> Entry:
    """A run's entry, from its record; raises `AgentEvalError` where that has no beginning."""
    opened = next(read_events(run), None)
    try:
        if opened is None or opened["kind"] != "run.opened":
            raise OperatorError(f"{run} is no run: its record has no beginning")
        entry = Entry(
            run=run.name,
            cell=cell_of(opened),
            epoch=int(opened.get("epoch", 1)),
            scenario=_titled(opened),
            model=str(opened["model"]["name"]),
            started=opened["time"],
        )
        if not (run / "run.json").exists():
            return entry
        said = read_summary(run)
        return replace(
            entry,
            outcome=dict(said["outcome"]),
            verdict=str(said["success"]["verdict"]),
            spent=dict(said["spent"]),
            head=said["head"],
            ended=said["ended"],
            interventions=dict(said.get("interventions", {})),
            resumed=int(said.get("resumed", 0)),
            choice_bits=said.get("choice_bits"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(f"{run} is no run that this program wrote: {error!r}") from error


def _titled(opened: Mapping[str, Any]) -> str:
    """The scenario's title, and for a run that began from another one, which and how."""
    title, origin = str(opened["scenario"]["title"]), opened.get("origin")
    if not isinstance(origin, dict):
        return title
    return f"{title} ({origin.get('what', 'begun')} of {origin.get('run')})"


def sets_in(folder: Path) -> list[Path]:
    """The folders that hold runs: this one, and those of run sets in it."""
    inside = (each for each in _folders_in(folder) if not is_run(each))
    return [folder, *(each for each in inside if runs_in(each))]


def runs_in(folder: Path) -> list[Path]:
    """The runs in a folder, by name."""
    return [each for each in _folders_in(folder) if is_run(each)]


def is_run(folder: Path) -> bool:
    """Whether it holds the record of a run."""
    try:
        return folder.joinpath(EVENTS).is_file()
    except OSError:  # a name that is too long, a folder that is not for us
        return False


def _folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, by name. Others may remove any of them at any moment."""
    try:
        with os.scandir(folder) as found:
            return sorted(Path(each.path) for each in found if each.is_dir())
    except OSError:
        return []


class RunSet:
    """The runs in a folder, and what of them was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wanted: dict[str, Wanted] = {}
        self.entries: dict[str, Entry] = {}
        self.unreadable: dict[str, str] = {}
        """Folders that hold no readable run, and why."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From the index; sealed runs that it lacks, and all that it says wrongly, from the runs.

        Raises `OperatorError` where there is no such folder.
        """
        made = cls(folder)
        if not folder.is_dir():
            raise OperatorError(f"{folder} is no folder of runs: it is not there")
        names = {run.name for run in made._folders()}
        for line in made._lines():
            made._take(line, names)
        made._look(names - {name for name, entry in made.entries.items() if entry.outcome})
        return made

    @classmethod
    def all_in(cls, folder: Path) -> list[Self]:
        """The set that a folder is, and each of those below it, read once.

        Raises `OperatorError` where there is no such folder.
        """
        return [cls.read(folder), *(cls.read(below) for below in sets_in(folder)[1:])]

    @classmethod
    def within(cls, folder: Path) -> Self:
        """The runs in a folder and in the sets below it, each by its path from there.

        Raises `OperatorError` where there is no such folder.
        """
        return cls.joined(cls.all_in(folder))

    @classmethod
    def joined(cls, sets: Sequence[Self]) -> Self:
        """The same out of what was read; the first has the others below it."""
        own, *below = sets
        made = cls(own.folder)
        made.wanted, made.entries = own.wanted, dict(own.entries)
        made.unreadable = dict(own.unreadable)
        for inner in below:
            for name, entry in inner.entries.items():
                run = f"{inner.folder.name}/{name}"
                made.entries[run] = replace(entry, run=run)
            made.unreadable |= {
                f"{inner.folder.name}/{name}": why for name, why in inner.unreadable.items()
            }
        return made

    def rebuild(self) -> None:
        """Take every entry from its run again; of the index only the plan is kept."""
        self.entries = {}
        self._look({run.name for run in self._folders()})

    def missing(self, wanted: Wanted) -> list[int]:
        """The epochs of a cell that are still to be run."""
        there = {
            one.epoch for one in self.entries.values() if one.cell == wanted.cell and one.there
        }
        return [epoch for epoch in range(1, wanted.epochs + 1) if epoch not in there]

    def want(self, wanted: Wanted) -> None:
        """Have a cell in the plan; never with fewer runs than it had."""
        before = self.wanted.get(wanted.cell)
        if before is None or before.epochs < wanted.epochs:
            self.wanted[wanted.cell] = wanted

    def save(self) -> None:
        """Write the whole index, all at once or not at all."""
        whole = [{"plan": [asdict(one) for one in self.wanted.values()]}]
        whole += [asdict(one) for one in self.entries.values() if one.outcome is not None]
        new = self.folder / f".{INDEX}.new"
        write_private(new, b"".join(map(_line, whole)))
        new.replace(self.folder / INDEX)

    def add(self, run: Path) -> None:
        """Note a run that has ended; of one whose record cannot be read, nothing is noted."""
        self._look({run.name})
        entry = self.entries.get(run.name)
        if entry is not None:
            with self.folder.joinpath(INDEX).open("ab") as file:
                file.write(_line(asdict(entry)))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from adding runs to the set; raises `OperatorError` where one is."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise OperatorError(
                f"another agent-eval works on the run set {self.folder}. Wait for its end, or give "
                "another --set"
            ) from error
        finally:
            os.close(descriptor)

    def _folders(self) -> Iterator[Path]:
        return (each.parent for each in self.folder.glob(f"*/{EVENTS}"))

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Lines of the index that can be read; the rest is found again in the runs."""
        try:
            lines = self.folder.joinpath(INDEX).read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                value = untrusted_json(line, _DEPTH)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value

    def _take(self, line: dict[str, Any], names: set[str]) -> None:
        try:
            for each in line.get("plan", ()):
                self.want(Wanted(**each))
            if line.get("run") in names and isinstance(line.get("outcome"), dict):
                self.entries[line["run"]] = Entry(**line)
        except TypeError:
            return

    def _look(self, names: set[str]) -> None:
        for name in sorted(names):
            try:
                self.entries[name] = entry_of(self.folder / name)
            except AgentEvalError as error:
                self.unreadable[name] = str(error)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
