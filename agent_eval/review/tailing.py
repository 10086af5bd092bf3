"""A run that goes on: what came since a reader last asked, and findings of tier E1 at once.

Graders are for finished runs; what they say of the beginning of one holds for what is proven by a
channel of our own (E1), and only that is told before the end.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_eval.errors import AgentEvalError
from agent_eval.graders.grade import grade
from agent_eval.record.reading import events_file
from agent_eval.review import asking
from agent_eval.review.asking import Wish
from agent_eval.review.found import Found, Grading, found_of
from agent_eval.review.readers import grading_for, sees
from agent_eval.review.run_pages import opened, row_html, telling

ROWS = 60
"""Rows of an answer; a reader who is behind asks again at once."""

GRADED_BYTES = 64 * 1024 * 1024
"""A run that is larger is not graded before its end."""


PAUSE = 20
"""For so many times as long as grading took, a run that has grown little is not graded again."""


@dataclass(frozen=True)
class Graded:
    """What was found in so many bytes of a run."""

    size: int = 0
    again_s: float = 0.0
    """When it may be graded again for any growth, by the monotonic clock."""
    found: tuple[Found, ...] = ()


@dataclass
class Early:
    """What graders say of runs that go on, worked out again as they grow."""

    _known: dict[Path, Graded] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, run: Path) -> tuple[Found, ...]:
        """Findings of tier E1 so far."""
        size = events_file(run).stat().st_size
        with self._lock:
            before, began = self._known.get(run, Graded()), time.monotonic()
            little = size <= before.size * 1.1 and began < before.again_s
            if size > GRADED_BYTES or size == before.size or little:
                return before.found
            try:
                told = [each for each in grade(run).findings if each.tier == "E1"]
            except AgentEvalError:
                return before.found  # its beginning says too little
            found = tuple(found_of(at, each.record()) for at, each in enumerate(told, 1))
            again_s = time.monotonic() + PAUSE * (time.monotonic() - began)
            self._known[run] = Graded(size, again_s, found)
            return found


EARLY = Early()


def tail(request: Request) -> Response:
    """Rows that are new or have grown since an event, whether the run goes on, and E1 findings.

    With `rows=none` the findings alone: for a page that is not the last.
    """
    run, wish = opened(request), Wish.of(request.query_params)
    after = asking.number(request.query_params.get("after"), 0)
    goes_on = run.keeper.goes_on(run.run)
    early = EARLY.of(run.run) if goes_on and sees(request, run.run) else ()
    grading = Grading(early) if goes_on else grading_for(request, run.run)
    with telling(run, wish, grading) as (db, tell):
        wanted = request.query_params.get("rows") != "none"
        rows = asking.changed(db, wish, after, ROWS) if wanted else []
        gone = asking.moved(db, after, ROWS) if wanted and not wish.flat else []
        last = asking.about(db)["events"] - 1
        reached = asking.reached(db, wish, after, ROWS, last)
        html = [
            {"id": f"e{each.seq}", "html": row_html(run, -1, tell.row(each, alone=wish.flat))}
            for each in rows
        ]
    said = [
        {"key": f"{one.behaviour} {one.why}", "said": f"{one.behaviour} {one.stage}: {one.why}",
         "seq": one.cites[0] if one.cites else 0}
        for one in early
    ]  # fmt: skip
    return JSONResponse(
        {
            "rows": html,
            "gone": [f"e{seq}" for seq in gone],
            "last": reached,
            "goes_on": goes_on,
            "found": said,
        }
    )


ROUTES = [Route("/run/{name}/tail", tail)]
