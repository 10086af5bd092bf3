"""Which action caused what a process did: worked out by process tree.

A process belongs to the action that its parent belonged to when it was made, for as long as it
lives, whatever becomes of the parent. Only the sessions' own processes, children of PID 1, change
hands: they belong to the action that runs in them, and after it to that one still. What PID 1 does
in one until its program has started belongs to no action, nor does whatever else PID 1 starts.
"""

from dataclasses import dataclass
from typing import Any, Self

from agent_eval.sandbox.kernel import PID_1, Fact


@dataclass(frozen=True, slots=True)
class Cause:
    """An action and the agent that asked for it."""

    action: int
    agent: str


class Lineage:
    """The processes of one sandbox; told every fact in order."""

    def __init__(self) -> None:
        self._causes: dict[int, Cause | None] = {}
        """Of every process that is alive, PID 1 aside."""
        self._of_pid_1: set[int] = set()
        """The living children that PID 1 made."""
        self._unborn: set[int] = set()
        """Those that still run PID 1's own program."""
        self._sessions: dict[str, int] = {}
        """The process of each session, by its name."""
        self._running: dict[str, Cause] = {}
        """The action that runs in each session, or ran last."""

    def record(self) -> dict[str, Any]:
        """All of it as JSON values, for a sandbox that is copied with its processes."""
        causes = {
            str(pid): cause and [cause.action, cause.agent] for pid, cause in self._causes.items()
        }
        return {"causes": causes, "of_pid_1": sorted(self._of_pid_1), "sessions": self._sessions}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """What was recorded; nothing runs in the sessions."""
        lineage = cls()
        for pid, cause in record["causes"].items():
            lineage._causes[int(pid)] = Cause(*cause) if cause else None
        lineage._of_pid_1 = set(record["of_pid_1"])
        lineage._sessions = dict(record["sessions"])
        return lineage

    def session(self, program: str, pid: int) -> bool:
        """PID 1 says that a session is this process; believed if PID 1 did make it."""
        if pid not in self._of_pid_1:
            return False
        self._sessions[program] = pid
        self._hand_over(program)
        return True

    def begin(self, program: str, cause: Cause) -> None:
        """From here on, what the process of that session does is done for this action."""
        self._running[program] = cause
        self._hand_over(program)

    def _hand_over(self, program: str) -> None:
        """Let a session's process belong to the action that runs in it, once it is itself."""
        pid = self._sessions.get(program)
        if pid is not None and pid not in self._unborn:
            self._causes[pid] = self._running.get(program)

    def cause_of(self, fact: Fact) -> Cause | None:
        """Whom a fact belongs to; also takes note of who was made and who is gone."""
        cause = self._causes.get(fact.pid)
        if fact.what == "fork":
            child = int(fact.fields["child"])
            self._causes[child] = cause
            for kept in (self._of_pid_1, self._unborn):
                (kept.add if fact.pid == PID_1 else kept.discard)(child)
        elif fact.what == "start" and fact.pid in self._unborn:
            self._unborn.discard(fact.pid)
            for program, pid in self._sessions.items():
                if pid == fact.pid:
                    self._hand_over(program)
        elif fact.what == "exit":
            self._causes.pop(fact.pid, None)
            self._of_pid_1.discard(fact.pid)
            self._unborn.discard(fact.pid)
            self._sessions = {name: pid for name, pid in self._sessions.items() if pid != fact.pid}
        return cause
