"""Reading a run folder: events as dictionaries, blobs, and what a model really received.

Needs nothing but the folder. `verify` decides whether what is read here can be trusted.
"""

import base64
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Message, Request, untrusted_json
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.record.transcript import BLOBS, EVENTS, SUMMARY

Events = Iterator[dict[str, Any]]

_DEPTH = 256
"""How deep a record may be nested: deeper than anything that a run takes in and records."""

ENVELOPE = {"seq": int, "time": str, "agent": str, "kind": str, "prev": str}
"""What every event has, and of what type."""


def events_file(run: Path) -> Path:
    """The run's `events.jsonl`; raises `OperatorError` if there is none."""
    file = run / EVENTS
    if not file.is_file():
        raise OperatorError(f"{run} is no run: {_why_none(run)}")
    return file


def _why_none(run: Path) -> str:
    """Why a path is no run, and what to type instead where it is a folder of runs."""
    if not run.exists():
        return "it is not there"
    if run.is_dir() and any(run.glob(f"*/{EVENTS}")):
        return f"it is a folder of runs. Name one of them; `agent-eval runs {run}` lists them"
    return f"it has no {EVENTS}"


def read_events(run: Path) -> Events:
    """Every complete event in order; raises `TranscriptBroken` at a line that is none."""
    path = events_file(run)
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if line.endswith(b"\n"):
                yield parse_line(line, number, path)


def parse_line(line: bytes, number: int, file: Path | None = None) -> dict[str, Any]:
    """One line as an event; `number`, from 0, is its place in `file`, for the message."""
    place = f"line {number + 1}" if file is None else f"{file}: line {number + 1}"
    try:
        event = untrusted_json(line, _DEPTH)
    except ValueError as error:
        raise TranscriptBroken(f"{place} is no event: {error}") from error
    if not isinstance(event, dict):
        raise TranscriptBroken(f"{place} is no event: it is not an object")
    wrong = [name for name, kind in ENVELOPE.items() if not isinstance(event.get(name), kind)]
    if wrong:
        raise TranscriptBroken(f"{place} is no event: it lacks a good {wrong[0]}")
    return event


def read_summary(run: Path) -> dict[str, Any]:
    """`run.json`; raises `OperatorError` if the run did not end."""
    try:
        summary = untrusted_json(run.joinpath(SUMMARY).read_bytes(), _DEPTH)
    except FileNotFoundError as error:
        raise OperatorError(
            f"{run} has no {SUMMARY}: the run did not end, or still goes on"
        ) from error
    except (OSError, ValueError) as error:
        raise TranscriptBroken(f"{run / SUMMARY} is not JSON: {error}") from error
    if not isinstance(summary, dict):
        raise TranscriptBroken(f"{run / SUMMARY} is not an object")
    return summary


def interventions_in(run: Path) -> dict[str, int]:
    """How often a person decided in a run, by the type of the decision."""
    types = [str(event["type"]) for event in read_events(run) if event["kind"] == "intervened"]
    return dict(sorted(Counter(types).items()))


def broken_services_in(run: Path) -> tuple[str, ...]:
    """The services of a run's world that ended by themselves, and not by the model's doing."""
    gone = {
        str(event["service"])
        for event in read_events(run)
        if event["kind"] == "world.trouble" and event["what"] == "ended"
    }
    return tuple(sorted(gone))


def choice_bits_in(run: Path) -> float:
    """How many bits a person told in a run by picking options."""
    bits = (event.get("bits") for event in read_events(run) if event["kind"] == "intervened")
    return sum(float(each) for each in bits if each is not None)


def read_blob(run: Path, digest: str) -> bytes:
    """A blob's bytes; raises `TranscriptBroken` if it is not there or not what its name says."""
    if len(digest) != 64 or not digest.isalnum():
        raise TranscriptBroken(f"{digest!r} is no name of a blob")
    try:
        data = run.joinpath(BLOBS, digest).read_bytes()
    except OSError as error:
        raise TranscriptBroken(f"blob {digest}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise TranscriptBroken(f"blob {digest} has been changed")
    return data


def content_bytes(run: Path, content: dict[str, Any]) -> bytes:
    """The bytes that an event holds as text, base64 or blob."""
    if "blob" in content:
        return read_blob(run, str(content["blob"]))
    try:
        if "base64" in content:
            return base64.b64decode(content["base64"], validate=True)
        return str(content["text"]).encode("utf-8", "surrogatepass")
    except (KeyError, TypeError, ValueError) as error:
        raise TranscriptBroken(f"no content: {type(error).__name__}: {error}") from error


def content_start(run: Path, content: dict[str, Any], most_bytes: int) -> bytes:
    """Of the bytes that an event holds, the first; a blob with more is not held against its name.

    For listings, which would otherwise read all of what they show a little of.
    """
    digest = content.get("blob")
    if isinstance(digest, str) and len(digest) == 64 and digest.isalnum():
        with contextlib.suppress(OSError):
            fd = os.open(run / BLOBS / digest, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                if os.fstat(fd).st_size > most_bytes:
                    return file.read(most_bytes)
    return content_bytes(run, content)[:most_bytes]


def with_inherited(run: Path, events: Iterable[dict[str, Any]]) -> Events:
    """The events of a run, and before its own those that it goes on from, if it is a branch."""
    for event in events:
        if event["kind"] == "run.branched":
            lines = content_bytes(run, event["inherited"]).splitlines(keepends=True)
            yield from (parse_line(line, number) for number, line in enumerate(lines))
        yield event


def rebuild_request(run: Path, call: int, attempt: int = 1, agent: str = "0") -> bytes:
    """The exact bytes that one attempt of one model call sent, derived from the record.

    Meant for a record that `verify` found intact; raises `TranscriptBroken` where it is not one
    that this program wrote.
    """
    try:
        request = _rebuilt(run, (call, attempt), agent)
        body = request.body() if request else None
    except (KeyError, TypeError, ValueError) as error:
        raise TranscriptBroken(f"call {call} cannot be rebuilt: {error!r}") from error
    if body is None:
        raise OperatorError(f"{run} has no call {call}, attempt {attempt}, of agent {agent}")
    return body


def _rebuilt(run: Path, wanted: tuple[int, int], agent: str) -> Request | None:
    messages: dict[int, Message] = {}
    sent: dict[str, Request] = {}
    for event in with_inherited(run, read_events(run)):
        if event["agent"] != agent:
            continue
        if event["kind"] in ("message", "model.replied"):
            messages[event["index"]] = Message(event["message"])
        elif event["kind"] == "context.compacted":
            messages |= {one["index"]: Message(one["message"]) for one in event["shortened"]}
        elif event["kind"] == "model.request":
            sent[event["digest"]] = Request((), event["tools"], event["arguments"])
        elif event["kind"] == "model.called" and (event["call"], event["attempt"]) == wanted:
            base = sent[event["arguments"]]
            return Request(_seen(messages, event["sees"]), base.tools, base.arguments)
    return None


def _seen(messages: dict[int, Message], ranges: list[list[int]]) -> list[Message]:
    """The messages of some ranges, each taken at most once: a call never sees one twice."""
    return [messages.pop(index) for first, last in ranges for index in range(first, last + 1)]
