"""Secrets of the host, taken out by value before anything is written, shown or sent to a model.

A secret is found raw, percent-encoded and JSON-escaped in whole or in part, and inside base64 at
any offset, in either alphabet, or hexadecimal, wrapped or not. In its place stands
`[secret:NAME:digest]`; the digest is keyed with random bytes that live only as long as the
`Redactor`, so that it tells equal secrets of one run and can be guessed by nobody. Other encodings
(compression, a cipher, a dump with other columns) and a secret whose parts come apart, in separate
actions or fields, are not found.

Finding is done in two steps: a few plain searches for a piece of each form that no neighbour can
garble, over the data and over what is left when its escapes are undone; and only where one hits,
the exact pattern, over the data itself.
"""

import base64
import hashlib
import hmac
import re
import secrets as randomness
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

MIN_CHARS = 12
"""Shorter values are words, numbers and paths as often as secrets."""

PIECE_BYTES = 4
"""The shortest piece worth a search; a form without one is always matched exactly."""

NESTED = 3
"""How often escapes may be escaped again."""

_SECRET_NAME = re.compile(
    r"(KEY|TOKEN|SECRET|PASS|PASSWD|PASSWORD|PASSPHRASE|CREDENTIAL|PAT|AUTH|COOKIE)S?\d*(_|$)",
    re.IGNORECASE,
)
_SLASHES = rb"\\\\{0,7}"  # the first apart, so that a search knows what it can begin with
_GAP = rb"(?:[\r\n\t ]|\\{1,8}[nrt]|%(?:25){0,3}(?:0[AaDd9]|20)){0,4}"
"""What may stand between two characters of base64: a wrapped line, itself escaped perhaps."""

_ESCAPES = {
    mark: re.compile(re.escape(mark) + rb"[0-9A-Fa-f]{2}") for mark in (b"\\u00", b"\\x", b"%")
}
"""What stands before the two hexadecimal digits of a byte, and what finds both."""
_BYTES = {
    f"{high}{low}".encode(): bytes.fromhex(high + low)
    for high in "0123456789abcdefABCDEF"
    for low in "0123456789abcdefABCDEF"
}
_GARBLED_BYTES = 7
"""Escapes that begin before a form take at most so many bytes of it: `%5c` and then `\\u0041`."""

_MARKER = re.compile(rb"\[secret:([A-Za-z0-9_]+):([0-9a-f]{8})\]")


class Span(NamedTuple):
    """One place from which a secret was taken."""

    start: int
    end: int
    """Byte offsets of what stands there now."""
    name: str
    digest: str


def replaced_in(data: bytes) -> list[Span]:
    """Where secrets were taken out: why a digest made before may not fit."""
    return [
        Span(*found.span(), found[1].decode(), found[2].decode())
        for found in _MARKER.finditer(data)
    ]


def host_secrets(environment: Mapping[str, str], *also: str) -> dict[str, str]:
    """Secrets in an environment, by name: variables named so or in `also`, passwords in addresses.

    Of a value of several lines each counts for itself.
    """
    found: dict[str, str] = {}
    for name, value in environment.items():
        label = re.sub(r"\W", "_", name)
        if name in also or _SECRET_NAME.search(name):
            lines = [line.strip() for line in value.splitlines() if not line.startswith("-----")]
            found |= {f"{label}_{n}" if n else label: line for n, line in enumerate(lines)}
        elif password := _password(value):
            found[label] = password
            found[f"{label}_decoded"] = unquote(password)
    return found


def _password(value: str) -> str | None:
    try:
        return urlsplit(value).password
    except ValueError:
        return None


