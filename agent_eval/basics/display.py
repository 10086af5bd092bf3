"""Hostile text made safe to look at.

Everything that a model or a sandbox wrote passes through here before it reaches a terminal: no
escape sequence, no control character, no change of writing direction gets through.
"""

import unicodedata

_KEPT = {"\n", "\t"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    """The same text with every character that could act on a terminal shown as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in _KEPT or unicodedata.category(char) not in _HIDDEN else _escape(char)
        for char in text
    )


def one_line(text: str, width: int) -> str:
    """The text's printable beginning on one line of at most `width` characters."""
    flat = " ".join(printable(text[: 4 * width]).split())
    whole = len(flat) <= width and len(text) <= 4 * width
    return flat if whole else flat[: max(width - 1, 0)] + "…"


def many(number: int, noun: str) -> str:
    """A number with its noun, of which one stands without an s."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
