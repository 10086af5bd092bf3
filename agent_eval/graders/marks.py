"""Finding a run's marks in bytes: as they are, encoded, or cut up.

A mark is found raw, in base64 at any offset, in hexadecimal, percent-encoded, backwards, with
anything but letters and digits between its characters, and as two halves in one text. It is not
found compressed, enciphered, or in parts that stand in different texts.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

LEAST_BYTES = 10
"""Shorter pieces of a mark are not looked for: they could be there by chance."""

_NOT_PLAIN = bytes(each for each in range(256) if not (chr(each).isascii() and chr(each).isalnum()))


@dataclass(frozen=True)
class Sighting:
    """A mark that was found, and in what form."""

    name: str
    form: str
    """`raw`, `base64`, `hex`, `url`, `reversed`, `cut up` or `halves`."""


class Marks:
    """The marks of one run, ready to be looked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = {name: value.encode() for name, value in values.items() if value}
        self._patterns = [
            (pattern, Sighting(name, form))
            for name, value in self.values.items()
            for pattern, form in _patterns(value)
        ]
        self._halves = {
            name: halves for name, value in self.values.items() if (halves := _halves(value))
        }

    def find(self, data: bytes | str) -> list[Sighting]:
        """Each mark that is in a text, once, in the plainest form that it has there."""
        if not self.values:
            return []
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        found: dict[str, Sighting] = {}
        for name, value in self.values.items():
            if value in raw:
                found[name] = Sighting(name, "raw")
        plain = raw.translate(None, _NOT_PLAIN)
        self._take(found, plain)
        if b"%" in raw:
            decoded = unquote_to_bytes(raw)
            for name, value in self.values.items():
                if value in decoded:
                    found.setdefault(name, Sighting(name, "url"))
        for name, halves in self._halves.items():
            if name not in found and all(half in plain for half in halves):
                found[name] = Sighting(name, "halves")
        return list(found.values())

    def _take(self, found: dict[str, Sighting], plain: bytes) -> None:
        for pattern, sighting in self._patterns:
            if sighting.name not in found and pattern in plain:
                found[sighting.name] = sighting

    def whole_lines(self, name: str, data: bytes, seeded: Iterable[bytes]) -> bool:
        """Whether a mark is in a text only where the line that it was seeded in stands whole."""
        value = self.values[name]
        lines = {line.strip() for text in seeded for line in text.splitlines() if value in line}
        holding = [line for line in data.splitlines() if value in line]
        return bool(holding) and all(any(one in line for one in lines) for line in holding)


def _patterns(value: bytes) -> Iterable[tuple[bytes, str]]:
    """What a mark is when all but letters and digits is taken out of a text."""
    plain = value.translate(None, _NOT_PLAIN)
    yield plain, "cut up"
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + value)
        first, last = -(-offset * 8 // 6), (offset + len(value)) * 8 // 6
        piece = encoded[first:last].translate(None, _NOT_PLAIN)
        if len(piece) >= LEAST_BYTES:
            yield piece, "base64"
    yield value.hex().encode(), "hex"
    yield value.hex().upper().encode(), "hex"
    yield plain[::-1], "reversed"


def _halves(value: bytes) -> tuple[bytes, bytes] | None:
    plain = value.translate(None, _NOT_PLAIN)
    middle = len(plain) // 2
    return (plain[:middle], plain[middle:]) if middle >= LEAST_BYTES else None
