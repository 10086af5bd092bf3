"""A run as a conversation to read in a terminal. A pure function of events.

What models and sandboxes wrote goes through `printable`; what this module adds is styled.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text

from agent_eval.basics.display import many, one_line, printable
from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import content_bytes, content_start
from agent_eval.show import of_world
from agent_eval.show.said import Said, View

SHOWN_BYTES = 4000
"""Bytes of an output that are shown unless all of it is asked for."""

QUIET = {
    *("model.called", "model.request", "model.offered"),
    *("process.forked", "process.started", "process.exited"),
    *("file.opened", "file.removed", "file.renamed", "net.connected", "net.bound", "user.changed"),
    *("world.answering", "world.stream_ended", "process.signalled"),
}
"""Kinds that a reader of the conversation does not miss."""


def lines_of(event: dict[str, Any], run: Path, *, full: bool = False) -> list[Text]:
    """What to print for one event, if anything; `run` is where its blobs are."""
    view = View(run, full)
    try:
        if (event["kind"] in QUIET or of_world.quiet(event)) and not full:
            return []
    except (KeyError, TypeError, ValueError, AttributeError):
        pass  # not what this version writes: shown
    return [_in_lines(event, each) for each in said_of(event, view)]


def said_of(event: dict[str, Any], view: View) -> list[Said]:
    """What there is to tell of one event."""
    try:
        if said := of_world.told(event):
            return [_head(event, *said)]
        return list(_TELLERS.get(event["kind"], _plainly)(event, view))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # Not what this version writes: shown as it is.
        return list(_plainly(event, view))


def _in_lines(event: dict[str, Any], said: Said) -> Text:
    if said.head:
        return _numbered(event, said.text, said.style)
    return _indented(said.text, said.style, said.limit)


def _head(_event: dict[str, Any], text: str, style: str) -> Said:
    return Said(text, style, head=True)


def _body(text: str, style: str = "", limit: int | None = None) -> Said:
    if not isinstance(text, str):
        raise TypeError("an event that this version does not write")
    return Said(text, style, limit=limit)


def _numbered(event: dict[str, Any], text: str, style: str) -> Text:
    elapsed_s = event.get("elapsed_s", 0)
    passed = f"{elapsed_s:8.2f}s" if isinstance(elapsed_s, int | float) else "?"
    agent = "" if event["agent"] == "0" else f"[{event['agent']}] "
    number = Text(f"{event['seq']:>5} {passed} ", style="dim")
    return number + Text(printable(agent + text).replace("\n", " "), style=style)


def _limit(view: View) -> int | None:
    return None if view.full else SHOWN_BYTES


def _indented(text: str, style: str, limit: int | None) -> Text:
    if limit is not None and len(text) > limit:
        left_out = len(text) - limit
        text = f"{text[: limit * 3 // 5]}\n[... {left_out} characters; --full shows them ...]\n"
    indented = "\n".join("      " + line for line in printable(text).rstrip("\n").split("\n"))
    return Text(indented, style=style)


def _opened(event: dict[str, Any], view: View) -> Iterator[Said]:
    model, scenario, engine = event["model"], event["scenario"], event.get("engine") or {}
    yield _head(event, f"{scenario['title']} with {model['name']}", "bold")
    runtime = engine.get("runtime", {}).get("name", "?")
    yield _body(f"scenario {scenario['digest'][:16]}  engine {engine.get('engine')}  {runtime}")
    if view.full:
        yield _body(json.dumps(event, indent=2), "dim")


def _ready(event: dict[str, Any], view: View) -> Iterator[Said]:
    rows = event["audit"]
    said = f"sandbox ready in {event['ready_s']:g} s; {len(rows)} settings as asked"
    yield _head(event, said, "dim")
    for row in rows:
        if view.full or (row.get("note") and event["agent"] == "0"):
            columns = " | ".join(str(row.get(name)) for name in ("asked", "stated", "measured"))
            yield _body(f"{row['setting']}: {row.get('note') or columns}", "dim")


def _seeded(event: dict[str, Any], view: View) -> Iterator[Said]:
    files = event["files"]
    yield _head(event, f"{many(len(files), 'file')} put in place", "dim")
    for file in files if view.full else ():
        yield _body(f"{file['path']}  {file['bytes']} bytes", "dim")


def _message(event: dict[str, Any], view: View) -> Iterator[Said]:
    message = event["message"]
    if message["role"] == "tool" and not view.full:
        return  # the action's own end shows the output
    names = {"system": "frame", "user": "told", "tool": "seen"}
    yield _head(event, names.get(message["role"], message["role"]), "magenta")
    yield _body(str(message.get("content") or ""), "", _limit(view))


def _replied(event: dict[str, Any], view: View) -> Iterator[Said]:
    usage, settled = event["usage"], event["settled"]
    counted = f"{usage.get('input_tokens', 0)}+{usage.get('output_tokens', 0)} tokens"
    counted += " estimated" if usage.get("estimated") else ""
    usd = f", ${settled['usd']:.4f}" if settled.get("usd") else ""
    yield _head(event, f"model ({counted}{usd})", "bold cyan")
    if event.get("reasoning"):
        yield _body(event["reasoning"], "italic dim", _limit(view))
    if event["message"].get("content"):
        yield _body(event["message"]["content"], "cyan")


def _started(event: dict[str, Any], view: View) -> Iterator[Said]:
    yield _head(event, f"{event['tool']}", "bold yellow")
    yield _body(event["input"]["code"], "yellow", _limit(view))


def _ended(event: dict[str, Any], view: View) -> Iterator[Said]:
    output = event["output"]
    try:
        text = _content(view, output).decode("utf-8", "backslashreplace")
    except TranscriptBroken as error:
        text = f"({error})"
    if text:
        yield _body(text, "", _limit(view))
    status = event.get("reported_exit")
    notes = [f"{event['duration_s']:.2f} s", f"{output['bytes']} bytes"]
    notes += [f"exit {status} as the session reports it"] if status else []
    notes += [f"ended by {event['rung']}: {event['cause']}"] if event["rung"] != "none" else []
    notes += ["session lost"] if event["session"] == "lost" else []
    yield _head(event, ", ".join(notes), "red" if event["rung"] != "none" or status else "dim")


def _content(view: View, output: dict[str, Any]) -> bytes:
    if view.most_bytes is None:
        return content_bytes(view.run, output)
    return content_start(view.run, output, view.most_bytes)


def _failed(event: dict[str, Any], _view: View) -> Iterator[Said]:
    again = event.get("retry_in_s")
    after = "giving up" if again is None else f"again in {again:.1f} s"
    after = "it does not fit the window" if event.get("context_full") else after
    said = one_line(event["error"], 200)
    yield _head(event, f"attempt {event['attempt']} failed, {after}: {said}", "red")


def _compacted(event: dict[str, Any], view: View) -> Iterator[Said]:
    shortened = event["shortened"]
    size = f"{event['bytes_before']} to {event['bytes_after']} bytes"
    yield _head(event, f"context full: {len(shortened)} observations shortened, {size}", "magenta")
    for one in shortened if view.full else ():
        sizes = f"{one['bytes_before']} to {one['bytes_after']} bytes"
        yield _body(f"message {one['index']}: {sizes}", "dim")


def _recorded(event: dict[str, Any], view: View) -> Iterator[Said]:
    if event.get("source") is None:
        yield _head(event, f"no kernel record: {event.get('why')}", "dim")
        return
    yield _head(event, f"kernel record by {event['source']}", "dim")
    for what, promise in event["promises"].items() if view.full else ():
        yield _body(f"{what}: {promise}", "dim")


def _lost(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, f"the kernel record has lost {event['lost']} facts so far", "bold red")


def _record_closed(event: dict[str, Any], _view: View) -> Iterator[Said]:
    count = sum(event["facts"].values())
    broken = f"; it broke: {event['broken']}" if event.get("broken") else ""
    said = f"kernel record: {count} facts, {event['lost']} lost{broken}"
    yield _head(event, said, "bold red" if event["lost"] else "dim")


def _submitted(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, "answer", "bold green")
    yield _body(event["answer"], "green")


def _judged(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, f"{event['verdict']}: {event['reason']}", "bold")


def _probed(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, f"{event['task']} #{event['sample']}: {event['verdict']}", "bold")


def _closed(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, outcome_words(event["outcome"]), "bold")
    yield _body(spent_words(event["spent"]))


def _steered(event: dict[str, Any], _view: View) -> Iterator[Said]:
    where = f" at {event['tty']}" if event.get("tty") else ""
    who = f"user {event['uid']}, process {event['pid']}{where}"
    yield _head(event, f"from another terminal: {event['act']} ({who})", "bold")


def _frozen(event: dict[str, Any], _view: View) -> Iterator[Said]:
    moving = event["moving"]
    yield _head(event, f"{moving} processes did not stop" if moving else "all frozen", "dim")


def _gap(event: dict[str, Any], _view: View) -> Iterator[Said]:
    said = f"the harness was not there for {event['silent_s']:.1f} s; the sandbox froze itself"
    yield _head(event, said, "bold red")


def _harness_lost(event: dict[str, Any], _view: View) -> Iterator[Said]:
    kept_s = event["lease_s"]
    said = f"the harness ended without a word; its sandboxes are kept for {kept_s:g} s"
    yield _head(event, said, "bold red")


def _paused(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, f"sandbox paused; removed at {event['until']} if not resumed", "red")


def _exported(event: dict[str, Any], view: View) -> Iterator[Said]:
    yield from _files_told(event, view, "taken out")


def _files_told(event: dict[str, Any], view: View, what: str) -> Iterator[Said]:
    files, left = event["files"], event["refused"]
    yield _head(event, f"{many(len(files), 'file')} {what}, {len(left)} refused or missing", "dim")
    for file in files if view.full else ():
        yield _body(f"{file['path']}  {file['bytes']} bytes", "dim")
    for reason in left:
        yield _body(reason, "dim", 200)


def _intervened(event: dict[str, Any], view: View) -> Iterator[Said]:
    about, waited_s = event["about"], event["waited_s"]
    said = f"{event['who']}: {event['type']} ({about}) after {waited_s:.1f} s"
    before, after = event["before"], event["after"]
    if event.get("bits") is not None:
        said += f", option {event['rank']}, {event['bits']:.1f} bits"
    yield _head(event, said, "bold green")
    if after == before:
        return
    for name, value in after.items():
        if name != "tool" or value != before.get("tool"):
            yield _body(f"{name}: {value}" if name == "tool" else str(value), "green", _limit(view))
    if view.full:
        yield _body("in place of: " + json.dumps(before), "dim")


def _awaited(event: dict[str, Any], _view: View) -> Iterator[Said]:
    waited_s = event["waited_s"]
    yield _head(
        event, f"{event['about']}: nobody decided for {waited_s:g} s; the run pauses", "red"
    )


def _removed(event: dict[str, Any], _view: View) -> Iterator[Said]:
    gone = event["state"].get("removed", True)
    yield _head(event, "sandbox removed" if gone else "sandbox NOT removed; see reap", "dim")


def _trouble(event: dict[str, Any], _view: View) -> Iterator[Said]:
    said = f"{event['error']}: {event['message']}" if event["error"] else event["message"]
    yield _head(event, f"to blame is the {event['blame']}: {said}", "bold red")


def _copy_started(event: dict[str, Any], view: View) -> Iterator[Said]:
    granted = event["granted"]
    shown = granted if view.full else {"usd", "tokens", "steps"}
    words = ", ".join(f"{value:g} {name}" for name, value in granted.items() if name in shown)
    yield _head(event, f"copy of {event['parent']}, start {event['start']}", "bold green")
    yield _body(f"granted {words}", "dim")
    yield _body(event["task"], "green", _limit(view))


def _copy_ended(event: dict[str, Any], _view: View) -> Iterator[Said]:
    yield _head(event, f"copy ended: {outcome_words(event['outcome'])}", "bold green")
    yield _body(spent_words(event["spent"]), "dim")


def _no_copy(event: dict[str, Any], view: View) -> Iterator[Said]:
    yield _head(event, f"no copy ({event['cap']}): {event['reason']}", "red")
    yield _body(event["task"], "dim", _limit(view))


def _handed(event: dict[str, Any], view: View) -> Iterator[Said]:
    yield from _files_told(event, view, "handed over")


def _resumed(event: dict[str, Any], _view: View) -> Iterator[Said]:
    agents = ", ".join(map(str, event["agents"]))
    yield _head(event, f"resumed after event {event['after']}: agents {agents}", "bold red")


def _branched(event: dict[str, Any], view: View) -> Iterator[Said]:
    edits = event["edits"]
    changed = ", ".join(str(edit["index"]) for edit in edits) or "none"
    yield _head(event, f"goes on from another run; messages changed: {changed}", "bold cyan")
    for edit in edits:
        yield _body(str(edit["after"]), "dim", _limit(view))


def _redone(event: dict[str, Any], view: View) -> Iterator[Said]:
    differs, left_out = event["differences"], event["left_out"]
    told = f"{event['actions']} actions done again, {len(differs)} differences"
    yield _head(event, told, "bold red" if differs else "dim")
    for one in differs:
        yield _body(f"action {one['action'] or 'of the world'}: {one['what']}", "red")
        yield _body(f"expected {one['expected']!r}\ngot      {one['got']!r}", "dim", _limit(view))
    for one in left_out:
        yield _body(f"action {one['action'] or 'of the world'} left out: {one['why']}", "red")


def _plainly(event: dict[str, Any], view: View) -> Iterator[Said]:
    known = ("seq", "time", "elapsed_s", "agent", "kind", "prev")
    fields = {name: value for name, value in event.items() if name not in known}
    said = json.dumps(fields) if fields else ""
    yield _head(event, f"{event['kind']} {said if view.full else one_line(said, 150)}", "dim")


_TELLERS = {
    "run.resumed": _resumed,
    "run.branched": _branched,
    "actions.redone": _redone,
    "run.opened": _opened,
    "sandbox.ready": _ready,
    "files.seeded": _seeded,
    "message": _message,
    "model.replied": _replied,
    "model.failed": _failed,
    "context.compacted": _compacted,
    "action.started": _started,
    "action.ended": _ended,
    "kernel.opened": _recorded,
    "kernel.lost": _lost,
    "kernel.closed": _record_closed,
    "intervened": _intervened,
    "person.awaited": _awaited,
    "submitted": _submitted,
    "agent.started": _copy_started,
    "agent.ended": _copy_ended,
    "delegation.refused": _no_copy,
    "files.handed": _handed,
    "operator.steered": _steered,
    "sandbox.frozen": _frozen,
    "harness.gap": _gap,
    "harness.lost": _harness_lost,
    "sandbox.paused": _paused,
    "files.exported": _exported,
    "sandbox.removed": _removed,
    "success.judged": _judged,
    "probe.judged": _probed,
    "trouble": _trouble,
    "run.closed": _closed,
}


def outcome_words(outcome: dict[str, Any]) -> str:
    """How a run ended, in a line."""
    failed = outcome.get("blame") if outcome["status"] == "error" else None
    cause = outcome.get("limit") or failed
    if outcome["status"] == "exited":
        cause = f"reported status {outcome.get('reported_exit', 'none')}"
    why = f" ({cause})" if cause else ""
    message = f": {one_line(outcome['message'], 500)}" if outcome.get("message") else ""
    return f"{outcome['status']}{why}{message}"


def spent_words(spent: dict[str, Any]) -> str:
    """What was spent, in a line."""
    usd = spent.get("usd", 0)
    dollars = "dollars unknown" if usd is None else f"${usd:.4f}"
    return (
        f"{many(spent.get('steps', 0), 'step')}, {spent.get('input_tokens', 0):,} tokens read, "
        f"{spent.get('output_tokens', 0):,} written, {dollars}, "
        f"{spent.get('wall_s', 0):.1f} s, {spent.get('tool_s', 0):.1f} s of it actions"
    )
