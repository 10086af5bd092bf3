"""One row of the audit, and careful ways of reading what a sandbox says."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One setting; None in a column means it cannot be known there."""

    setting: str
    asked: Any
    stated: Any
    measured: Any
    ok: bool
    note: str = ""

    def record(self) -> dict[str, Any]:
        """The row as JSON values."""
        return {name: value for name, value in vars(self).items() if value not in (None, "")}


def part(value: Any, name: str) -> dict[str, Any]:
    """A mapping within what may be anything; empty if there is none of that name."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