class Redactor:
    """Knows secrets by value and takes them out of bytes, text and JSON values."""

    def __init__(self, secrets: Mapping[str, str], kept: bytes = b"") -> None:
        """Guard these secrets, by name, but for short ones and those that `kept` has in it.

        A scenario's own secrets are evidence: `kept` is all that its files say.
        """
        key = randomness.token_bytes(32)
        known: dict[str, _Secret] = {}
        for name, value in secrets.items():
            plain = value.encode("utf-8", "replace")
            if len(value) >= MIN_CHARS and plain not in kept:
                digest = hmac.new(key, plain, hashlib.sha256).hexdigest()[:8]
                known.setdefault(value, _Secret(f"[secret:{name}:{digest}]".encode(), value))
        # One that contains another goes first.
        ordered = sorted(known.values(), key=lambda secret: -len(secret.value))
        self._forms = [(form, secret.marker) for secret in ordered for form in secret.forms]
        self._shortest = min((len(form.text) for form, _ in self._forms), default=0)

    def __len__(self) -> int:
        """How many secrets it guards."""
        return len({marker for _, marker in self._forms})

    def data(self, data: bytes) -> bytes:
        """The same bytes without secrets."""
        if not self._forms or len(data) < self._shortest:
            return data
        views = b"\0".join(_views(data))
        for form, marker in self._forms:
            if form.piece in views:
                data = form.pattern.sub(marker, data)
        return data

    def cut(self, data: bytes) -> bytes:
        """The same for bytes whose end is missing: a secret that begins there goes too."""
        data = self.data(data)
        for form, marker in self._forms:
            for size in range(len(form.text) - 1, PIECE_BYTES, -1):
                if data.endswith(form.text[:size]):
                    return data[:-size] + marker
        return data

    def text(self, text: str) -> str:
        """The same text without secrets; lone surrogates come through."""
        if not self._forms or len(text) < MIN_CHARS:
            return text
        before = text.encode("utf-8", "surrogatepass")
        after = self.data(before)
        return text if after == before else after.decode("utf-8", "surrogatepass")

    def value(self, value: Any) -> Any:
        """The same JSON value without secrets, in the names of its fields either."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(name): self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value


NOTHING = Redactor({})
"""Guards no secret."""


@dataclass(frozen=True)
class _Form:
    """One way in which a secret may be written."""

    text: bytes
    """Written so, with nothing escaped."""
    gaps: bool
    """Whether it is base64, which may be wrapped and has a second alphabet, or hexadecimal."""

    @cached_property
    def piece(self) -> bytes:
        """The longest part that stays as it is however the rest and what is before are escaped."""
        clean = rb"[A-Za-z0-9]+" if self.gaps else rb"[!#$&-.0-9:-\[\]-~]+"
        # What follows an escape character in the secret may be taken for a part of an escape.
        blurred = re.sub(rb"[%\\].{0,5}", lambda found: b"\\" * len(found[0]), self.text)
        parts = re.findall(clean, blurred[_GARBLED_BYTES:])
        longest = max(parts, key=len, default=b"")
        return longest if len(longest) >= PIECE_BYTES else b""

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Exactly this form: each character as it is or escaped."""
        characters = self.text.decode()
        gap = _GAP if self.gaps else b""
        return re.compile(gap.join(_character(char, base64_too=self.gaps) for char in characters))


class _Secret:
    """One secret and all its forms."""

    def __init__(self, marker: bytes, value: str) -> None:
        self.marker = marker
        self.value = value
        self.forms = tuple(_forms(value.encode("utf-8", "replace")))


def _forms(plain: bytes) -> Iterator[_Form]:
    yield _Form(plain, gaps=False)
    for offset in range(3):
        # Without the characters that what is before or behind has a part in.
        coded = base64.b64encode(bytes(offset) + plain)
        core = coded[(0, 2, 3)[offset] : (offset + len(plain)) * 8 // 6]
        yield _Form(core, gaps=True)
    for digits in (plain.hex(), plain.hex().upper()):
        yield _Form(digits.encode(), gaps=True)


def _character(char: str, *, base64_too: bool) -> bytes:
    """A pattern for one character in all the ways in which it may be written."""
    plain = char.encode()
    utf16 = char.encode("utf-16-be")
    units = [utf16[at : at + 2].hex().encode() for at in range(0, len(utf16), 2)]
    ways = [
        re.escape(plain),
        b"".join(rb"%%(?:25){0,%d}%s" % (NESTED, _hex(b"%02x" % byte)) for byte in plain),
        b"".join(_SLASHES + b"u" + _hex(unit) for unit in units),
        b"".join(_SLASHES + b"x" + _hex(b"%02x" % byte) for byte in plain),
    ]
    if char in "\"/'\\":
        ways.append(_SLASHES + re.escape(plain))
    if char in "\n\r\t":
        ways.append(_SLASHES + {"\n": b"n", "\r": b"r", "\t": b"t"}[char])
    if char == " ":
        ways.append(rb"\+")
    if base64_too and char in "+/":
        ways.append(_character({"+": "-", "/": "_"}[char], base64_too=False))
    return b"(?:" + b"|".join(ways) + b")"


def _hex(digits: bytes) -> bytes:
    return b"(?i:" + digits + b")"


def _views(data: bytes) -> Iterator[bytes]:
    """The data, and what it becomes as its escapes are undone; each without white space as well."""
    for _ in range(NESTED + 1):
        yield data
        if (squeezed := data.translate(None, b" \r\n\t")) != data:
            yield squeezed
        if b"%" not in data and b"\\" not in data:
            return
        undone = _undone(data)
        if undone == data:
            return
        data = undone


def _undone(data: bytes) -> bytes:
    """The data with its escapes undone once; by splitting, which is twice a pattern's pace."""
    while b"\\\\" in data:  # an escape that was escaped again begins with several
        data = data.replace(b"\\\\", b"\\")
    for letter in (b"n", b"r", b"t"):
        data = data.replace(b"\\" + letter, b"\n")
    for mark, pattern in _ESCAPES.items():
        if not pattern.search(data):
            continue
        first, *parts = data.split(mark)
        coded = (_BYTES.get(part[:2], mark + part[:2]) + part[2:] for part in parts)
        data = first + b"".join(coded)
    return data
