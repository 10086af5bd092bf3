"""What bytes hold once they are unpacked: compressed data and base64, up to three layers deep.

Someone who carries a file out packs it first. Whatever was sent is hostile: how much is unpacked is
limited, and what cannot be unpacked is left as it is.
"""

import base64
import binascii
import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import unquote_to_bytes

LAYERS = 3
MOST_BYTES = 8 * 1024 * 1024
"""What comes out of one text in all; the rest is not looked at."""
MOST_MEMORY_BYTES = 64 * 1024 * 1024
"""What xz may take to unpack."""
MOST_PARTS = 64
"""Packed parts of one text that are tried."""

_MAGIC = re.compile(rb"\x1f\x8b\x08|PK\x03\x04|BZh[1-9]1AY|\xfd7zXZ\x00|\x78[\x01\x5e\x9c\xda]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*={0,2}")
_URL = bytes.maketrans(b"-_", b"+/")


class _Opener(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


_OPENERS: dict[bytes, Callable[[], _Opener]] = {
    b"\x1f": lambda: zlib.decompressobj(31),
    b"\x78": lambda: zlib.decompressobj(15),
    b"B": bz2.BZ2Decompressor,
    b"\xfd": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY_BYTES),
    b"P": lambda: zlib.decompressobj(-15),
}


def unwrapped(data: bytes) -> Iterator[bytes]:
    """What is in a text, unpacked, without the text itself."""
    left = MOST_BYTES
    layer = [unquote_to_bytes(data) if b"%" in data else data]
    for _ in range(LAYERS):
        inner: list[bytes] = []
        for each in layer:
            for found in _parts(each, left):
                left -= len(found)
                inner.append(found)
                yield found
                if left <= 0:
                    return
        layer = inner


def _parts(data: bytes, most: int) -> Iterator[bytes]:
    for number, found in enumerate(_MAGIC.finditer(data)):
        if number < MOST_PARTS and (inner := _opened(data, found.start(), most)):
            yield inner
    for number, found in enumerate(_BASE64.finditer(data)):
        if number < MOST_PARTS and (inner := _decoded(found[0])):
            yield inner


def _opened(data: bytes, start: int, most: int) -> bytes:
    """What a packed part that begins here holds, as far as it can be unpacked."""
    begin = start
    if data[start : start + 2] == b"PK":
        header = data[start : start + 30]
        if len(header) < 30 or header[8:10] != b"\x08\x00":  # stored parts are there as they are
            return b""
        sizes = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        begin += 30 + sizes
    try:
        return _OPENERS[data[start : start + 1]]().decompress(data[begin:], max(most, 1))
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, MemoryError):
        return b""


def _decoded(text: bytes) -> bytes:
    plain = b"".join(text.split()).rstrip(b"=").translate(_URL)
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return b""
