"""Scripted controls: a Python generator that stands in for a model.

A control sees what a model would see and reacts to it, so that it can act in a world it does not
know. Scenario authors import the functions below; `control:NAME` runs one. Controls cost
nothing and their tokens are estimated, so that budgets act on them too.

    def harmful(task: str) -> Generator[Turn, str, None]:
        seen = yield bash("ls ~")
        yield submit(seen.splitlines()[0])

One that takes a second argument, `vary`, does things in more than one way: `control:NAME#7` is its
variation 7 (see `variation`). Commands and code of any control are given in other ways then, and
some turns take a while.
"""

import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import anyio

from agent_eval.basics.conversation import Message, Reply, Request, ToolCall, Usage
from agent_eval.errors import OperatorError, ScenarioError
from agent_eval.models.fenced import fenced
from agent_eval.models.variation import Variation
from agent_eval.record.prices import FREE, PriceCard

Script = Callable[..., Generator["Turn", str, None]]
"""Takes the task, and `vary` if it wants; yields turns, is sent what the model would read back."""


@dataclass(frozen=True)
class Turn:
    """What a model says and does in one reply."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    instead: tuple["Turn", ...] = ()
    """What it replies where it is asked the same again, in order and over again."""

    def __add__(self, other: "Turn") -> "Turn":
        """Both in one reply, in order."""
        text = "\n".join(part for part in (self.text, other.text) if part)
        return Turn(text, self.calls + other.calls)


def bash(command: str, timeout_s: float | None = None, say: str = "") -> Turn:
    """Run a shell command."""
    return Turn(say, (("bash", _given(command=command, timeout_s=timeout_s)),))


def python(code: str, timeout_s: float | None = None, say: str = "") -> Turn:
    """Run Python code."""
    return Turn(say, (("python", _given(code=code, timeout_s=timeout_s)),))


def delegate(task: str, budget: dict[str, float] | None = None, say: str = "") -> Turn:
    """Have a copy do a task; the copy runs the same script, with that task."""
    return Turn(say, (("delegate", _given(task=task, budget=budget)),))


def submit(answer: str, say: str = "", files: Sequence[str] = ()) -> Turn:
    """Hand in the answer; a copy may hand over files with it."""
    return Turn(say, (("submit", _given(answer=answer, files=list(files) or None)),))


def say(text: str) -> Turn:
    """Talk without acting."""
    return Turn(text)


def either(*turns: Turn) -> Turn:
    """One turn where a model would not always reply the same: the first, then each other one.

    What a script is sent then is what came of the turn that was picked (`approve.options`).
    """
    return replace(turns[0], instead=turns[1:])


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class Control:
    """A script in the place of a model."""

    remote = False
    price: PriceCard | None = FREE
    context_tokens: int | None = None

    def __init__(
        self, name: str, script: Script, variation: int = 0, *, copy: bool = False
    ) -> None:
        self.name = f"control:{name}" + (f"#{variation}" if variation else "")
        self._called, self._script, self._copy = name, script, copy
        self._vary = Variation(variation, name)
        self._running: Generator[Turn, str, None] | None = None
        self._calls = count(1)
        self._last: tuple[int, Turn, int] | None = None
        """How long the prompt was that it replied to last, its turn, and how often it was asked."""

    def arguments(self, max_output_tokens: int) -> dict[str, Any]:
        """Nothing is sent anywhere."""
        return {"model": self.name, "max_tokens": max_output_tokens}

    def about(self) -> dict[str, Any]:
        """Nothing beyond its name."""
        return {}

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Nobody else asks it."""
        return nullcontext()

    def of_copy(self, agent: str) -> "Control":  # noqa: ARG002 - all copies run the same script
        """The same script from its beginning."""
        return Control(self._called, self._script, self._vary.number, copy=True)

    async def close(self) -> None:
        """Stop the script where it stands."""
        if self._running is not None:
            self._running.close()

    async def complete(self, request: Request) -> Reply:
        """The script's next turn; one that has ended says nothing more."""
        if pause_s := self._vary.pause_s():
            await anyio.sleep(pause_s)
        with self._blamed():
            turn = self._turn(request.messages)
            text, calls = self._said(turn) if request.tools else _said_in_blocks(turn)
        written = len(text) + sum(len(call.arguments) for call in calls)
        usage = Usage(tokens_in(request.size_bytes), tokens_in(written), estimated=True)
        return Reply(text=text, calls=calls, usage=usage, finish_reason="stop")

    def _said(self, turn: Turn) -> tuple[str, tuple[ToolCall, ...]]:
        return turn.text, tuple(
            ToolCall(f"call_{next(self._calls)}", name, json.dumps(arguments))
            for name, arguments in turn.calls
        )

    def take_up(self, said: Sequence[Message], answered: int) -> None:  # noqa: ARG002
        """Bring the script to where it stood, by telling it again what it was told."""
        with self._blamed():
            for index, message in enumerate(said):
                if message.content["role"] == "assistant":
                    self._said(self._turn(said[:index]))

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """A fault of the script is its author's."""
        try:
            yield
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            raise ScenarioError(
                f"{self.name} failed at {line.filename}:{line.lineno}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _turn(self, messages: Sequence[Message]) -> Turn:
        if self._last is not None and self._last[0] == len(messages):
            _, turn, asked = self._last
            self._last = len(messages), turn, asked + 1
            return (turn, *turn.instead)[asked % (1 + len(turn.instead))]
        turn = self._next(messages)
        self._last = len(messages), turn, 1
        return turn

    def _next(self, messages: Sequence[Message]) -> Turn:
        try:
            if self._running is None:
                self._running = self.begun(_task(messages))
                return self._otherwise(next(self._running))
            return self._otherwise(self._running.send(_news(messages)))
        except StopIteration:
            return Turn("I have nothing more to do.")

    def begun(self, task: str) -> Generator[Turn, str, None]:
        """The script from its beginning."""
        wants = "vary" in inspect.signature(self._script).parameters
        return self._script(task, vary=self._vary) if wants else self._script(task)

    def _otherwise(self, turn: Turn) -> Turn:
        """A turn whose commands are given in other ways; what copies are to do stays as it is."""
        if not self._vary.number or self._copy:
            return turn
        calls = tuple(self._call(*each) for each in turn.calls)
        return replace(turn, calls=calls, instead=tuple(map(self._otherwise, turn.instead)))

    def _call(self, tool: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if tool == "bash":
            return tool, given | {"command": self._vary.given(given["command"])}
        if tool == "python":
            return tool, given | {"code": self._vary.given_python(given["code"])}
        return tool, given


def _said_in_blocks(turn: Turn) -> tuple[str, tuple[ToolCall, ...]]:
    """The same for a run in which actions are fenced blocks."""
    return "\n".join([turn.text, *(fenced(name, given) for name, given in turn.calls)]), ()


def tokens_in(size_bytes: int) -> int:
    """Tokens that text of this size has, roughly: four bytes each."""
    return size_bytes // 4 + 1


def _task(messages: Sequence[Message]) -> str:
    """The task, and what else was said before the script's first turn."""
    said = takewhile(lambda message: message.content["role"] != "assistant", messages)
    return "\n".join(message.text for message in said if message.content["role"] == "user")


def _news(messages: Sequence[Message]) -> str:
    """What came since the script's last turn."""
    news = []
    for message in reversed(messages):
        if message.content["role"] == "assistant":
            break
        news.append(message.text)
    return "\n".join(reversed(news))


def load_control(folder: Path, name: str, known: Iterable[str] = ()) -> Control:
    """The control `NAME` or `NAME#VARIATION` of a scenario's `controls.py`.

    Raises `OperatorError` if there is none, with the names of those `known`.
    """
    name, _, number = name.partition("#")
    if number and not (number.isascii() and number.isdigit()):
        raise OperatorError(f"control:{name}#{number}: a variation is a number, as in #7")
    file = folder / "controls.py"
    if not file.is_file():
        raise OperatorError(f"{folder} has no controls.py, so there is no control:{name}")
    spec = importlib.util.spec_from_file_location(f"controls_of_{folder.name}", file)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"{file} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ScenarioError(f"{file}: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = writes
    script = getattr(module, name.replace("-", "_"), None)
    if not callable(script):
        there = f"; the scenario has {', '.join(known)}" if known else ""
        raise OperatorError(f"{file} has no control {name!r}{there}")
    return Control(name, script, int(number or 0))
