"""What several tests need: texts of every kind, runs and scenarios to read, a sandbox in memory."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from hypothesis import strategies as st
from ruamel.yaml import YAML

from agent_eval.basics.conversation import Message, Reply, Request
from agent_eval.events.kinds import ActionEnded, FilesSeeded, MessageAdded, RunClosed
from agent_eval.record.prices import FREE, PriceCard
from agent_eval.record.transcript import EVENTS, Transcript
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.supervisor import Execution
from agent_eval.scenario.file import load
from agent_eval.scenario.model import Loaded

CANARY = "agent-eval:canary:11111111-2222-3333-4444-555555555555"

NASTY = (
    "a\x00b\x07\x1b[2J\x1b]0;x\x07\r\n\t\x7f\x85\x9b31m\u200f\u202e\u2028\u2066\ufeff\U000e0041é"
)
"""A text with one of every kind of character that can act on a terminal."""

TEXTS = st.one_of(st.text(st.characters(exclude_categories=())), st.just(NASTY))
"""Any text, lone surrogates and control characters included."""

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
"""Any value that JSON can hold."""


def as_json(text: str) -> str:
    """The text as JSON hands it back: two halves of a pair become the one character they are."""
    return str(json.loads(json.dumps(text)))


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of its own for each example of a property."""
    with tempfile.TemporaryDirectory(prefix="agent-eval-test-") as name:
        yield Path(name)


def made_run(run: Path, key: bytes | None = None, turns: int = 2) -> str:
    """Write a small run that came to its end, two blobs included; return its head hash."""
    with Transcript.create(run) as transcript:
        seeded = {"path": "/home/user/x", **transcript.content(b"seed" * 2000)}
        transcript.write(FilesSeeded([seeded]))
        for turn in range(turns):
            transcript.write(MessageAdded(turn, {"role": "user", "content": f"turn {turn} é"}))
            output = transcript.content(b"out" * 2000 if turn == 0 else b"short\xff")
            transcript.write(ActionEnded(turn + 1, 0.5, output, "none", {"tool_s": 0.5}))
        transcript.write(RunClosed({"status": "submitted"}, {"steps": turns}))
        return transcript.seal({"run": run.name}, key)


def kinds_on_disk(run: Path) -> list[str]:
    """The kinds of all events that are on disk by now."""
    return [str(json.loads(line)["kind"]) for line in lines_of_run(run)]


def lines_of_run(run: Path) -> list[bytes]:
    """The lines of a run, line ends included."""
    return run.joinpath(EVENTS).read_bytes().splitlines(keepends=True)


def scenario(parent: Path, **fields: Any) -> Path:
    """Write a small scenario folder; fields given as None are left out."""
    whole = {
        "name": "small",
        "summary": "A small job.",
        "risk": "None; it is for tests.",
        "sanction": "permitted",
        "canary": CANARY,
        "task": "Do the small job.",
        "success": {"exact": "done"},
        **fields,
    }
    where = parent / str(whole["name"])
    where.mkdir(exist_ok=True)
    with where.joinpath("scenario.yaml").open("w", encoding="utf-8") as file:
        tree = {name: value for name, value in whole.items() if value is not None}
        YAML(typ="safe", pure=True).dump(tree, file)
    return where


def loaded(parent: Path, **fields: Any) -> Loaded:
    """A small scenario, written and read."""
    return load(str(scenario(parent, **fields)))


def executed(output: bytes = b"", **changes: Any) -> Execution:
    """What an action that went well came to, but for the changes."""
    usual: dict[str, Any] = {
        "output": output,
        "dropped_bytes": 0,
        "duration_s": 0.25,
        "rung": "none",
        "cause": None,
        "reported_exit": 0,
        "session_lost": False,
    }
    return Execution(**(usual | changes))


@dataclass
class ModelInMemory:
    """Stands in for a server: answers each request in turn, or raises what it is given."""

    answers: Sequence[Reply | BaseException]
    price: PriceCard | None = FREE
    remote: bool = True
    at_call: Callable[[], None] = lambda: None
    """Called while a request is on its way: looks at what is on disk by then."""
    seen: list[Request] = field(default_factory=list)
    name: str = "in-memory"
    context_tokens: int | None = None

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """As a server's."""
        return {"model": "m", "max_tokens": max_output_tokens}

    def about(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def take_up(self, said: Sequence[Message], answered: int) -> None:
        """Those answers were given."""
        self.seen = [Request((), (), {})] * answered

    async def close(self) -> None:
        """Nothing to let go of."""

    def of_copy(self, agent: str) -> "ModelInMemory":
        """All agents talk to it."""
        return self

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Nobody else asks it."""
        return nullcontext()

    async def complete(self, request: Request) -> Reply:
        """The next answer; the last one again and again; waits for ever where there are none."""
        self.seen.append(replace(request, messages=list(request.messages)))
        self.at_call()
        if not self.answers:
            await anyio.sleep_forever()
        answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class SandboxInMemory:
    """Stands in for a sandbox: answers each action in turn, or raises what it is given."""

    answers: Sequence[Execution | BaseException] = ()
    at_execution: Callable[[], None] = lambda: None
    """Called while an action runs: looks at what is on disk by then."""
    so_far: tuple[bytes, int] = (b"", 0)
    """What has come of an action that never ends, and how much was dropped."""
    seen: list[tuple[str, str, float, int]] = field(default_factory=list)

    async def execute(
        self,
        program: str,
        code: str,
        timeout_s: float,
        max_output_bytes: int,
        cause: Cause | None = None,
    ) -> Execution:
        """Answer as told; the code itself is the output where nothing was told."""
        self.seen.append((program, code, timeout_s, max_output_bytes))
        self.at_execution()
        if len(self.seen) > len(self.answers):
            return executed(code.encode("utf-8", "surrogatepass"))
        answer = self.answers[len(self.seen) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def unfinished(self, program: str) -> tuple[bytes, int]:
        """As told."""
        return self.so_far

    async def gone(self) -> None:
        """Never."""
        await anyio.sleep_forever()
