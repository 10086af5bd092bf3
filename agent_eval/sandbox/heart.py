"""The heartbeat: by it PID 1 knows that its harness is there, and the harness when it was not.

While nothing comes through the pipe, or when it is told to, PID 1 keeps every session frozen. A
harness that was stopped, or whose machine was, goes on afterwards as if that time had not been:
nothing ran in the sandbox either, so no deadline is used up by it. That there was such a gap is
told.
"""

import anyio

from agent_eval.basics.clock import BEAT_S, WorkingClock
from agent_eval.errors import SandboxDied
from agent_eval.sandbox.pipe import Pipe


class Heart:
    """Beats for one sandbox; those of one run share its clock."""

    def __init__(self, clock: WorkingClock | None = None) -> None:
        self.clock = clock or WorkingClock()
        self.clock.beat()

    async def beat(self, pipe: Pipe) -> None:
        """Beat until the pipe ends.

        While the clock is held PID 1 is told, at once and at every beat, to have all stand; at the
        first beat after that it lets go.
        """
        while pipe.died is None:
            self.clock.beat()
            try:
                await (pipe.order("stand") if self.clock.held else pipe.beat())
            except SandboxDied:
                return
            with anyio.move_on_after(BEAT_S):
                await self.clock.changed()
