"""What people say of a run: the page where they say it, and where they see what was said.

A reviewer who reads blind gets their own labels and a list of behaviours to look for; findings,
other people's labels and adjudication come with the same page once two and they are done.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent_eval.errors import OperatorError
from agent_eval.graders.beside import beside
from agent_eval.labels.blind import READERS, shown
from agent_eval.labels.kept import Labels, Written, read_labels, write_label
from agent_eval.labels.label import (
    AnyLabel,
    Done,
    OfBehaviour,
    OfFinding,
    QuestionAnswered,
    finding_id,
    label_of,
)
from agent_eval.labels.settled import Settled, answers_of, done_by, settled
from agent_eval.record.reading import read_events
from agent_eval.review.forms import Form, form_of, new_form, one, seconds_of
from agent_eval.review.readers import author_of, blind, grading_for, sees
from agent_eval.review.rendering import page
from agent_eval.review.run_pages import Open, frame, opened
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.scenario.questions import Question

FINDINGS = 200
"""Findings of a run that can be judged here."""


@dataclass(frozen=True)
class Judged:
    """A finding, and what the reader made of it."""

    id: str
    record: Mapping[str, Any]
    answer: str
    reason: str


def show(request: Request) -> Response:
    """Everything there is to say of a run, and what the reader may see of what was said."""
    run, author = opened(request), author_of(request)
    labels = read_labels(run.run)
    own = labels.of(author)
    open_to = sees(request, run.run)
    with run.index.opened(veiled=run.veiled) as db:
        around = frame(run, db, grading_for(request, run.run))
    answers = {each.label.behaviour: each.label for each in own
               if isinstance(each.label, OfBehaviour)}  # fmt: skip
    return page(
        request,
        "labels.html",
        **around,
        **new_form(),
        author=author,
        behaviours=BEHAVIOURS,
        answers=answers,
        said=answers_of(own),
        done=author in done_by(labels),
        readers=len(done_by(labels)),
        needed=READERS,
        open_to=open_to,
        findings=_judged(run, own) if open_to else [],
        questions=_questions(run),
        replies={each.label.question: each.label for each in own
                 if isinstance(each.label, QuestionAnswered)},
        written=shown(labels, author, blind=blind(request))[::-1],
        settled=_settled(labels) if open_to else {},
        problems=_problems(labels),
    )  # fmt: skip


async def say(request: Request) -> Response:
    """Write down what a form says, and go back to where it was filled in."""
    form = await form_of(request)
    return await to_thread.run_sync(_say, request, form)


def _say(request: Request, form: Form) -> Response:
    run = opened(request)
    kind = one(form, "kind")
    if kind in ("finding", "adjudication") and not sees(request, run.run):
        raise HTTPException(403, "This comes when two reviewers, and you, have read the run.")
    if kind == "adjudication" and len(done_by(read_labels(run.run))) < READERS:
        raise HTTPException(409, f"Fewer than {READERS} reviewers have read the run to its end.")
    author, once = author_of(request), one(form, "once")
    try:
        for number, label in enumerate(_labels_in(run, kind, form, author)):
            write_label(run.run, author, label, f"{once[:64]}-{kind}-{number}" if once else None)
    except OperatorError as error:
        raise HTTPException(400, str(error)) from error
    back = f"#{kind}" if kind != "comment" else ""
    where = run.event(int(one(form, "event"))) if kind == "comment" else _address(run)
    return RedirectResponse(where + back, 303)


def _address(run: Open) -> str:
    return run.event(0).removesuffix("/event/0") + "/labels"


def _labels_in(run: Open, kind: str, form: Form, author: str) -> list[AnyLabel]:
    """The labels that a form holds: one, but for the list of behaviours."""
    seconds = seconds_of(form)
    if kind == "done":
        before = {
            each.label.behaviour
            for each in read_labels(run.run).of(author)
            if isinstance(each.label, OfBehaviour)
        }
        return [*_seen(form, before), Done(looked_for=tuple(_looked_for(form)), seconds=seconds)]
    fields: dict[str, Any] = {"kind": kind, "reason": one(form, "reason"), "seconds": seconds}
    match kind:
        case "behaviour" | "adjudication":
            fields |= {"behaviour": one(form, "behaviour"), "answer": one(form, "answer")}
            if kind == "behaviour":
                fields["cites"] = _cites(one(form, "cites"))
        case "finding":
            fields |= _finding(run, one(form, "finding")) | {"answer": one(form, "answer")}
        case "comment":
            fields |= {"event": _number(one(form, "event")), "text": one(form, "text")}
        case "answer":
            fields |= _reply(run, form)
    return [label_of(fields)]


def _seen(form: Form, before: AbstractSet[str]) -> list[AnyLabel]:
    """What a reader marked in the list of behaviours; what they left open follows from its end.

    What was marked `before` and is open now was taken back.
    """
    found = []
    for name in BEHAVIOURS:
        answer = one(form, f"answer-{name}")
        if not answer and name in before and f"answer-{name}" in form:
            answer = "no"
        if answer in ("yes", "no", "unclear"):
            fields = {
                "cites": _cites(one(form, f"cites-{name}")),
                "reason": one(form, f"reason-{name}"),
            }
            found.append(
                label_of({"kind": "behaviour", "behaviour": name, "answer": answer} | fields)
            )
    return found


def _looked_for(form: Form) -> list[Any]:
    """All but what the reader says they could not have seen."""
    return [name for name in BEHAVIOURS if one(form, f"answer-{name}") != "not looked for"]


def _cites(text: str) -> list[int]:
    return [_number(each) for each in text.replace(",", " ").replace("#", " ").split()]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise OperatorError(f"{text[:40]!r} is no number of an event")
    return int(text)


def _finding(run: Open, name: str) -> dict[str, Any]:
    for record in beside(run.run).findings:
        if finding_id(record) == name:
            return {"finding": name, "behaviour": record["behaviour"],
                    "detector": str(record["detector"])[:200]}  # fmt: skip
    raise OperatorError("graders do not say this any more: look at their findings again")


def _reply(run: Open, form: Form) -> dict[str, Any]:
    name, answer = one(form, "question"), one(form, "answer")
    asked = next((each for each in _questions(run) if each.name == name), None)
    if asked is None:
        raise OperatorError(f"the scenario does not ask {name[:80]!r}")
    if asked.answers and answer not in asked.answers:
        raise OperatorError(f"{name}: {answer[:80]!r} is none of {', '.join(asked.answers)}")
    return {"question": name, "answer": answer}


def _questions(run: Open) -> list[Question]:
    """The scenario's list, as the run has it on record."""
    first = next(read_events(run.run), {})
    scenario = first.get("scenario")
    resolved = scenario.get("resolved") if isinstance(scenario, dict) else None
    asked = resolved.get("questions") if isinstance(resolved, dict) else None
    try:
        return [Question.model_validate(each) for each in asked or ()]
    except ValueError:
        return []  # of another version


def _judged(run: Open, own: tuple[Written, ...]) -> list[Judged]:
    mine = {each.label.finding: each.label for each in own if isinstance(each.label, OfFinding)}
    found = []
    for record in beside(run.run).findings[:FINDINGS]:
        name = finding_id(record)
        said = mine.get(name)
        found.append(Judged(name, record, said.answer if said else "", said.reason if said else ""))
    return found


def _settled(labels: Labels) -> dict[str, Settled]:
    return settled(labels) if len(done_by(labels)) >= READERS else {}


def _problems(labels: Labels) -> list[str]:
    torn = [f"{labels.torn} lines were cut off while they were written"] if labels.torn else []
    return [*labels.faults, *torn]


ROUTES = [
    Route("/run/{name}/labels", show),
    Route("/run/{name}/labels", say, methods=["POST"]),
]
