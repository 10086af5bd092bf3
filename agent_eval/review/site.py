"""The application: which page is at which address, behind the door that lets readers in."""

import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.review import (
    comparing,
    label_pages,
    pair_pages,
    pictures,
    run_pages,
    runs_pages,
    tailing,
)
from agent_eval.review.door import Door
from agent_eval.review.index import cache_folder
from agent_eval.review.keeping import Keeper
from agent_eval.review.rendering import STATIC, page, templates

PAGES = (runs_pages, comparing, run_pages, pictures, tailing, label_pages, pair_pages)
"""Modules with pages, each with its `ROUTES`."""


def made(
    folder: Path,
    port: int,
    readers: Mapping[str, str],
    cache: Path | None = None,
    key: bytes | None = None,
) -> Door:
    """The site over a folder of runs, for readers by their tokens.

    `key` draws the order in which runs are shown to be compared; without one it is new each time.
    `cache` is where indexes lie; by default the user's. Raises `OperatorError` where there is no
    such folder.
    """
    routes: list[BaseRoute] = [route for module in PAGES for route in module.ROUTES]
    routes.append(Mount("/static", StaticFiles(directory=STATIC)))
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _no_such_page,
            AgentEvalError: _not_done,
            FileNotFoundError: _gone,
            sqlite3.OperationalError: _no_index,
        },
    )
    app.state.key = key or secrets.token_bytes(32)
    for name in templates().list_templates():  # so that nobody waits for that
        templates().get_template(name)
    keeper = app.state.keeper = Keeper(folder, cache or cache_folder())

    async def page_by_page(scope: Scope, receive: Receive, send: Send) -> None:
        with keeper.reading():
            await app(scope, receive, send)

    return Door(page_by_page, port, readers)


def _no_such_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return page(request, "sorry.html", error.status_code, why=error.detail)


def _gone(request: Request, error: Exception) -> Response:
    """A run was removed while somebody read it."""
    return page(request, "sorry.html", 404, why=f"It is not there any more: {error}")


def _no_index(request: Request, error: Exception) -> Response:
    """The cache is full, or was taken away."""
    why = f"The index of this run cannot be used ({error}); is there room in {cache_folder()}?"
    return page(request, "sorry.html", 503, why=why)


def _not_done(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, OperatorError) else 500
    return page(request, "sorry.html", status, why=str(error))
