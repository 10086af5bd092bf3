"""What a person can do to a run from outside: end it, in three ways, or pause it and let it go on.

One value a run, shared by all of its agents. A run that is paused makes no new call of a model and
starts no new action; all in its sandboxes stands still, and so do its clocks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from agent_eval.basics.clock import WorkingClock


@dataclass
class Steering:
    """How a person steers a run, and by which clocks it goes."""

    stopping: bool = False
    snapshots_asked: int = 0
    """How often a person wanted what the sandboxes are to be kept."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    clock: WorkingClock = field(default_factory=WorkingClock)
    """What deadlines of actions go by; the hearts of the run's sandboxes beat it."""
    _paused: bool = False
    _abandoned: bool = False
    _removals: list[anyio.CancelScope] = field(default_factory=list)
    _at_work: int = 0
    _awaiting: int = 0
    _all_wait: bool = False

    def __post_init__(self) -> None:
        self.wall = WorkingClock(self.clock.now_s)
        """What `wall_s` goes by: stands still with the clock, and while all wait for a person."""

    def drain(self) -> None:
        """End after the current step."""
        self.stopping = True
        self.go_on()

    def cancel(self) -> None:
        """End now; the sandboxes are still removed."""
        self.drain()
        self.scope.cancel()

    def abandon(self) -> None:
        """End now and leave the sandboxes to the watchdog."""
        self.cancel()
        self._abandoned = True
        for scope in self._removals:
            scope.cancel()

    @contextmanager
    def removing(self) -> Iterator[anyio.CancelScope]:
        """What removes a sandbox in this block is not cancelled with the run, but abandoned."""
        with anyio.CancelScope(shield=True) as scope:
            self._removals.append(scope)
            if self._abandoned:
                scope.cancel()
            yield scope

    @property
    def paused(self) -> bool:
        """Whether nothing new may start: a person paused the run, or is to decide and does not."""
        return self.clock.held

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """An agent lives during the block: the run's wall time goes on while it can do anything."""
        with self._counted(at_work=1):
            yield

    @contextmanager
    def behind_copies(self) -> Iterator[None]:
        """One of those at work does nothing but wait for its copies, who are at work themselves."""
        with self._counted(at_work=-1):
            yield

    @contextmanager
    def behind_a_person(self) -> Iterator[None]:
        """One of those at work does nothing but wait for a person.

        Wall time stands still only while nobody is at work, so that whoever keeps a person busy
        does not give time to the other agents of its tree.
        """
        with self._counted(at_work=-1, awaiting=1):
            yield

    @contextmanager
    def _counted(self, at_work: int, awaiting: int = 0) -> Iterator[None]:
        self._count(at_work, awaiting)
        try:
            yield
        finally:
            self._count(-at_work, -awaiting)

    def _count(self, at_work: int, awaiting: int) -> None:
        self._at_work += at_work
        self._awaiting += awaiting
        all_wait = self._awaiting > 0 and self._at_work <= 0
        if all_wait != self._all_wait:
            self._all_wait = all_wait
            (self.wall.hold if all_wait else self.wall.let_go)()

    def ask_for_snapshots(self) -> None:
        """Have each agent's sandbox kept before its next step."""
        self.snapshots_asked += 1

    def pause(self) -> None:
        """Have everything stand still; one that is to end goes on to its end."""
        if not self._paused and not self.stopping:
            self._paused = True
            self.clock.hold()

    def go_on(self) -> None:
        """Let everything go on that a person paused."""
        if self._paused:
            self._paused = False
            self.clock.let_go()

    async def going(self) -> None:
        """Wait until a call or an action may start."""
        while self.paused:
            await self.clock.changed()
