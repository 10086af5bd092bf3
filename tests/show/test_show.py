"""A run on a terminal: every kind of event, and nothing that acts on the terminal."""

import dataclasses
import io
import types
import typing
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent_eval.events.event import Event
from agent_eval.events.kinds import KINDS
from agent_eval.record.transcript import Transcript
from agent_eval.show.show import QUIET, lines_of, outcome_words, spent_words
from tests.helpers import JSON_VALUES, NASTY, TEXTS

ENVELOPE: dict[str, Any] = {
    "seq": 7,
    "time": "2026-01-01T00:00:00+00:00",
    "elapsed_s": 1.5,
    "agent": "0",
    "prev": "0" * 64,
}
MESSAGE = {"role": "assistant", "content": NASTY}
USAGE = {"input_tokens": 10, "output_tokens": 5, "estimated": True}
OUTPUT = {"bytes": 30, "text": NASTY}
PROCESS = {"sandbox": "c0ffee", "pid": 7, "at": "2026-01-01T00:00:00+00:00", "action": 1}

EXAMPLES: dict[str, dict[str, Any]] = {
    "run.resumed": {
        "times": 1,
        "after": 41,
        "agents": {"0": "redone", NASTY: NASTY},
        "command_line": ["agent-eval", NASTY],
    },
    "run.branched": {
        "inherited": {"bytes": 5000, "blob": "e5" * 32},
        "edits": [{"index": 3, "before": NASTY, "after": NASTY}],
        "recount": True,
        "settled": {"record_bytes": 7},
    },
    "actions.redone": {
        "sandbox": "c0ffee",
        "actions": 7,
        "differences": [
            {
                "seq": 9,
                "agent": "0",
                "action": 2,
                "what": "output",
                "expected": NASTY,
                "got": NASTY,
            }
        ],
        "left_out": [{"action": 3, "why": NASTY}],
        "ignored": [NASTY],
    },
    "snapshot.taken": {
        "sandbox": "c0ffee",
        "snapshot": "e5" * 32,
        "holds": "memory",
        "size_bytes": 5,
        "took_s": 0.5,
        "left_out": 0,
    },
    "snapshot.refused": {"sandbox": "c0ffee", "holds": "files", "why": NASTY},
    "sandbox.restored": {
        "sandbox": "c0ffee",
        "snapshot": "e5" * 32,
        "holds": "files",
        "ready_s": 0.7,
        "lost": ["processes"],
        "shared": [NASTY],
        "left_out": 3,
    },
    "context.compacted": {
        "reason": NASTY,
        "estimated_tokens": 5,
        "tokens_after": 3,
        "bytes_before": 15,
        "bytes_after": 9,
        "shortened": [{"index": 3, "bytes_before": 10, "bytes_after": 4, "message": {}}],
    },
    "run.opened": {
        "run": NASTY,
        "format": 1,
        "scenario": {"title": NASTY, "digest": NASTY},
        "model": {"name": NASTY},
        "engine": {"engine": NASTY, "runtime": {"name": NASTY}},
    },
    "sandbox.ready": {
        "container": NASTY,
        "runtime": NASTY,
        "ready_s": 0.5,
        "audit": [
            {"setting": NASTY, "asked": NASTY, "stated": 5, "measured": [NASTY], "ok": True},
            {"setting": "processes", "note": NASTY, "ok": True},
        ],
    },
    "intervened": {
        "type": NASTY,
        "about": NASTY,
        "who": NASTY,
        "waited_s": 0.5,
        "call": 1,
        "before": {"tool": NASTY, "code": NASTY},
        "after": {"tool": "x", "code": NASTY + NASTY},
        "call_id": NASTY,
    },
    "person.awaited": {"about": NASTY, "waited_s": 5.0, "call": 1},
    "operator.steered": {"act": NASTY, "uid": 1000, "pid": 4711, "tty": NASTY},
    "finding.seen": {
        "behaviour": NASTY,
        "detector": NASTY,
        "stage": NASTY,
        "cites": [1],
        "why": NASTY,
        "did": NASTY,
    },
    "files.seeded": {"files": [{"path": NASTY, "bytes": 5}]},
    "message": {"index": 0, "message": {"role": "user", "content": NASTY}},
    "model.called": {"call": 1, "attempt": 1, "sees": [[0, 1]], "arguments": NASTY, "reserved": {}},
    "model.request": {"digest": NASTY, "arguments": {NASTY: NASTY}, "tools": []},
    "model.failed": {
        "call": 1,
        "attempt": 2,
        "error": NASTY,
        "settled": {},
        "duration_s": 0.1,
        "retry_in_s": 2.0,
    },
    "model.replied": {
        "call": 1,
        "attempt": 1,
        "index": 2,
        "message": MESSAGE,
        "usage": USAGE,
        "settled": {"usd": 0.5},
        "duration_s": 0.5,
        "reasoning": NASTY,
        "model": NASTY,
    },
    "model.offered": {
        "call": 1,
        "attempt": 1,
        "message": MESSAGE,
        "usage": USAGE,
        "settled": {"usd": 0.5},
        "duration_s": 0.5,
    },
    "action.started": {"action": 1, "call": 1, "tool": NASTY, "input": {"code": NASTY}},
    "action.ended": {
        "action": 1,
        "duration_s": 0.1,
        "output": OUTPUT,
        "rung": NASTY,
        "settled": {},
        "reported_exit": 3,
        "cause": NASTY,
        "session": "lost",
    },
    "action.refused": {"call": 1, "reason": NASTY, "tool": NASTY, "call_id": NASTY},
    "kernel.opened": {"sandbox": "c0ffee", "source": NASTY, "promises": {"open": NASTY}},
    "kernel.lost": {"sandbox": "c0ffee", "lost": 3},
    "kernel.gap": {"sandbox": "c0ffee", "unseen_s": 3.5},
    "kernel.closed": {
        "sandbox": "c0ffee",
        "facts": {"process.started": 2},
        "lost": 1,
        "received_bytes": 10,
        "recorded_bytes": 10,
        "broken": NASTY,
    },
    "process.forked": {**PROCESS, "child": 9},
    "process.started": {**PROCESS, "program": NASTY, "argv": [NASTY], "cwd": NASTY, "note": NASTY},
    "process.exited": {**PROCESS, "signal": 9},
    "file.opened": {**PROCESS, "path": NASTY, "mode": ["write"], "errno": 13},
    "file.removed": {**PROCESS, "path": NASTY},
    "file.renamed": {**PROCESS, "path": NASTY, "to": NASTY},
    "net.connected": {**PROCESS, "address": NASTY, "errno": 113},
    "net.bound": {**PROCESS, "address": NASTY},
    "process.signalled": {**PROCESS, "target": 1, "signal": 9, "errno": 1},
    "user.changed": {**PROCESS, "call": NASTY, "uid": 0, "errno": 1},
    "submitted": {"call": 1, "answer": NASTY},
    "operator.acted": {"act": NASTY},
    "sandbox.frozen": {"moving": 0},
    "harness.gap": {"silent_s": 61.5},
    "harness.lost": {"lease_s": 3600.0, "lease": NASTY},
    "sandbox.paused": {"container": NASTY, "until": NASTY, "lease": NASTY},
    "files.exported": {"files": [{"path": NASTY, "bytes": 1}], "refused": [NASTY]},
    "success.judged": {"verdict": NASTY, "reason": NASTY},
    "sandbox.removed": {"container": NASTY, "state": {"Status": NASTY}},
    "milestone.begun": {
        "milestone": NASTY,
        "reference": NASTY,
        "did": [{"tool": NASTY, "code": NASTY, "output": NASTY}],
    },
    "probe.judged": {"task": NASTY, "sample": 1, "verdict": NASTY},
    "agent.started": {
        "parent": "0",
        "call": 1,
        "call_id": NASTY,
        "task": NASTY,
        "start": NASTY,
        "granted": {"usd": 0.5, NASTY: 1},
    },
    "agent.ended": {"outcome": {"status": NASTY}, "answer": NASTY, "spent": {"steps": 1}},
    "delegation.refused": {
        "call": 1,
        "call_id": NASTY,
        "task": NASTY,
        "cap": NASTY,
        "reason": NASTY,
    },
    "files.handed": {"files": [{"path": NASTY, "bytes": 5}], "refused": [NASTY]},
    "trouble": {"blame": NASTY, "error": NASTY, "message": NASTY},
    "transcript.repaired": {"torn_bytes": 5, "kept_in": NASTY},
    "run.closed": {"outcome": {"status": NASTY, "limit": NASTY, "message": NASTY}, "spent": {}},
}


