"""The form of what crosses the pipe between host and PID 1.

    length (u32, of what follows) | type (u8) | channel (u32) | payload

What comes from a sandbox is hostile: a frame of the wrong size or type is an error, and nothing is
kept beyond one frame that is still incomplete.
"""

import struct
from collections.abc import Iterator

CONTROL, DATA, END = 0, 1, 2
OPEN, OPENED, STREAM, EOF, RESET, CREDIT, NAME = range(3, 10)
"""Where a sandbox has a network: sandbox/init/streams.py and network.py say what they mean."""

MAX_PAYLOAD_BYTES = 256 * 1024
_HEAD = struct.Struct(">IBI")
_AFTER_LENGTH = _HEAD.size - 4

Frame = tuple[int, int, bytes]
"""Type, channel, payload."""


class BadFrame(Exception):
    """The other end does not keep to the form."""


def encode(kind: int, channel: int, payload: bytes) -> bytes:
    """One frame as bytes."""
    return _HEAD.pack(len(payload) + _AFTER_LENGTH, kind, channel) + payload


class Decoder:
    """Bytes in, in pieces of any size; frames out."""

    def __init__(self, max_payload_bytes: int = MAX_PAYLOAD_BYTES, after: bytes = b"") -> None:
        """All that comes up to the first `after` is thrown away, with it."""
        self._after = after
        self._buffer = bytearray()
        self._max_size = max_payload_bytes + _AFTER_LENGTH

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield every frame that is complete; raises `BadFrame` at the first that cannot be one."""
        self._buffer += data
        if self._after and not self._found():
            return
        while len(self._buffer) >= _HEAD.size:
            size, kind, channel = _HEAD.unpack_from(self._buffer)
            if not _AFTER_LENGTH <= size <= self._max_size:
                raise BadFrame(f"a frame of {size} bytes")
            if kind > NAME:
                raise BadFrame(f"a frame of type {kind}")
            if len(self._buffer) < 4 + size:
                return
            with memoryview(self._buffer) as buffer:
                payload = bytes(buffer[_HEAD.size : 4 + size])
            del self._buffer[: 4 + size]
            yield kind, channel, payload

    def _found(self) -> bool:
        """Throw away what comes before the frames; whether they have begun."""
        at = self._buffer.find(self._after)
        if at < 0:
            del self._buffer[: 1 - len(self._after) or None]
            return False
        del self._buffer[: at + len(self._after)]
        self._after = b""
        return True
