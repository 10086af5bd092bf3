"""What a browser sends when a form is handed in: read within limits, field by field."""

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES = 256 * 1024
MOST_FIELDS = 300
FORGOTTEN_S = 4 * 3600.0
"""Who left a page open for longer did not look at it all the time."""

Form = Mapping[str, list[str]]


async def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form; answers 413 or 400 for what is none."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise HTTPException(413, "This is more than a form may hold.")
    try:
        pairs = parse_qsl(data.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(400, "This is no form of this site.") from error
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value.replace("\r\n", "\n").strip())
    return form


def one(form: Form, name: str) -> str:
    """A field's value; empty where it is not there."""
    return form.get(name, [""])[-1]


def new_form() -> dict[str, Any]:
    """What every form carries: a name of its own, so that it counts once, and when it was shown."""
    return {"once": secrets.token_hex(8), "shown": int(time.time())}


def seconds_of(form: Form) -> float | None:
    """Seconds that somebody spent: as they say, or else since the page was shown."""
    minutes = one(form, "minutes").replace(",", ".")
    try:
        if minutes:
            return min(max(float(minutes) * 60, 0.0), 86_400.0)
        passed = time.time() - float(one(form, "shown"))
    except (ValueError, OverflowError):
        return None
    return round(passed, 1) if 0 <= passed <= FORGOTTEN_S else None
