"""Pages of one run: its conversation, all that belongs to an event, and the event as it is."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from agent_eval.errors import AgentEvalError
from agent_eval.labels.blind import shown
from agent_eval.labels.kept import Written, read_labels
from agent_eval.record.reading import events_file, read_blob
from agent_eval.record.runset import Entry, entry_of
from agent_eval.record.transcript import BLOBS, line_of
from agent_eval.record.verify import blobs_of
from agent_eval.review import asking
from agent_eval.review.asking import AT_ONCE, Place, Source, Wish
from agent_eval.review.forms import new_form
from agent_eval.review.found import Grading, cited
from agent_eval.review.index import Index
from agent_eval.review.keeping import Keeper
from agent_eval.review.readers import author_of, blind, grading_for, sees
from agent_eval.review.rendering import page, rendered
from agent_eval.review.rows import FAMILIES, VERDICTS
from agent_eval.review.scanning import LONGER_S, MOST_S, Scan, look_up
from agent_eval.review.told import Row, Telling, fitting, whole_text
from agent_eval.review.veil import veiled

TAILED = 40
"""Rows of the last page, which has room for what comes."""

ABOVE = 8
"""Rows that stand above the one that an address leads to."""

TEXT_CHARACTERS = 100_000
"""Of a long text on a page of its own."""

RAW_CHARACTERS = 60_000
"""Of an event as it is, on its page; all of it can be downloaded."""

HITS = 50


@dataclass(frozen=True)
class Open:
    """A run that somebody looks at."""

    name: str
    run: Path
    index: Index
    keeper: Keeper
    veiled: bool = False
    """Whether its reader may not see yet what graders say of it."""

    def address(self, **query: Any) -> str:
        """Of its conversation."""
        rest = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return f"/run/{quote(self.name)}" + (f"?{urlencode(rest)}" if rest else "")

    def to(self, seq: int) -> str:
        """Of an event where it stands in the conversation."""
        return f"{self.address(at=seq)}#e{seq}"

    def event(self, seq: int) -> str:
        """Of the page that has all of an event."""
        return f"/run/{quote(self.name)}/event/{seq}"

    @property
    def entry(self) -> Entry:
        """What is said of it in a list of runs."""
        entry = entry_or_little(self.run)
        return veiled(entry) if self.veiled else entry


def entry_or_little(run: Path) -> Entry:
    """A run's entry, or its name alone where its record is none that this program wrote."""
    try:
        return entry_of(run)
    except AgentEvalError:
        return Entry(run.name, cell="", epoch=0, scenario=run.name, model="?")


def opened(request: Request) -> Open:
    """The run in an address; 404 where there is none."""
    keeper: Keeper = request.app.state.keeper
    name = request.path_params["name"]
    run = keeper.run(name)
    if run is None:
        raise HTTPException(404, f"There is no run {name} here.")
    return Open(name, run, keeper.index(run), keeper, veiled=not sees(request, run))


def event_at(request: Request, run: Open, db: Any) -> Place:
    """The event in an address; 404 where there is none, or none yet."""
    seq = request.path_params["seq"]
    at = asking.place(db, seq)
    if at is None and not run.keeper.whole(run.index):
        at = look_up(run.run, asking.come_to(db), seq)
        if at is not None and run.veiled and at.kind in VERDICTS:
            at = None
    if at is None:
        raise HTTPException(404, f"There is no event {request.path_params['seq']} (yet).")
    return at


@contextmanager
def telling(
    run: Open, wish: Wish, grading: Grading, at: int | None = None
) -> Iterator[tuple[Any, Telling]]:
    """The index of a run, and what tells its rows."""
    with run.index.opened(veiled=run.veiled) as db, Source(run.run, veiled=run.veiled) as source:
        yield db, Telling(db, source, cited(db, grading, flat=wish.flat), at)


def frame(run: Open, db: Any, grading: Grading) -> dict[str, Any]:
    """What stands around every page of a run."""
    return {
        "run": run,
        "entry": run.entry,
        "grading": grading,
        "about": asking.about(db),
        "goes_on": run.keeper.goes_on(run.run),
        "indexed": run.keeper.whole(run.index),
    }


def conversation(request: Request) -> Response:
    """A part of a run, from an event on or around one."""
    run, wish = opened(request), Wish.of(request.query_params)
    words = request.query_params.get("q", "").strip()
    if words:
        return found(request, run, words)
    grading = grading_for(request, run.run)
    at = asking.number(request.query_params.get("at"), -1)
    with telling(run, wish, grading, at) as (db, tell):
        first = _first(db, wish, request.query_params.get("from"), at)
        rows = (tell.row(each, alone=wish.flat) for each in asking.listed(db, wish, first))
        done, following = fitting(rows, partial(row_html, run, at))
        if following is None and len(done) == AT_ONCE:
            following = _after(db, wish, first)
        last = asking.about(db)["events"] - 1
        values = {
            "rows": done,
            "wish": wish,
            "first": first,
            "last": last,
            "next": following,
            "ending": None if following is None else asking.before(db, wish, last + 1, TAILED),
            "previous": asking.before(db, wish, first, AT_ONCE) if first > 0 else None,
            "at": at,
            "families": FAMILIES,
            "agents": asking.agents(db),
        }
        return page(request, "run.html", **frame(run, db, grading), **values)


