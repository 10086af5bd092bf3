"""A record that somebody else made: verified, mended, rebuilt and replayed."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Reply, assistant
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.models.replay import Replay
from agent_eval.record.reading import content_bytes, read_events, read_summary, rebuild_request
from agent_eval.record.transcript import BLOBS, EVENTS, GENESIS, SUMMARY, line_of
from agent_eval.record.verify import repair, verify

QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where forcing to disk costs nothing."""

BLOB = b"kept"
NAME = hashlib.sha256(BLOB).hexdigest()
SEEDS = (
    b'{"kind":"message","index":0,"message":{"role":"user","content":"x"}}\n'
    b'{"kind":"model.request","digest":"d","arguments":{"model":"m"},"tools":[]}\n'
    b'{"kind":"model.called","call":1,"attempt":1,"sees":[[0,0]],"arguments":"d"}\n'
    b'{"kind":"model.replied","index":1,"message":{"role":"assistant","content":"hi","tool_calls":'
    b'[{"id":"1","function":{"name":"bash","arguments":"{}"}}]},"usage":{"input_tokens":1,'
    b'"output_tokens":1}}\n{"kind":"run.closed","outcome":{"status":"submitted"},"spent":{}}\n',
    b'{"kind":"action.ended","output":{"blob":"%s"}}\n!torn' % NAME.encode(),
    b'{"kind":"model.called","call":1,"attempt":1,"sees":[[0,99999999999]],"arguments":"d"}\n',
    b'{"kind":"model.replied","message":[],"usage":{"cached":1}}\n{"files":[{"blob":"../x"}]}\n',
    b'{"output":{"base64":1},"kind":"files.exported","files":{"blob":[]}}\n',
    b"!" + b"[" * 300 + b"\n",
)


class Folder:
    """A run folder that is written again for each input."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="agent-eval-fuzz-", dir=QUICK)
        self.path = Path(self._kept.name)
        self.path.joinpath(BLOBS).mkdir()
        self.path.joinpath(BLOBS, NAME).write_bytes(BLOB)

    def hold(self, events: bytes, summary: bytes) -> Path:
        """The folder with this in it."""
        for left in self.path.glob(EVENTS + ".torn-*"):
            left.unlink()
        self.path.joinpath(EVENTS).write_bytes(events)
        self.path.joinpath(SUMMARY).write_bytes(summary)
        return self.path


FOLDER = Folder()


def check(data: bytes) -> None:
    """Nothing but a broken record, in words; what is read can be used."""
    events = chained(data)
    run = FOLDER.hold(events, data.rpartition(b"\n")[2] or b"{}")
    report = verify(run)
    assert len(report.faults) <= 1
    line_of({"faults": report.faults})
    read(run)
    repair(run)
    after = verify(run)
    assert report.faults or not (after.faults or after.torn_bytes)
    assert run.joinpath(EVENTS).read_bytes().startswith(events[: events.rfind(b"\n") + 1])


def read(run: Path) -> None:
    """All that a reader does with a run."""
    found: list[dict[str, Any]] = []
    try:
        line_of(read_summary(run))
        found.extend(read_events(run))
    except TranscriptBroken:
        return
    for event in found:
        line_of(event)
        used(run, event)
    try:
        replay = Replay("x", [event for event in found if event["kind"] == "model.replied"])
    except TranscriptBroken:
        return
    for reply in replay._replies:
        if not isinstance(reply, Reply):
            continue
        line_of({"message": assistant(reply.text, reply.calls).content, "model": reply.model})


def used(run: Path, event: dict[str, Any]) -> None:
    """What a reader does with one event."""
    try:
        if isinstance(event.get("output"), dict):
            content_bytes(run, event["output"])
        if event["kind"] == "model.called":
            where = event.get("call", 1), event.get("attempt", 1), event["agent"]
            rebuild_request(run, *where)
    except (TranscriptBroken, OperatorError):
        pass


def chained(data: bytes) -> bytes:
    """The lines as events of one chain; one that begins with ! stands as it is, its end too."""
    head, number, lines = GENESIS, 0, list[bytes]()
    for line, end in _lines(data):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and not line.startswith(b"!"):
            common = {"time": "t", "agent": "0", "kind": "message"}
            try:
                text = json.dumps(common | event | {"seq": number, "prev": head}).encode() + b"\n"
            except RecursionError:
                text = line + b"\n"
        else:
            text = line.removeprefix(b"!") + end
        lines.append(text)
        head, number = hashlib.sha256(text).hexdigest(), number + 1
    return b"".join(lines)


def _lines(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in data.splitlines(keepends=True):
        yield line.rstrip(b"\r\n"), b"\n" if line.endswith(b"\n") else b""
