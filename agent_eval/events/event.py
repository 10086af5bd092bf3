"""The root of every kind of event."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """The root of all kinds."""

    kind: ClassVar[str]

    def fields(self) -> dict[str, Any]:
        """The event's own fields, those without a value left out."""
        return {name: value for name, value in vars(self).items() if value is not None}
