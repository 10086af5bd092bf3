"""Who reads the site, and what is kept from them until they have read for themselves.

The person who started the site has the name of their account and sees everything. Reviewers by name
read blind: what graders and others say of a run is withheld from them, here on the server, until
two reviewers and they themselves are done with it. A reviewer's address is made from a key that
lies in the user's own state folder, never beside runs, so that it stays the same from day to day;
removing that key takes all addresses back.
"""

import getpass
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from agent_eval.errors import OperatorError
from agent_eval.labels.blind import opened
from agent_eval.labels.kept import read_labels
from agent_eval.labels.label import Author
from agent_eval.review.found import Grading, grading_of

WITHHELD = Grading(
    problem="withheld until two reviewers, and you, have read this run to its end"
)  # fmt: skip
KEY_BYTES = 32
_AUTHOR: TypeAdapter[str] = TypeAdapter(Author)


def author_of(request: Request) -> str:
    """The name that goes with what a reader writes."""
    return str(request.state.reader) or owner()


def blind(request: Request) -> bool:
    """Whether a reader reads blind."""
    return bool(request.state.reader)


def sees(request: Request, run: Path) -> bool:
    """Whether a reader may see what graders and others say of a run."""
    return not blind(request) or opened(read_labels(run), request.state.reader)


def grading_for(request: Request, run: Path) -> Grading:
    """What graders say of a run, as far as a reader may see it."""
    return grading_of(run) if sees(request, run) else WITHHELD


def owner() -> str:
    """The name of the account that the site runs under, as far as it is a name of an author."""
    try:
        name = re.sub(r"[^A-Za-z0-9._@-]", "-", getpass.getuser()).strip("._@-")[:64]
    except (KeyError, OSError):  # an account without a name
        name = ""
    return name or "owner"


def site_key() -> bytes:
    """The key that reviewers' addresses are made from; made at its first use.

    Raises `OperatorError` where it can be neither read nor written.
    """
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    file = base / "agent-eval" / "review.key"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            key = file.read_bytes()
        else:
            key = secrets.token_bytes(KEY_BYTES)
            with open(fd, "wb") as out:  # noqa: PTH123 - a descriptor, not a path
                out.write(key)
    except OSError as error:
        raise OperatorError(
            f"{file} cannot be used for reviewers' addresses ({error.strerror}); set "
            "XDG_STATE_HOME to a folder of yours"
        ) from error
    if len(key) != KEY_BYTES:
        raise OperatorError(f"{file} is no key of this program: remove it, and addresses change")
    return key


def tokens_of(names: Iterable[str], folder: Path, key: bytes) -> dict[str, str]:
    """A token for each reviewer of a folder of runs: always the same for the same key.

    Raises `OperatorError` for a name that is none, or is given twice.
    """
    found: dict[str, str] = {}
    for name in names:
        try:
            _AUTHOR.validate_python(name)
        except ValidationError as error:
            raise OperatorError(f"{name!r} is no name: letters, digits and ._@-") from error
        if name in found.values() or name == owner():
            raise OperatorError(f"{name} is there already: give each reviewer a name of their own")
        text = f"reviewer\0{folder.resolve()}\0{name}".encode()
        found[hmac.new(key, text, hashlib.sha256).hexdigest()] = name
    return found
