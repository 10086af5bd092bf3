"""How a target cuts its input: what arrives in one piece or in many must come to the same."""

from collections.abc import Iterator

from agent_eval.sandbox.frames import CONTROL, DATA, END, encode

KINDS = {b"c": CONTROL, b"d": DATA, b"e": END}


def cut(data: bytes) -> Iterator[bytes]:
    """Pieces of the data, of lengths that its own bytes choose."""
    at = 0
    while at < len(data):
        size = 1 + data[at] % 61
        yield data[at : at + size]
        at += size


def said(data: bytes) -> list[bytes]:
    """A script of what PID 1 says, a line each: a letter for the type, a digit, the payload.

    A line with any other letter is said as it is, without the form of a frame.
    """
    pieces = []
    for line in data.split(b"\n"):
        kind, channel = KINDS.get(line[:1]), line[1:2]
        if kind is None or not channel.isdigit():
            pieces.append(line)
        else:
            pieces.append(encode(kind, int(channel), line[2:]))
    return [piece for piece in pieces if piece]
