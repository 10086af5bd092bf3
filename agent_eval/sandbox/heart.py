"""The heartbeat: by it PID 1 knows that its harness is there, and the harness when it was not.

While nothing comes through the pipe PID 1 keeps every session frozen. A harness that was stopped,
or whose machine was, goes on afterwards as if that time had not been: nothing ran in the sandbox
either, so no deadline is used up by it. That there was such a gap is told.
"""

import time
from collections.abc import Callable

import anyio

from agent_eval.errors import SandboxDied
from agent_eval.sandbox.pipe import Pipe

BEAT_S = 1.0
SILENCE_S = 3.0
"""Seconds without a byte after which PID 1 freezes all, so that it is done within five."""


def since_boot_s() -> float:
    """Seconds since the machine was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heart:
    """Beats for one sandbox."""

    def __init__(self, clock: Callable[[], float] = since_boot_s) -> None:
        self._clock = clock
        self._beaten = clock()
        self._missed_s = 0.0

    def lived_s(self) -> float:
        """Seconds in which a sandbox could do anything: stands still while PID 1 freezes all."""
        now = self._clock()
        return now - self._missed_s - max(now - self._beaten - SILENCE_S, 0.0)

    async def beat(self, pipe: Pipe, on_gap: Callable[[float], None]) -> None:
        """Beat until the pipe ends; tells for how many seconds there was no beat, if too many."""
        while pipe.died is None:
            now = self._clock()
            silent_s, self._beaten = now - self._beaten, now
            if silent_s > SILENCE_S:
                self._missed_s += silent_s - SILENCE_S
                on_gap(silent_s)
            try:
                await pipe.beat()
            except SandboxDied:
                return
            await anyio.sleep(BEAT_S)
