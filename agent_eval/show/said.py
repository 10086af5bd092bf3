"""What is told of an event, before a terminal or a page gives it its form."""

from pathlib import Path
from typing import NamedTuple


class View(NamedTuple):
    """Where the blobs are, and how much is wanted."""

    run: Path
    full: bool
    most_bytes: int | None = None
    """Of an output, what is read at most; None: all of it."""


class Said(NamedTuple):
    """A piece of what is told of an event, as it is: neither cut nor safe to look at."""

    text: str
    style: str
    head: bool = False
    limit: int | None = None
    """Characters that a reader is shown at first; None: all."""
