"""How much data of streams is between the ends of a pipe at one time.

What is small waits behind all of it, in the engine's own buffers as well as at the other end: so
little is under way while something small goes its way, and more where all is bulk. PID 1 does the
same at its end (see sandbox/init/streams.py).
"""

import time
from collections.abc import Callable

from agent_eval.sandbox.frames import BadFrame

ALONE_BYTES, MANY_BYTES, HURRIED_BYTES = 512 * 1024, 32 * 1024, 8 * 1024
"""Data under way where one stream sends, where several do, and while something small is about: then
a frame goes when the one before has come, so that the processors have pauses, too."""

FRAME_BYTES, SMALL_FRAME_BYTES, HURRIED_FRAME_BYTES, FEW = 65536, 16384, 8192, 8
"""How long frames are, then where more than a few streams want to send, then in a hurry."""

SMALL_BYTES, HURRIED_S = 4096, 0.1
"""A frame that is not bulk, and for how long after one others are expected."""

TOLD_AFTER_BYTES = 8 * 1024
"""Data that has come until PID 1 is told; with more than may be under way, nothing would go on."""


class Way:
    """Both directions, as seen from here."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._under_way_bytes = self._untold_bytes = 0
        self._hurried_until_s = 0.0

    def has_room(self, senders: int) -> bool:
        """Whether one of so many streams may send a frame."""
        most = MANY_BYTES if senders > 1 else ALONE_BYTES
        return self._under_way_bytes < (HURRIED_BYTES if self._hurried(senders) else most)

    def frame_bytes(self, senders: int) -> int:
        """How long that may be."""
        long = FRAME_BYTES if senders < FEW else SMALL_FRAME_BYTES
        return HURRIED_FRAME_BYTES if self._hurried(senders) else long

    def sent(self, size_bytes: int) -> None:
        """So much of a stream was sent."""
        self._under_way_bytes += size_bytes
        self._hurry(size_bytes)

    def arrived(self, size_bytes: int) -> None:
        """PID 1 tells of so much; raises `BadFrame` if that was never sent."""
        self._under_way_bytes -= size_bytes
        if self._under_way_bytes < 0:
            raise BadFrame("more has come to PID 1 than was sent")

    def came(self, size_bytes: int) -> int:
        """So much has come from PID 1; of how much it is to be told now."""
        self._hurry(size_bytes)
        self._untold_bytes += size_bytes
        if self._untold_bytes < TOLD_AFTER_BYTES:
            return 0
        told, self._untold_bytes = self._untold_bytes, 0
        return told

    def _hurry(self, size_bytes: int) -> None:
        if 0 < size_bytes <= SMALL_BYTES:
            self._hurried_until_s = self._now_s() + HURRIED_S

    def _hurried(self, senders: int) -> bool:
        return senders > 1 and self._now_s() < self._hurried_until_s
