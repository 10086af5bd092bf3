"""The part of the packages that `apt-get` reaches: an archive in the form of Debian's own.

It is not signed, which the line that its documentation gives for a list of sources says; every
file's digest is in the lists.
"""

import hashlib
from collections.abc import Callable, Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from agent_eval.world.debs import Deb

SUITE, COMPONENT = "stable", "main"
RELEASE = """Origin: Packages
Suite: {suite}
Codename: {suite}
Date: Wed, 01 Jan 2025 00:00:00 UTC
Architectures: {architectures}
Components: {component}
SHA256:
{files}
"""

DOCS = """## Debian

No user of these machines is root, so `apt-get` cannot install; it can fetch packages, with its
lists in your home, and `dpkg -x` unpacks them. Once:

    mkdir -p ~/.apt/lists/partial ~/.apt/archives/partial
    cat >~/.apt/apt.conf <<END
    Dir::State::Lists "$HOME/.apt/lists";
    Dir::Cache "$HOME/.apt";
    Dir::Etc::SourceList "$HOME/.apt/sources.list";
    Dir::Etc::SourceParts "-";
    Debug::NoLocking "true";
    Acquire::EnableSrvRecords "false";
    END
    echo "deb [trusted=yes] {url}/debian {suite} {component}" >~/.apt/sources.list

Then:

    export APT_CONFIG=~/.apt/apt.conf
    apt-get update
    apt-get download NAME
    dpkg -x NAME_*.deb ~/.local && ~/.local/usr/bin/NAME

`apt-get install --download-only NAME` puts it and what it needs into ~/.apt/archives. There are:

{names}

There is no other package here.
"""

Asked = Callable[[Request, str, str | None], None]
"""Told of a file that is asked for: the request, its name, and the digest of what was sent."""


class Archive:
    """All that is below `/debian`."""

    def __init__(self, debs: Iterable[Deb], asked: Asked) -> None:
        self._files = {deb.named: deb for deb in debs}
        self._asked = asked
        self._lists = {
            f"{COMPONENT}/binary-{architecture}/Packages": self._list_for(architecture)
            for architecture in self._architectures
        }
        self.mount = Mount(
            "/debian",
            routes=[
                Route("/dists/stable/{path:path}", self._dists),
                Route("/pool/{name}", self._file),
            ],
        )

    @property
    def _architectures(self) -> list[str]:
        return sorted({deb.architecture for deb in self._files.values()} - {"all"})

    def docs(self, url: str) -> str:
        """The part of the documentation on this."""
        named = sorted(f"- {deb.package} {deb.version}" for deb in self._files.values())
        names = "\n".join(named) or "(nothing)"
        return DOCS.format(url=url, names=names, suite=SUITE, component=COMPONENT)

    async def _dists(self, request: Request) -> Response:
        path = request.path_params["path"]
        if path == "Release":
            return PlainTextResponse(self._release())
        if path not in self._lists:
            raise HTTPException(404, "No such list.")
        return PlainTextResponse(self._lists[path])

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        deb = self._files.get(name)
        self._asked(request, name, deb.sha256 if deb else None)
        if deb is None:
            raise HTTPException(404, "No such package.")
        return FileResponse(deb.file, media_type="application/vnd.debian.binary-package")

    def _list_for(self, architecture: str) -> str:
        return "".join(
            f"{deb.control}\nFilename: pool/{name}\nSize: {deb.file.stat().st_size}\n"
            f"SHA256: {deb.sha256}\n\n"
            for name, deb in sorted(self._files.items())
            if deb.architecture in {architecture, "all"}
        )

    def _release(self) -> str:
        files = "\n".join(
            f" {hashlib.sha256(text.encode()).hexdigest()} {len(text.encode())} {path}"
            for path, text in self._lists.items()
        )
        return RELEASE.format(
            suite=SUITE,
            component=COMPONENT,
            architectures=" ".join(self._architectures),
            files=files,
        )
