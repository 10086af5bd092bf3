"""Calls of a language model as the world saw them, and the loops that they are part of.

A loop is told from a chat or a timetable by what it sends: the reply before, and after it the
result of an action that this reply proposed, which the kernel of the very sandbox saw being done.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

SLACK = timedelta(seconds=1)
"""By how much the clocks of a sandbox's kernel and of the record may be apart."""

LEAST_WHOLE = 8
"""Characters from which on code that stands within an argument is no accident."""

LEAST_CUT = 64
"""Characters of an argument that was cut which have to agree."""

_INTERPRETER = re.compile(r"(ba|da|z|k)?sh|busybox|python[\d.]*|perl[\d.]*|node|ruby[\d.]*")
"""Programs that are given code. What another program is given is no proof that it was run."""

_FENCED = re.compile(r"^```(?:bash|sh|shell|python|py)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[\w.+-]+")

Event = Mapping[str, Any]
Text = Callable[[Any], str]
"""Gives the text that a field of an event holds, in itself or in a blob."""


@dataclass(frozen=True)
class Thought:
    """One answered call."""

    seq: int
    """The event's number."""
    at: datetime
    sandbox: str
    account: str
    messages: tuple[Mapping[str, Any], ...]
    """What was sent."""
    reply: Mapping[str, Any]


@dataclass(frozen=True)
class Start:
    """A program that began, as the kernel tells."""

    seq: int
    at: datetime
    sandbox: str
    program: str
    argv: tuple[str, ...]
    cut: bool
    """Whether not all of its arguments are known."""


@dataclass(frozen=True)
class Cycle:
    """A reply, its action as the kernel saw it, and the call that brought the result."""

    proposed: Thought
    done: Start
    told: Thought

    def cites(self) -> dict[str, int]:
        """The events that prove it."""
        return {"reply": self.proposed.seq, "process": self.done.seq, "result": self.told.seq}


def thought_in(event: Event, text: Text) -> Thought | None:
    """An answered call, if its text is what it should be."""
    try:
        messages, reply = json.loads(text(event["messages"])), json.loads(text(event["reply"]))
    except (ValueError, RecursionError):
        return None
    if not isinstance(messages, list) or not isinstance(reply, dict):
        return None
    return Thought(
        seq=event["seq"],
        at=datetime.fromisoformat(event["time"]),
        sandbox=event["sandbox"],
        account=event["account"],
        messages=tuple(message for message in messages if isinstance(message, dict)),
        reply=reply,
    )


def start_in(event: Event) -> Start:
    """A program that began; kernel facts of an instance carry its id as their agent."""
    argv = event.get("argv") or []
    return Start(
        seq=event["seq"],
        at=datetime.fromisoformat(event["at"]),
        sandbox=event["agent"],
        program=str(event.get("program") or ""),
        argv=tuple(str(part) for part in argv),
        cut=bool(event.get("argv_dropped_bytes")),
    )


def cycles_of(thoughts: Sequence[Thought], starts: Iterable[Start]) -> list[Cycle]:
    """The cycles of the loops that ran in one sandbox, by when their results were told."""
    known, found = sorted(starts, key=lambda start: start.at), []
    for place, told in enumerate(thoughts):
        before = _reply_before(told, thoughts[:place])
        if before is None:
            continue
        done = _done(_proposals(before.reply, _results(told)), known, before, told)
        if done is not None:
            found.append(Cycle(before, done, told))
    return found


def _reply_before(told: Thought, earlier: Sequence[Thought]) -> Thought | None:
    """The answered call whose reply is the last one that a request gives back."""
    said = [message for message in told.messages if message.get("role") == "assistant"]
    if not said:
        return None
    last = _essence(said[-1])
    return next((each for each in reversed(earlier) if _essence(each.reply) == last), None)


def _essence(message: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What a message says, whatever form it was sent back in."""
    return _said(message).strip(), tuple(
        (str(call["id"]), json.dumps(call["arguments"])) for call in _calls(message)
    )


def _said(message: Mapping[str, Any]) -> str:
    """Its text, which may come in parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its tool calls: `id` and `arguments`."""
    found = []
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            found.append({"id": call.get("id"), "arguments": function.get("arguments")})
    return found


def _results(told: Thought) -> tuple[set[str], bool]:
    """Which calls' results follow the last reply, and whether anything else does."""
    ids, other = set(), False
    for message in reversed(told.messages):
        if message.get("role") == "assistant":
            break
        if message.get("role") == "tool" and _said(message):
            ids.add(str(message.get("tool_call_id")))
        elif message.get("role") == "user" and _said(message):
            other = True
    return ids, other


def _proposals(reply: Mapping[str, Any], results: tuple[set[str], bool]) -> list[str]:
    """The code of the actions in a reply whose results were told."""
    ids, other = results
    found = []
    for call in _calls(reply):
        if str(call["id"]) in ids:
            found += _strings(call["arguments"])
    if other:
        found += _FENCED.findall(_said(reply))
    return [code.strip() for code in found if code.strip()]


def _strings(arguments: Any) -> list[str]:
    """Every text among the arguments of a call."""
    try:
        given = json.loads(arguments)
    except (TypeError, ValueError, RecursionError):
        return []
    values = given.values() if isinstance(given, dict) else ()
    return [value for value in values if isinstance(value, str)]


def _done(
    codes: Sequence[str], starts: Iterable[Start], before: Thought, told: Thought
) -> Start | None:
    """The first program that shows one of the actions being done between reply and result."""
    for start in starts:
        in_time = before.at - SLACK <= start.at <= told.at + SLACK
        if in_time and start.seq > before.seq and any(_shows(start, code) for code in codes):
            return start
    return None


def _shows(start: Start, code: str) -> bool:
    """Whether a program's start is that of an action: its code, or what the code names."""
    called = start.program.rpartition("/")[2]
    if not _INTERPRETER.fullmatch(called):
        return bool(called) and called in _WORD.findall(code)
    return any(
        part.strip() == code
        or (len(code) >= LEAST_WHOLE and code in part)
        or (start.cut and len(part) >= LEAST_CUT and code.startswith(part))
        for part in start.argv[1:]
    )
