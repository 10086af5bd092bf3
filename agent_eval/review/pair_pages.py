"""Which of two runs is better: side by side, without the names of who made them.

What is shown is the task, what was done and the answer. Names of models and runs are taken out of
all of it; the address of a pair tells nothing of either, and who stands left was drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.labels.preferring import Pair, next_pair, pairs, prefer, read_preferences
from agent_eval.record.reading import read_events, read_summary
from agent_eval.review.forms import Form, form_of, new_form, one
from agent_eval.review.keeping import Keeper
from agent_eval.review.readers import author_of
from agent_eval.review.rendering import page
from agent_eval.review.veil import Names, names_in, pattern_of, without

ACTIONS = 60
"""Of each run, that are shown."""

CHARACTERS = 4000
"""Of an action or an answer."""


@dataclass(frozen=True)
class Nameless:
    """A run as somebody sees it who is not to know whose it is."""

    task: str
    actions: tuple[str, ...]
    more: int
    answer: str


def show(request: Request) -> Response:
    """The next pair that a reader has not decided on."""
    author, key = author_of(request), request.app.state.key
    for folder in _folders(request):
        pair = next_pair(folder, author, key)
        if pair is None:
            continue
        hidden = _names(folder, pair)
        left, right = (_nameless(folder / run, hidden) for run in pair.ordered(key, author))
        return page(
            request, "prefer.html", pair=pair.name(key), left=left, right=right, **new_form()
        )
    decided = sum(
        each.author == author for folder in _folders(request) for each in read_preferences(folder)
    )
    return page(request, "prefer.html", pair=None, decided=decided, **new_form())


async def choose(request: Request) -> Response:
    """Write down which is better, and go on to the next pair."""
    form = await form_of(request)
    await to_thread.run_sync(_choose, request, form)
    return RedirectResponse("/prefer", 303)


def _choose(request: Request, form: Form) -> None:
    author, key, name = author_of(request), request.app.state.key, one(form, "pair")
    for folder in _folders(request):
        for pair in pairs(folder):
            if pair.name(key) == name:
                once = one(form, "once")[:64] or None
                try:
                    prefer(folder, author, pair.ordered(key, author), one(form, "better"), once)
                except OperatorError as error:
                    raise HTTPException(400, str(error)) from error
                return
    raise HTTPException(404, "There is no such pair any more.")


def _folders(request: Request) -> list[Path]:
    keeper: Keeper = request.app.state.keeper
    return keeper.sets()


def _names(folder: Path, pair: Pair) -> Names:
    """Whatever says whose a run is, longest first."""
    runs = (pair.one, pair.other)
    return pattern_of({*runs, *(name for run in runs for name in names_in(folder / run))})


def _nameless(run: Path, hidden: Names) -> Nameless:
    actions, task, answer, count = [], "", "", 0
    for kind, text in _told(run):
        if kind == "run.opened":
            task = text
        elif kind == "submitted":
            answer = text
        else:
            count += 1
            actions += [text] if count <= ACTIONS else []
    try:
        answer = answer or str(read_summary(run).get("answer") or "")
    except AgentEvalError:
        answer = answer or ""
    return Nameless(
        _without(task, hidden),
        tuple(_without(each, hidden) for each in actions),
        max(count - ACTIONS, 0),
        _without(answer, hidden),
    )


def _told(run: Path) -> Iterator[tuple[str, str]]:
    """What of the first agent's run is compared: task, actions, answer."""
    for event in read_events(run):
        match event["kind"]:
            case "run.opened":
                resolved = event.get("scenario", {}).get("resolved") or {}
                yield "run.opened", str(resolved.get("task", ""))
            case "action.started":
                given = event.get("input") or {}
                yield "action.started", str(given.get("code") or given)
            case "submitted" if event["agent"] == "0":
                yield "submitted", str(event.get("answer", ""))


def _without(text: str, hidden: Names) -> str:
    shown = str(without(text, hidden))
    return shown if len(shown) <= CHARACTERS else shown[:CHARACTERS] + " [...]"


ROUTES = [Route("/prefer", show), Route("/prefer", choose, methods=["POST"])]
