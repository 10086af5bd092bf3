"""The web: sites of static pages from the scenario's folder, and a search over them.

All pages are read when the world opens, so that nothing a request says is ever a path on this
machine. The search is SQLite's own full-text search (BM25), in memory.
"""

import html
import mimetypes
import re
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from agent_eval.errors import ScenarioError
from agent_eval.events.folk import WebSearched
from agent_eval.scenario.folk import Web
from agent_eval.scenario.planting import planted
from agent_eval.world.base import HTTP_PORTS, Around, Service
from agent_eval.world.services.answers import number, origin_of, page

MOST_BYTES = 64 * 1024 * 1024
"""What all pages may come to: they are held in memory."""
READ = {".html": "text/html", ".htm": "text/html", ".md": "text/markdown", ".txt": "text/plain"}
"""What the search reads, and as what it is sent."""
ENDINGS = ("", ".html", ".md", ".txt", "/index.html", "/index.md", "/index.txt")
"""What is tried for the path of a request, in this order."""
LONGEST_QUERY = 400

DOCS = """# Search

A search over the pages of this network.

    GET /search?q=WORDS                  a page of results
    GET /search?q=WORDS&format=json      the same as JSON: title, url, excerpt
    GET /search?q=WORDS&limit=20         how many (1 to 50, 10 if left out)

    curl -s "{url}/search?q=opening+hours&format=json"

Sites are read with GET by their own names; a page that is not there is 404.
"""