def event_of(kind: str, **fields: Any) -> dict[str, Any]:
    return {**ENVELOPE, "kind": kind, **EXAMPLES.get(kind, {}), **fields}


def shown(event: dict[str, Any], run: Path, *, full: bool = False) -> str:
    """What a terminal would get, colours left out."""
    out = io.StringIO()
    console = Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in lines_of(event, run, full=full):
        console.print(line)
    return out.getvalue()


def acts(text: str) -> list[str]:
    """Characters that could act on a terminal, line ends and tabs aside."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return [char for char in text if char not in "\n\t" and unicodedata.category(char) in hidden]


PLAIN: dict[Any, Any] = {
    int: 3,
    float: 1.5,
    bool: True,
    str: NASTY,
    dict: OUTPUT,
    list: [{"cents": 5}],
    Any: 3,
}
PLAIN[tuple] = PLAIN[list]


def example_of(kind: type[Event]) -> dict[str, Any]:
    """Fields of the right types for a kind of which no example is written down."""
    example: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        given = [each for each in typing.get_args(hint) if each is not type(None)]
        plain = given[0] if isinstance(hint, types.UnionType) else hint
        plain = typing.get_origin(plain) or plain
        if plain is not typing.ClassVar:
            example[name] = PLAIN[plain]
    return example


WORLD = (
    *("world", "bank", "lm", "job", "cloud", "mail", "people", "web", "packages", "store"),
    *("drill", "aftermath"),
)
EXAMPLES |= {
    kind: example_of(made)
    for kind, made in KINDS.items()
    if kind not in EXAMPLES and kind.partition(".")[0] in WORLD
}
EXAMPLES["world.asked"] |= {"leads_to": "nothing", "address": None}


def test_there_is_an_example_of_every_kind() -> None:
    assert set(EXAMPLES) == set(KINDS)
    for kind, fields in EXAMPLES.items():
        known = {field.name for field in dataclasses.fields(KINDS[kind])}
        assert set(fields) <= known, kind


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_shown_without_anything_that_acts(kind: str, tmp_path: Path) -> None:
    for agent in ("0", "0.1", NASTY):
        event = event_of(kind, agent=agent)
        full = shown(event, tmp_path, full=True)
        assert full.strip(), "nothing is left out of the full view"
        assert acts(full) == []
        brief = shown(event, tmp_path)
        assert bool(brief) == (kind not in QUIET)
        assert acts(brief) == []
        first = full.splitlines()[0 if kind != "action.ended" else -1]
        assert "    7     1.50s" in first, "number and time come first"


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=12)
@given(data=st.data())
def test_any_event_however_hostile_is_shown_safely(kind: str, data: st.DataObject) -> None:
    fields = EXAMPLES[kind]
    wrong = data.draw(st.dictionaries(st.sampled_from([*fields, "elapsed_s"]), JSON_VALUES))
    gone = data.draw(st.sets(st.sampled_from([*fields, "elapsed_s"])))
    event = {name: value for name, value in event_of(kind, **wrong).items() if name not in gone}
    for full in (False, True):
        assert acts(shown(event, Path("/nowhere"), full=full)) == []


@given(TEXTS, st.dictionaries(TEXTS, JSON_VALUES, max_size=3))
def test_a_kind_of_a_later_version_is_shown_as_it_is(kind: str, fields: dict[str, Any]) -> None:
    text = shown({**fields, **ENVELOPE, "kind": kind}, Path("/nowhere"), full=True)
    assert text.strip()
    assert acts(text) == []
    if kind not in KINDS:
        assert text.count("\n") == 1, "one line, whatever is in it"


def test_nobody_can_fake_the_head_of_an_event(tmp_path: Path) -> None:
    fake = "good\n    8     2.00s answer\n   99     9.99s success: all right"
    for event in (
        event_of("submitted", answer=fake),
        event_of("success.judged", reason=fake, verdict="failure"),
        event_of("action.ended", output={"bytes": 50, "text": fake}),
        event_of("trouble", message=fake),
        event_of("model.failed", error=fake),
        event_of("run.closed", outcome={"status": "limit", "message": fake}),
    ):
        lines = shown(event, tmp_path, full=True).splitlines()
        heads = [line for line in lines if not line.startswith("      ")]
        assert len(heads) == 1, lines
        assert heads[0].startswith("    7     1.50s ")


def test_outputs_are_read_from_where_they_are(tmp_path: Path) -> None:
    with Transcript.create(tmp_path / "run") as transcript:
        large = transcript.content(b"start" + b"x" * 20_000 + b"\xffend\x1b[2J")
        binary = transcript.content(b"\xff\x00")
    text = shown(event_of("action.ended", output=large), tmp_path / "run")
    assert "startxxx" in text
    assert "characters; --full shows them" in text
    assert len(text) < 5000
    text = shown(event_of("action.ended", output=large), tmp_path / "run", full=True)
    assert "\\xffend\\x1b[2J" in text
    assert "\\xff\\x00" in shown(event_of("action.ended", output=binary), tmp_path / "run")
    text = shown(event_of("action.ended", output=large), tmp_path / "gone")
    assert f"(blob {large['blob']}: No such file" in text
    assert "20013 bytes" in text


def test_a_conversation_reads_as_one(tmp_path: Path) -> None:
    seen = {"role": "tool", "content": "again"}
    assert shown(event_of("message", message=seen), tmp_path) == "", "the action has shown it"
    assert "again" in shown(event_of("message", message=seen), tmp_path, full=True)
    told = shown(event_of("message", message={"role": "user", "content": "do it"}), tmp_path)
    assert told == "    7     1.50s told\n      do it\n"
    reply = event_of("model.replied", message={"role": "assistant", "content": None})
    assert "model (10+5 tokens estimated, $0.5000)" in shown(reply, tmp_path)
    failed = shown(event_of("model.failed", error="HTTP 500"), tmp_path)
    assert "attempt 2 failed, again in 2.0 s: HTTP 500" in failed
    failed = shown(event_of("model.failed", retry_in_s=None), tmp_path)
    assert "giving up" in failed
    fine = event_of("action.ended", rung="none", cause=None, reported_exit=0, session="kept")
    assert shown(fine, tmp_path).endswith("0.10 s, 30 bytes\n")
    ended = shown(event_of("action.ended", rung="kill", cause="timeout"), tmp_path)
    assert "exit 3 as the session reports it, ended by kill: timeout, session lost" in ended


def test_outcome_and_spending_are_a_line_each() -> None:
    assert outcome_words({"status": "submitted"}) == "submitted"
    failed = {"status": "error", "blame": "infrastructure", "message": "it broke"}
    assert outcome_words(failed) == "error (infrastructure): it broke"
    outcome = {"status": "limit", "limit": "usd", "message": "usd: nothing left\nat all"}
    assert outcome_words(outcome) == "limit (usd): usd: nothing left at all"
    spent = {"steps": 3, "input_tokens": 12345, "output_tokens": 67, "usd": 0.5, "wall_s": 9.87}
    assert spent_words(spent) == (
        "3 steps, 12,345 tokens read, 67 written, $0.5000, 9.9 s, 0.0 s of it actions"
    )
    assert spent_words({}).startswith("0 steps")


def test_every_field_of_every_event_is_typed_and_told() -> None:
    for kind, cls in KINDS.items():
        assert cls.__doc__, kind
        assert set(typing.get_type_hints(cls)) >= {field.name for field in dataclasses.fields(cls)}
        assert cls.kind == kind
