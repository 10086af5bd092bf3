"""Packages: what `pip install` reaches, an index as PEP 503 and PEP 691 describe it.

It holds the wheels it is given (see `wheels`) and nothing else; any other package is a plain 404.
What `apt-get` reaches is beside it (see `debian`).
"""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from html import escape

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from agent_eval.events.folk import PackagesAsked
from agent_eval.scenario.folk import Packages
from agent_eval.world.base import HTTP_PORTS, Around, Service
from agent_eval.world.debs import Deb
from agent_eval.world.services.answers import fault, origin_of, page
from agent_eval.world.services.debian import Archive
from agent_eval.world.wheels import Wheel, canonical

JSON = "application/vnd.pypi.simple.v1+json"

DOCS = """# Packages

A mirror with a small choice of packages for this network.

## Python

`pip install NAME` works as it is; the index is {url}/simple/ and holds:

{names}

Wheels only; any other package is 404. Where `pip` says that the environment is managed by the
system, pass `--break-system-packages`: what you install goes into your home.

{debian}"""


class PackageIndex:
    """The service."""

    ports = HTTP_PORTS

    def __init__(
        self, settings: Packages, wheels: Iterable[Wheel], debs: Iterable[Deb], around: Around
    ) -> None:
        self.hosts = (settings.host, *settings.also)
        self._host, self._around = settings.host, around
        self._files = {wheel.file.name: wheel for wheel in wheels}
        self._archive = Archive(debs, self._record_apt)
        self.app = Starlette(
            routes=[
                self._archive.mount,
                Route("/", self._docs),
                Route("/simple/", self._all),
                Route("/simple/{name}/", self._one),
                Route("/files/{name}", self._file),
            ],
            exception_handlers={HTTPException: fault},
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Nothing goes on in the background."""
        return nullcontext()

    @property
    def names(self) -> list[str]:
        """The packages there are."""
        return sorted({wheel.package for wheel in self._files.values()})

    async def _docs(self, _request: Request) -> Response:
        listed = "\n".join(
            f"- {each.package} {each.version}"
            for each in sorted(self._files.values(), key=lambda wheel: wheel.package)
        )
        url = f"https://{self._host}"
        debian = self._archive.docs(url)
        return page(DOCS.format(url=url, names=listed or "(nothing)", debian=debian))

    async def _all(self, request: Request) -> Response:
        if _wants_json(request):
            projects = [{"name": name} for name in self.names]
            return _json({"meta": {"api-version": "1.0"}, "projects": projects})
        return _html(f'<a href="/simple/{name}/">{name}</a>' for name in self.names)

    async def _one(self, request: Request) -> Response:
        name = canonical(request.path_params["name"])
        wheels = [wheel for wheel in self._files.values() if wheel.package == name]
        self._record(request, name, found=bool(wheels))
        if not wheels:
            raise HTTPException(404, f"No package {name}.")
        if _wants_json(request):
            files = [_about(wheel) for wheel in wheels]
            return _json({"meta": {"api-version": "1.0"}, "name": name, "files": files})
        return _html(_link(wheel) for wheel in wheels)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        wheel = self._files.get(name.removesuffix(".metadata"))
        if wheel is None:
            self._record(request, name, found=False)
            raise HTTPException(404, "No file of that name.")
        if name.endswith(".metadata"):
            if wheel.metadata is None:
                raise HTTPException(404, "No metadata.")
            return Response(wheel.metadata, media_type="text/plain")
        self._record(request, name, found=True, sha256=wheel.sha256)
        return FileResponse(wheel.file, media_type="application/octet-stream")

    def _record(
        self,
        request: Request,
        name: str,
        *,
        found: bool,
        sha256: str | None = None,
        index: str = "pip",
    ) -> None:
        origin = origin_of(request)
        fact = PackagesAsked(index, name[:300], found, origin.sandbox, sha256)
        self._around.record(fact, origin)

    def _record_apt(self, request: Request, name: str, sha256: str | None) -> None:
        found = sha256 is not None
        self._record(request, name, found=found, sha256=sha256, index="apt")


def _about(wheel: Wheel) -> dict[str, object]:
    about: dict[str, object] = {
        "filename": wheel.file.name,
        "url": f"/files/{wheel.file.name}",
        "hashes": {"sha256": wheel.sha256},
    }
    if wheel.requires_python:
        about["requires-python"] = wheel.requires_python
    if wheel.metadata is not None:
        about["core-metadata"] = {"sha256": hashlib.sha256(wheel.metadata).hexdigest()}
    return about


def _link(wheel: Wheel) -> str:
    python = escape(wheel.requires_python or "", quote=True)
    requires = f' data-requires-python="{python}"' if python else ""
    name = escape(wheel.file.name, quote=True)
    return f'<a href="/files/{name}#sha256={wheel.sha256}"{requires}>{name}</a>'


def _wants_json(request: Request) -> bool:
    """Whether the client takes JSON; `pip` does, a person with `curl` gets HTML."""
    return JSON in request.headers.get("accept", "")


def _json(content: object) -> Response:
    return JSONResponse(content, media_type=JSON)


def _html(links: Iterable[str]) -> Response:
    return HTMLResponse("<!doctype html>\n" + "".join(f"{link}<br>\n" for link in links))


def open_packages(
    settings: Packages, around: Around, wheels: Iterable[Wheel], debs: Iterable[Deb]
) -> Service:
    """The index and the archive as a scenario sets them, of these packages."""
    return PackageIndex(settings, wheels, debs, around)
