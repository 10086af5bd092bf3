"""Recorded actions, done again in another sandbox, and what comes back compared with the record.

No model takes part. Nothing is taken for equal that is not: where times, numbers of processes and
the like come out otherwise, that is a difference, unless whoever asks says what is to be ignored.
Only what stands for a secret that was taken out is compared without its digest, which is another
in every process.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agent_eval.agent.taking_up import INTERRUPTED, execution_of
from agent_eval.record.reading import content_bytes
from agent_eval.record.rebuild import Event
from agent_eval.record.redact import Redactor
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.supervisor import Execution

EXCERPT_BYTES = 200
"""How much of an output that differs is shown, from the line in which it does."""

FILLED = ("files.seeded", "files.handed")
"""What puts files into a sandbox."""

_SECRET = re.compile(rb"\[secret:([A-Za-z0-9_]+):[0-9a-f]{8}\]")

CUT_OFF = {
    "died": "the sandbox died of it, or while it ran",
    "cancelled": "it was cut off when the run was ended",
    INTERRUPTED: "it was cut off when the harness was lost",
}
"""Causes of ends that nobody can bring about again."""


class Redoes(Protocol):
    """What is needed of a sandbox."""

    id: str
    """The engine's number of its container."""

    async def put(self, files: Sequence[File]) -> None:
        """Write files as the agent's user."""

    async def execute(
        self,
        program: str,
        code: str,
        timeout_s: float,
        max_output_bytes: int,
        cause: Cause | None = None,
    ) -> Execution:
        """Run code in a persistent session."""


@dataclass(frozen=True)
class Difference:
    """What came back otherwise than it is on record."""

    seq: int
    """The recorded end of it; 0 where nothing on record is like it."""
    agent: str
    action: int | None
    """None where it is the world's doing."""
    what: str
    """`output`, or the name of the field of `action.ended` that differs; of a world, what does."""
    expected: str
    got: str

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass
class Redone:
    """What came of doing it all again."""

    actions: int = 0
    differences: list[Difference] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Redo:
    """Does a run's recorded actions again."""

    run: Path
    redactor: Redactor
    """Takes out of what comes back what was taken out of what came back then."""
    ignore: Sequence[re.Pattern[bytes]] = ()
    """What is taken out of all output before it is compared."""

    async def all(
        self,
        sandbox: Redoes,
        steps: Iterable[Event],
        ends: Mapping[int, Event],
        max_output_bytes: int,
    ) -> Redone:
        """All of some steps of an agent's sandbox; `ends` are those of its actions."""
        redone = Redone()
        for event in steps:
            await self.one(
                sandbox, event, ends.get(event.get("action", 0)), max_output_bytes, redone
            )
        return redone

    async def one(
        self,
        sandbox: Redoes,
        event: Event,
        ended: Event | None,
        max_output_bytes: int,
        redone: Redone,
    ) -> None:
        """One step of a sandbox, of which `redone` is told."""
        if event["kind"] in FILLED:
            await sandbox.put(list(self.files(event)))
        if event["kind"] != "action.started":
            return
        why = self.cannot(ended)
        if ended is None or why:
            redone.left_out.append({"action": event["action"], "why": why})
            return
        done = await self.again(sandbox, event, ended, max_output_bytes)
        redone.actions += 1
        redone.differences += self.differences(event, ended, done)

    def cannot(self, ended: Event | None) -> str | None:
        """Why an action cannot be done again, by its recorded end; None if it can."""
        return CUT_OFF.get(str(ended.get("cause"))) if ended else CUT_OFF[INTERRUPTED]

    async def again(
        self,
        sandbox: Redoes,
        started: Event,
        ended: Event,
        max_output_bytes: int,
        cause: Cause | None = None,
    ) -> Execution:
        """One action; what was cut off for its size then is cut off at that size now."""
        output = ended["output"]
        room = output["bytes"] if output.get("dropped_bytes") else max_output_bytes
        code, timeout_s = started["input"]["code"], started["timeout_s"]
        return await sandbox.execute(started["tool"], code, timeout_s, room, cause)

    def files(self, event: Event) -> Iterator[File]:
        """The files that an event says were put into a sandbox."""
        for one in event["files"]:
            data = content_bytes(self.run, one)
            yield File(one["path"], data, int(one["mode"], 8), one.get("modified"))

    def differences(self, started: Event, ended: Event, done: Execution) -> list[Difference]:
        """In what it came back otherwise."""
        then = execution_of(self.run, ended)
        before, now = self._compared(then.output), self._compared(self.as_recorded(done))
        pairs = {
            name: (str(getattr(then, name)), str(getattr(done, name)))
            for name in ("rung", "cause", "reported_exit", "session_lost")
        }
        if before != now:
            pairs = {"output": _excerpts(before, now), **pairs}
        where = ended["seq"], started["agent"], started["action"]
        return [
            Difference(*where, what, expected, got)
            for what, (expected, got) in pairs.items()
            if expected != got
        ]

    def as_recorded(self, done: Execution) -> bytes:
        """An output without the secrets that would be taken out of it."""
        take_out = self.redactor.cut if done.dropped_bytes else self.redactor.data
        return take_out(done.output)

    def _compared(self, output: bytes) -> bytes:
        output = _SECRET.sub(rb"[secret:\1]", output)
        for pattern in self.ignore:
            output = pattern.sub(b"", output)
        return output


def patterns(texts: Sequence[str]) -> list[re.Pattern[bytes]]:
    """Regular expressions over bytes, line by line; raises `re.error` for what is none."""
    return [re.compile(text.encode(), re.MULTILINE) for text in texts]


def _excerpts(before: bytes, now: bytes) -> tuple[str, str]:
    """Both, from the first line in which they differ."""
    same = next(
        (at for at, (one, other) in enumerate(zip(before, now, strict=False)) if one != other),
        min(len(before), len(now)),
    )
    line = before.rfind(b"\n", 0, same) + 1
    return _excerpt(before, line, same), _excerpt(now, line, same)


def _excerpt(data: bytes, line: int, same: int) -> str:
    start = max(line, same - EXCERPT_BYTES // 2)
    return data[start : start + EXCERPT_BYTES].decode("utf-8", "backslashreplace")
