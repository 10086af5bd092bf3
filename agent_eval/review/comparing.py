"""Two runs side by side: what they did, aligned, with the first difference marked.

What is aligned is what agents said and did, not how it came out: output differs in honest runs, so
where only that differs, it is said beside.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent_eval.review import asking
from agent_eval.review.asking import Place, Source, Wish
from agent_eval.review.keeping import Keeper
from agent_eval.review.readers import sees
from agent_eval.review.rendering import page
from agent_eval.review.told import Row, Telling
from agent_eval.show.show import outcome_words

ROWS = 1500
"""Of each run, that are aligned."""

SHOWN_PAIRS = 400
SAME_AROUND = 3
"""Equal rows that stand before and after a difference."""

ALIGNED = (
    *("message", "model.replied", "action.started", "submitted", "intervened"),
    *("agent.started", "agent.ended", "delegation.refused", "drill.begun", "run.closed"),
)


@dataclass(frozen=True)
class Step:
    """A row of one run, and what of it is compared."""

    row: Row
    key: str
    result: str


@dataclass(frozen=True)
class Pair:
    """Rows side by side; one may be missing, and `skipped` equal ones may stand for themselves."""

    left: Step | None
    right: Step | None
    same: bool
    skipped: int = 0
    first: bool = False
    """Whether this is the first difference."""

    @property
    def other_output(self) -> bool:
        """Whether the same was done and came out otherwise."""
        return bool(
            self.same and self.left and self.right and self.left.result != self.right.result
        )


def aligned(left: list[Step], right: list[Step]) -> list[Pair]:
    """Both, side by side."""
    matcher = SequenceMatcher(
        None, [each.key for each in left], [each.key for each in right], autojunk=False
    )
    pairs: list[Pair] = []
    differs = False
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            pairs += [Pair(*both, same=True) for both in zip(left[a:b], right[c:d], strict=True)]
            continue
        for at in range(max(b - a, d - c)):
            one = left[a + at] if a + at < b else None
            other = right[c + at] if c + at < d else None
            pairs.append(Pair(one, other, same=False, first=not differs))
            differs = True
    return pairs


def shortened(pairs: list[Pair]) -> Iterator[Pair]:
    """Without long stretches in which both are equal."""
    near = [
        not pair.same or pair.other_output or at in (0, len(pairs) - 1)
        for at, pair in enumerate(pairs)
    ]
    skipped = 0
    for at, pair in enumerate(pairs):
        if any(near[max(at - SAME_AROUND, 0) : at + SAME_AROUND + 1]):
            if skipped:
                yield Pair(None, None, same=True, skipped=skipped)
            skipped = 0
            yield pair
        else:
            skipped += 1


def steps(request: Request, name: str) -> tuple[list[Step], dict[str, Any]]:
    """What a run did, and how it ended."""
    keeper: Keeper = request.app.state.keeper
    run = keeper.run(name)
    if run is None:
        raise HTTPException(404, f"There is no run {name} here.")
    index = keeper.index(run)
    blind = not sees(request, run)
    with index.opened(veiled=blind) as db, Source(run, veiled=blind) as source:
        tell = Telling(db, source)
        places = [each for each in asking.listed(db, Wish(), 0, 4 * ROWS) if each.kind in ALIGNED]
        taken = [_step(tell.row(each), each) for each in places[:ROWS]]
        last = asking.of_kinds(db, "run.closed", most=1)
        outcome = source.event(last[0]).get("outcome") if last else None
        end = outcome_words(outcome) if isinstance(outcome, dict) else "no end on record"
        about = {
            "name": name,
            "end": end if keeper.whole(index) else "still being read: look again",
            "left_out": max(len(places) - ROWS, 0),
        }
        return taken, about


def _step(row: Row, at: Place) -> Step:
    said = [part.text for part in row.parts]
    done = said[:1] if at.kind == "action.started" else said
    head = "" if at.kind == "model.replied" else row.head
    key = "\0".join((at.kind, at.agent, head, *done))
    result = "\0".join(said[1:]) if at.kind == "action.started" else ""
    return Step(row, hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(), result)


def compare(request: Request) -> Response:
    """Two runs; without both, a form to choose them."""
    keeper: Keeper = request.app.state.keeper
    names = [request.query_params.get(side, "") for side in ("a", "b")]
    if not all(names):
        return page(request, "compare.html", names=list(keeper.names()), chosen=names, pairs=None)
    (left, one), (right, other) = (steps(request, name) for name in names)
    pairs = aligned(left, right)
    return page(
        request,
        "compare.html",
        names=list(keeper.names()),
        chosen=names,
        pairs=list(shortened(pairs))[:SHOWN_PAIRS],
        sides=(one, other),
        differences=sum(not each.same for each in pairs),
        outputs=sum(each.other_output for each in pairs),
    )


ROUTES = [Route("/compare", compare)]
