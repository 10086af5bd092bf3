"""A person's decisions from a file or from the record of an earlier run.

For tests, and for studies that others can repeat:

    decisions:
      - {type: reject, text: Not on this machine., when: {tool: bash, text: "rm -rf"}}
      - {type: approve, times: null}

The first decision that is left and fits is taken. Where none is, the run ends, and nothing is done.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field, ValidationError, model_validator

from agent_eval.basics.display import one_line
from agent_eval.errors import OperatorError
from agent_eval.person.oversight import CHOICES, NEED_TEXT, Decision, Question
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import EVENTS
from agent_eval.scenario.approval import Expression, matches
from agent_eval.scenario.part import Part, Text
from agent_eval.scenario.strict_yaml import built, parse

About = Literal["action", "answer", "malformed", "silence", "observation", "options"]


class When(Part):
    """What a decision is for; what is left out may be anything."""

    agent: Text | None = None
    """An agent's path in the tree of copies."""
    about: About | None = None
    """What is decided on."""
    tool: Text | None = None
    """The tool that the model called."""
    text: Expression | None = None
    """A regular expression that has a match in the code, answer, reply or observation."""


class Written(Part):
    """One decision."""

    type: Literal[
        "approve", "reject", "edit_action", "simulate", "fix_tool", "override_refusal",
        "edit_observation", "hint", "pick_option",
    ]  # fmt: skip
    """What is decided."""
    text: str = ""
    """The new code or observation, or the words for the model."""
    tool: Text | None = None
    """For `fix_tool`: the tool that was meant."""
    look: bool = False
    """Whether the observation that follows is decided on too."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """For `pick_option`: which one; left out means the first in which `when.text` has a match."""
    who: Text | None = None
    """Whose decision it is; left out means the file's."""
    when: When = When()
    """What it is for."""
    times: Annotated[int, Field(ge=1)] | None = 1
    """How often it is taken; null is without end."""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Written":
        if self.type in NEED_TEXT and not self.text.strip():
            raise ValueError(f"text: {self.type} needs words")
        if self.tool is not None and self.type != "fix_tool":
            raise ValueError("tool: only `fix_tool` takes one; `when.tool` says what it is for")
        if self.rank is not None and self.type != "pick_option":
            raise ValueError("rank: only `pick_option` takes one")
        if self.type == "hint" and self.times is None:
            raise ValueError("times: hints without end leave no room for a decision")
        about = self.when.about
        if about is not None and self.type not in CHOICES[about]:
            known = ", ".join(CHOICES[about])
            raise ValueError(f"type: {self.type} cannot be decided about {about}; {known} can")
        return self

    def fits(self, question: Question) -> bool:
        """Whether it is for this question."""
        when = self.when
        return (
            self.type in CHOICES[question.about]
            and when.agent in (None, question.agent)
            and when.about in (None, question.about)
            and when.tool in (None, question.tool)
            and (when.text is None or matches(when.text, question.text) is True)
        )

    def rank_in(self, question: Question) -> int | None:
        """Which of the options it picks."""
        if self.type != "pick_option" or self.rank is not None:
            return self.rank
        wanted = self.when.text
        ranks = (
            rank
            for rank, option in enumerate(question.options, 1)
            if wanted is None or matches(wanted, option) is True
        )
        return next(ranks, None)


class Decisions(Part):
    """A file of decisions."""

    decisions: tuple[Written, ...]
    """In the order in which they are looked through."""


class Scripted:
    """Decides as a file says."""

    def __init__(self, name: str, decisions: tuple[Written, ...]) -> None:
        self.name = name
        self._left = [(each, each.times) for each in decisions]

    async def decide(self, question: Question) -> Decision:
        """The first decision that is left and fits; raises `OperatorError` where none does."""
        await anyio.lowlevel.checkpoint()
        if question.note is not None:
            raise OperatorError(f"{self._place(question)}: {question.note}")
        written = self._taken(question)
        if written is None:
            raise OperatorError(f"{self._place(question)}: no decision that fits is left")
        rank = written.rank_in(question)
        return Decision(written.type, written.text, written.tool, written.look, written.who, rank)

    def go_on(self, run: Path, at: int | None = None) -> None:
        """Leave out what was decided already in a run that goes on, or goes on from event `at`."""
        tools: dict[Any, str | None] = {}
        for event in read_events(run):
            if at is not None and event["seq"] > at:
                return
            if event["kind"] == "intervened":
                about, call_id, before = event["about"], event.get("call_id"), event["before"]
                text = next(value for name, value in before.items() if name != "tool")
                tool = tools.setdefault(call_id, before.get("tool"))
                self._taken(Question(event["agent"], about, event["call"], text, "", tool))

    def _taken(self, question: Question) -> Written | None:
        for place, (written, times) in enumerate(self._left):
            if times != 0 and written.fits(question):
                self._left[place] = (written, None if times is None else times - 1)
                return written
        return None

    def _place(self, question: Question) -> str:
        what = f"{question.about} {question.tool or ''}".strip()
        return (
            f"{self.name}: agent {question.agent}, call {question.call}, {what} "
            f"({one_line(question.text, 80)}), of which nothing was done"
        )


def read_decisions(path: Path) -> tuple[str, tuple[Written, ...]]:
    """A name for the record, and the decisions of a YAML file, JSON lines, or an earlier run."""
    if path.joinpath(EVENTS).is_file():
        return f"replay:{path.resolve().name}", _decided_in(path)
    if path.suffix == ".jsonl":
        return f"file:{path.name}", _from_lines(path)
    tree = parse(path, OperatorError, "a file of decisions")
    return f"file:{path.name}", built(Decisions, path, tree, OperatorError).decisions


def _from_lines(path: Path) -> tuple[Written, ...]:
    decisions, faults = [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}:1: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            decisions += [Written.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            for each in error.errors():
                said = f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ")
                faults.append(f"{path}:{number}: {said}")
    if faults:
        raise OperatorError("\n".join(faults))
    return tuple(decisions)


def _decided_in(run: Path) -> tuple[Written, ...]:
    """What was decided in a run, agent by agent in its order."""
    events = [event for event in read_events(run) if event["kind"] == "intervened"]
    try:
        return tuple(_as_written(event) for event in events)
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(f"{run}: its interventions cannot be read: {error!r}") from error


def _as_written(event: dict[str, Any]) -> Written:
    after, kind, about = event["after"], event["type"], event["about"]
    words = next(value for name, value in after.items() if name != "tool")
    text = "" if kind in ("approve", "pick_option") else words
    if kind == "reject":
        text = text.removeprefix("[not done: ").removesuffix("]")
    return Written(
        type=kind,
        text=text,
        tool=after["tool"] if kind == "fix_tool" else None,
        look=event.get("look") is True,
        rank=event.get("rank"),
        who=event["who"],
        when=When(agent=event["agent"], about=about),
    )