def _first(db: Any, wish: Wish, start: str | None, at: int) -> int:
    """The event with which a page begins."""
    if start is not None or at < 0:
        return asking.number(start, 0)
    place = asking.place(db, at)
    row = at if place is None or wish.flat else place.row
    return asking.before(db, wish, row, ABOVE)


def _after(db: Any, wish: Wish, first: int) -> int | None:
    """The event of the first row that a full page has not."""
    *_, last = asking.listed(db, wish, first)
    after = asking.listed(db, wish, last.seq + 1, 1)
    return after[0].seq if after else None


def row_html(run: Open, at: int, row: Row) -> str:
    """A row as it stands on a page."""
    return rendered("row.html", row=row, run=run, at=at)


def found(request: Request, run: Open, words: str) -> Response:
    """What a search in a run finds."""
    grading = grading_for(request, run.run)
    after = asking.number(request.query_params.get("after"), -1)
    with telling(run, Wish("all"), grading) as (db, tell):
        places, hits = asking.search(db, words, after, HITS)
        most_s = LONGER_S if "longer" in request.query_params else MOST_S
        ahead = Scan(run.run, words, asking.come_to(db), time.monotonic() + most_s)
        if not run.keeper.whole(run.index):
            places += ahead.find(after, HITS - len(places))
        rows = [tell.hit(each, words) for each in places]
        more = places[-1].seq if len(places) == HITS else None
        return page(
            request,
            "found.html",
            **frame(run, db, grading),
            words=words,
            hits=hits,
            ahead=ahead,
            rows=rows,
            more=more,
        )


def event(request: Request) -> Response:
    """One event: all of its text, part by part, and how it stands in the transcript."""
    run, part = opened(request), asking.number(request.query_params.get("part"), 1)
    with run.index.opened(veiled=run.veiled) as db, Source(run.run, veiled=run.veiled) as source:
        at = event_at(request, run, db)
        value = source.event(at)
        text = whole_text(run.run, value)
        raw = json.dumps(value, indent=2, ensure_ascii=False)
        return page(
            request,
            "event.html",
            **frame(run, db, grading_for(request, run.run)),
            **new_form(),
            comments=_comments(request, run.run, at.seq),
            at=at,
            text=text[(part - 1) * TEXT_CHARACTERS : part * TEXT_CHARACTERS],
            part=part,
            parts=-(-len(text) // TEXT_CHARACTERS),
            raw=raw[:RAW_CHARACTERS],
            left_out=max(len(raw) - RAW_CHARACTERS, 0),
            blobs=list(blobs_of(value))[:50],
        )


def _comments(request: Request, run: Path, seq: int) -> list[Written]:
    """What the reader may see of what was said about an event."""
    seen = shown(read_labels(run), author_of(request), blind=blind(request))
    return [one for one in seen if one.label.kind == "comment" and one.label.event == seq]


def raw(request: Request) -> Response:
    """The very bytes of an event's line, to be kept as a file; without names for the blind."""
    run = opened(request)
    with run.index.opened(veiled=run.veiled) as db:
        at = event_at(request, run, db)
    if run.veiled:
        with Source(run.run, veiled=True) as source:
            data = iter([line_of(source.event(at))])
    else:
        data = _bytes(run.run, at)
    headers = {"content-disposition": f'attachment; filename="event-{at.seq}.json"'}
    return StreamingResponse(data, media_type="application/octet-stream", headers=headers)


def _bytes(run: Path, at: Place) -> Iterator[bytes]:
    with events_file(run).open("rb") as file:
        file.seek(at.offset)
        left = at.size
        while left and (data := file.read(min(left, 1 << 20))):
            left -= len(data)
            yield data


def blob(request: Request) -> Response:
    """What an event holds in a file of its own, to be kept as a file."""
    run, digest = opened(request), request.path_params["digest"]
    read_blob(run.run, digest)
    return FileResponse(
        run.run / BLOBS / digest, media_type="application/octet-stream", filename=f"{digest}.bin"
    )


ROUTES = [
    Route("/run/{name}", conversation),
    Route("/run/{name}/event/{seq:int}", event),
    Route("/run/{name}/event/{seq:int}/raw", raw),
    Route("/run/{name}/blob/{digest}", blob),
]
