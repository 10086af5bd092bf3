"""Grading a run by a rubric: every part in spans, every span by votes, all of it on record.

The grader is another model than the one under test, unless that is allowed and said.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from agent_eval import __version__
from agent_eval.basics.resources import prompt_file
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.models.base import Model
from agent_eval.record.verify import verify
from agent_eval.rubrics.addressed import addressing, without
from agent_eval.rubrics.material import Line, Material, read_material
from agent_eval.rubrics.question import PROMPT, question_of
from agent_eval.rubrics.rubric import Rubric
from agent_eval.rubrics.spans import LEAST_BYTES, OVERLAP_PART, SPAN_BYTES, Span, spans_of
from agent_eval.rubrics.verdict import Found, of_spans, of_votes, unmoved
from agent_eval.rubrics.votes import Vote, Voter
from agent_eval.rubrics.written import write_grading

BYTES_PER_TOKEN = 3
"""Of text: less than most has, so that a span fits the window."""
INSTRUCTIONS_TOKENS = 4000
"""What of a window is kept free for the rubric."""
TASK_LINES = 400
"""Of the task, what a grader is shown."""

Record = dict[str, Any]


@dataclass
class Grading:
    """One run being graded by one rubric."""

    rubric: Rubric
    voter: Voter
    votes: int
    span_bytes: int
    records: list[Record]
    task: str | None

    async def part(self, name: str, lines: Sequence[Line]) -> None:
        """Grade one part and put its verdict on record."""
        spans = spans_of(lines, self.span_bytes)
        found, addressed = [], []
        for number, span in enumerate(spans):
            places = addressing(span.lines)
            addressed += [span.lines[at].seq for at in places]
            one = await self._span(name, number, span)
            if places:
                rest = Span(without(span.lines, places))
                one = unmoved(one, await self._span(name, number, rest, withheld=True))
            found.append(one)
        said = of_spans(self.rubric, found) if spans else nothing_there(name)
        self._verdict(name, said, spans, addressed)

    async def _span(self, part: str, number: int, span: Span, *, withheld: bool = False) -> Found:
        """The votes on a span; those that had no money beside others ask again after them."""
        votes: list[Vote | None] = [None] * self.votes
        text = self.voter.redactor.text(span.text())

        async def vote(at: int) -> None:
            votes[at] = await self.voter.vote(question_of(self.rubric, text, self.task))

        async with anyio.create_task_group() as tasks:
            for at in range(self.votes):
                tasks.start_soon(vote, at)
        for at, one in enumerate(votes):
            if one is not None and one.unpaid:  # what the others had set aside may be free by now
                await vote(at)
        given = [one for one in votes if one is not None]
        for at, one in enumerate(given):
            self.records.append({
                "kind": "rubric.vote", "part": part, "span": number, "cites": list(span.cites),
                "withheld": withheld, "vote": at, **one.record(),
            })  # fmt: skip
        return of_votes(self.rubric, given)

    def _verdict(
        self, part: str, found: Found, spans: Sequence[Span], addressed: Sequence[int]
    ) -> None:
        cites = [spans[0].cites[0], spans[-1].cites[1]] if spans else []
        self.records.append({
            "kind": "rubric.verdict", "rubric": self.rubric.name, "part": part, **asdict(found),
            "spans": len(spans), "cites": cites, "addressed": sorted(set(addressed)),
        })  # fmt: skip


def nothing_there(part: str) -> Found:
    """A part of which a run has nothing."""
    return Found("unscored", None, f"there is no {part} on record", 0, 0)


@dataclass(frozen=True)
class Grader:
    """Who grades, and how."""

    voter: Voter
    votes: int
    cap_usd: float | None
    self_grading: bool = False
    """Whether the model under test may grade itself."""
    unverified: bool = False
    """Whether a record is graded that is not as it was written."""


async def grade_by_rubric(run: Path, rubric: Rubric, grader: Grader) -> Path:
    """Grade a run by a rubric and write the verdicts beside it; returns the file.

    What was voted until then is written, too, where it is broken off. Raises `TranscriptBroken` for
    a record that is not as it was written, `OperatorError` for a grader that is the model under
    test.
    """
    report = verify(run)
    if report.faults and not grader.unverified:
        raise TranscriptBroken(
            f"{run} is not as it was written ({report.faults[0]}): no verdict on it would mean "
            "anything. --unverified grades it all the same, and says so"
        )
    material = read_material(run)
    own = is_under_test(material, grader.voter.model)
    if own and not grader.self_grading:
        raise OperatorError(
            f"{grader.voter.model.name} is the model under test in {run}: name another with "
            "--grader, or allow it with --allow-self-grading, which is then said with every verdict"
        )
    voter = replace(
        grader.voter, not_by=frozenset() if grader.self_grading else frozenset(material.served)
    )
    opened = _opened(run, rubric, grader, own=own)
    opened |= {"head": report.head, "events": report.events, "verified": not report.faults}
    task = "\n".join(line.text for line in material.prompt[:TASK_LINES]) if rubric.prompt else None
    size = span_bytes_of(voter.model)
    grading = Grading(rubric, voter, grader.votes, size, [opened], task)
    done, before = False, voter.account.spent
    try:
        for name in rubric.parts:
            await grading.part(name, material.parts[name])
        done = True
    finally:
        grader.voter.gone = voter.gone  # a server that is gone is so for other rubrics, too
        spent = (voter.account.spent - before).record()
        closed = {"kind": "rubric.closed", "whole": done, "spent": spent, "role": "grader"}
        file = write_grading(run, report.head, rubric.name, [*grading.records, closed])
    return file


def _opened(run: Path, rubric: Rubric, grader: Grader, *, own: bool) -> Record:
    model, size = grader.voter.model, span_bytes_of(grader.voter.model)
    return {
        "kind": "rubric.opened",
        "run": run.name,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "rubric": rubric.model_dump(mode="json"),
        "rubric_digest": rubric.digest,
        "grader": {
            "version": __version__,
            "digest": code_digest(),
            "model": model.name,
            "arguments": model.arguments(grader.voter.wanted.max_output_tokens),
            "price": model.price.record() if model.price else None,
            "about": grader.voter.redactor.value(model.about()),
        },
        "self_grading": own or grader.self_grading,
        "votes": grader.votes,
        "cap_usd": grader.cap_usd,
        "span_bytes": size,
        "overlap_bytes": size // OVERLAP_PART,
        "task_lines": TASK_LINES,
        "reduction": "the first listed class that any span was given",
    }


def is_under_test(material: Material, model: Model) -> bool:
    """Whether a grader is the model that was under test, by its own name or its server's for it."""
    tested = material.opened.get("model")
    if not isinstance(tested, dict):
        return False
    arguments = tested.get("arguments")
    there = arguments.get("model") if isinstance(arguments, dict) else None
    return model.name == tested.get("name") or model.arguments(16).get("model") == there


def span_bytes_of(model: Model) -> int:
    """Bytes of a text that a grader is shown at once."""
    if model.context_tokens is None:
        return SPAN_BYTES
    room = (model.context_tokens - INSTRUCTIONS_TOKENS) // 2 * BYTES_PER_TOKEN
    return max(LEAST_BYTES, min(SPAN_BYTES, room))


def code_digest() -> str:
    """SHA-256 over all that decides how votes are asked and read: these modules and the prompt."""
    files = [*Path(__file__).parent.glob("*.py"), prompt_file(PROMPT)]
    whole = hashlib.sha256()
    for file in sorted(files, key=lambda each: each.name):
        whole.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