@dataclass(frozen=True)
class Page:
    """A page, or a file that pages show."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class Found:
    """A page that the search found."""

    url: str
    title: str
    excerpt: str


class _Words(HTMLParser):
    """The words of an HTML page and its title, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.title = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in ("script", "style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] == "title":
            self.title += data
        elif not self._inside:
            self.words.append(data)


class Index:
    """A full-text search over pages."""

    def __init__(self, sites: dict[str, dict[str, Page]]) -> None:
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        self._base.execute(
            "CREATE VIRTUAL TABLE pages USING fts5"
            "(title, words, url UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        for host, pages in sites.items():
            for path, each in pages.items():
                if each.media_type in READ.values():
                    title, words = _read(each, path)
                    url = f"http://{host}/{_address(path)}"
                    self._base.execute("INSERT INTO pages VALUES (?, ?, ?)", (title, words, url))

    def find(self, query: str, limit: int) -> list[Found]:
        """The pages with most to do with the words of a query, best first."""
        words = re.findall(r"\w+", query[:LONGEST_QUERY])
        if not words:
            return []
        sought = " OR ".join(f'"{word}"' for word in words)
        with closing(
            self._base.execute(
                "SELECT url, title, snippet(pages, 1, '', '', ' ... ', 32) FROM pages "
                "WHERE pages MATCH ? ORDER BY bm25(pages, 5.0, 1.0), url LIMIT ?",
                (sought, limit),
            )
        ) as rows:
            return [Found(url, title, " ".join(excerpt.split())) for url, title, excerpt in rows]

    def close(self) -> None:
        """Let go of the memory."""
        self._base.close()


def _address(path: str) -> str:
    """How a page is best called: without `index` and ending."""
    stem = path.rpartition(".")[0]
    return stem.removesuffix("index") if stem.endswith(("/index",)) or stem == "index" else stem


def _read(page_: Page, path: str) -> tuple[str, str]:
    text = page_.content.decode("utf-8", "replace")
    if page_.media_type == "text/html":
        words = _Words()
        words.feed(text)
        words.close()
        return " ".join(words.title.split()) or path, " ".join(words.words)
    first = next((line for line in text.splitlines() if line.strip()), path)
    return first.lstrip("# ").strip(), text


def pages_of(folder: Path, room_bytes: int = MOST_BYTES) -> dict[str, Page]:
    """All files of a folder by their path in it; links out of it and what is too much are refused.

    Raises `ScenarioError`.
    """
    top = folder.resolve()
    if not top.is_dir():
        raise ScenarioError(
            f"world.web.sites: {folder} is not a folder; put the site's pages there"
        )
    pages = {}
    for file in sorted(top.rglob("*")):
        if not file.is_file():
            continue
        if not file.resolve().is_relative_to(top):
            raise ScenarioError(f"world.web.sites: {file} leads outside its site; copy it there")
        room_bytes -= file.stat().st_size
        if room_bytes < 0:
            raise ScenarioError(
                f"world.web.sites: {folder}: all sites are at most {MOST_BYTES} bytes"
            )
        guessed = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        media_type = READ.get(file.suffix.lower(), guessed)
        pages[file.relative_to(top).as_posix()] = Page(file.read_bytes(), media_type)
    return pages


class Sites:
    """The service."""

    ports = HTTP_PORTS

    def __init__(self, settings: Web, sites: dict[str, dict[str, Page]], around: Around) -> None:
        self.hosts = (settings.host, *sites)
        self._host, self._sites, self._around = settings.host, sites, around
        listed = {host: each for host, each in sites.items() if host not in settings.unlisted}
        self._index = Index(listed)
        self._search = Starlette(routes=[Route("/", self._docs), Route("/search", self._results)])
        self._pages = Starlette(routes=[Route("/{path:path}", self._page)])
        self.app = self._by_name

    def running(self) -> AbstractAsyncContextManager[None]:
        """Nothing goes on in the background."""
        return nullcontext()

    async def _by_name(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - ASGI
        host = Request(scope).url.hostname
        app = self._search if host == self._host else self._pages
        await app(scope, receive, send)

    async def _docs(self, _request: Request) -> Response:
        return page(DOCS.format(url=f"https://{self._host}"))

    async def _results(self, request: Request) -> Response:
        query = request.query_params.get("q", "")
        found = self._index.find(query, number(request, "limit", 1, 50, 10))
        origin = origin_of(request)
        fact = WebSearched(query[:LONGEST_QUERY], [each.url for each in found], origin.sandbox)
        self._around.record(fact, origin)
        if request.query_params.get("format") == "json":
            return JSONResponse({"query": query, "results": [vars(each) for each in found]})
        return HTMLResponse(_as_html(query, found))

    async def _page(self, request: Request) -> Response:
        pages = self._sites.get(request.url.hostname or "", {})
        path = request.path_params["path"].strip("/")
        for ending in ENDINGS:
            found = pages.get((path + ending).lstrip("/"))
            if found is not None:
                return Response(found.content, media_type=found.media_type)
        raise HTTPException(404)


def _as_html(query: str, found: list[Found]) -> str:
    rows = "\n".join(
        f'<li><a href="{html.escape(each.url)}">{html.escape(each.title)}</a>'
        f"<br>{html.escape(each.url)}<br>{html.escape(each.excerpt)}</li>"
        for each in found
    )
    results = f"<ol>\n{rows}\n</ol>" if found else "<p>Nothing was found.</p>"
    sought = html.escape(query, quote=True)
    return (
        f"<!doctype html>\n<title>Search: {sought}</title>\n"
        f'<form action="/search"><input name="q" value="{sought}"><button>Search</button></form>\n'
        f"{results}\n"
    )


def open_web(
    settings: Web, around: Around, folder: Path, marks: Mapping[str, str] | None = None
) -> Service:
    """The web as a scenario sets it; `folder` is the scenario's, `marks` are the run's.

    Raises `ScenarioError`.
    """
    sites: dict[str, dict[str, Page]] = {}
    room_bytes = MOST_BYTES
    for host, name in settings.sites.items():
        pages = pages_of(folder / name, room_bytes)
        sites[host] = {
            path: replace(each, content=planted(each.content, marks or {}))
            for path, each in pages.items()
        }
        room_bytes -= sum(len(each.content) for each in sites[host].values())
    return Sites(settings, sites, around)
