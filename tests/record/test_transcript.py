"""Writing a run: whatever is written comes back, whatever happens to the writer."""

import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.events.kinds import MessageAdded, OperatorActed
from agent_eval.record.reading import content_bytes, read_events, read_summary
from agent_eval.record.transcript import (
    BLOBS,
    EVENTS,
    GENESIS,
    INLINE_BYTES,
    SUMMARY,
    Transcript,
    line_of,
    signature,
)
from agent_eval.record.verify import repair, verify
from tests.helpers import JSON_VALUES, TEXTS, as_json, folder, lines_of_run, made_run

SIZES = st.sampled_from((0, 1, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, 300_000))


@given(st.lists(st.binary() | SIZES.flatmap(lambda size: st.just(os.urandom(size))), max_size=4))
def test_any_bytes_survive(pieces: list[bytes]) -> None:
    with folder() as parent:
        run = parent / "run"
        with Transcript.create(run) as transcript:
            for piece in pieces:
                transcript.write(MessageAdded(0, {"held": transcript.content(piece)}))
        held = [event["message"]["held"] for event in read_events(run)]
        assert [content_bytes(run, one) for one in held] == pieces
        assert [one["bytes"] for one in held] == [len(piece) for piece in pieces]
        large = {hashlib.sha256(piece).hexdigest() for piece in pieces if len(piece) > INLINE_BYTES}
        assert {path.name for path in (run / BLOBS).iterdir()} == large
        assert not verify(run).faults


@given(TEXTS, JSON_VALUES)
def test_any_text_and_any_value_survive(text: str, value: Any) -> None:
    with folder() as parent:
        run = parent / "run"
        with Transcript.create(run) as transcript:
            transcript.write(MessageAdded(3, {"content": text, "value": value}), agent="0.1")
        (event,) = read_events(run)
        assert event["message"]["content"] == as_json(text)
        assert json.dumps(event["message"]["value"]) == json.dumps(json.loads(json.dumps(value)))
        assert (event["agent"], event["kind"], event["index"]) == ("0.1", "message", 3)
        line = run.joinpath(EVENTS).read_bytes()
        assert line.isascii()
        assert line.count(b"\n") == 1, "an event is one line, whatever is in it"


def test_a_value_that_json_cannot_hold_is_refused_and_leaves_no_half_line(tmp_path: Path) -> None:
    with Transcript.create(tmp_path / "run") as transcript:
        for value in (float("nan"), float("inf"), b"bytes", {1, 2}):
            with pytest.raises((ValueError, TypeError)):
                transcript.write(MessageAdded(0, {"x": value}))
        assert transcript.write(OperatorActed("stopped")) == 0
    assert len(lines_of_run(tmp_path / "run")) == 1


def test_every_event_has_the_envelope_and_follows_from_the_one_before(tmp_path: Path) -> None:
    head = made_run(tmp_path / "run")
    lines = lines_of_run(tmp_path / "run")
    events = [json.loads(line) for line in lines]
    assert [list(event)[:5] for event in events] == [
        ["seq", "time", "elapsed_s", "agent", "kind"]
    ] * len(events)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["prev"] for event in events] == [
        GENESIS,
        *(hashlib.sha256(line).hexdigest() for line in lines[:-1]),
    ]
    assert hashlib.sha256(lines[-1]).hexdigest() == head
    assert all(one["time"] <= other["time"] for one, other in pairwise(events))
    assert all(one["elapsed_s"] <= other["elapsed_s"] for one, other in pairwise(events))


def test_the_chain_can_be_derived_with_sha256sum_alone(tmp_path: Path) -> None:
    head = made_run(tmp_path / "run")
    script = """
    expected=$(printf '0%.0s' $(seq 64))
    while IFS= read -r line; do
        case $line in *"\\"prev\\":\\"$expected\\"}") ;; *) echo "broken: $line"; exit 1 ;; esac
        expected=$(printf '%s\\n' "$line" | sha256sum | cut -d' ' -f1)
    done < events.jsonl
    for blob in blobs/*; do echo "$(basename "$blob")  $blob"; done | sha256sum --check --quiet
    echo "$expected"
    """
    done = subprocess.run(
        ["bash", "-ec", textwrap.dedent(script)],
        cwd=tmp_path / "run",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == (head, "", 0)


def test_the_folder_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made_run(tmp_path / "run", key=b"k")
        with tmp_path.joinpath("run", EVENTS).open("ab") as file:
            file.write(b"torn")
        repair(tmp_path / "run")
    finally:
        os.umask(old)
    found = sorted((tmp_path / "run").rglob("*"))
    assert len(found) == 6, "events, summary, what was torn, and two blobs in their folder"
    for path in [tmp_path / "run", *found]:
        assert oct(path.stat().st_mode & 0o777) == ("0o700" if path.is_dir() else "0o600"), path


def test_a_folder_that_is_there_is_refused_and_not_touched(tmp_path: Path) -> None:
    made_run(tmp_path / "run")
    before = lines_of_run(tmp_path / "run")
    with pytest.raises(OperatorError, match="there already"):
        Transcript.create(tmp_path / "run")
    assert lines_of_run(tmp_path / "run") == before
    tmp_path.joinpath("file").write_text("x")
    with pytest.raises(OperatorError, match="cannot make the run folder"):
        Transcript.create(tmp_path / "file" / "run")


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with Transcript.create(tmp_path / "run") as transcript:
        transcript.write(OperatorActed("stopped"))
        with tmp_path.joinpath("run", EVENTS).open("ab") as file:
            file.write(b'{"half')
        with pytest.raises(OperatorError, match="being written by another process"):
            repair(tmp_path / "run")
        assert lines_of_run(tmp_path / "run")[-1] == b'{"half', "nothing was mended meanwhile"
    assert repair(tmp_path / "run").torn_bytes == 0, "the lock goes with the writer"
    transcript.close()


def test_who_only_looks_whether_a_record_is_in_use_refuses_no_writer(tmp_path: Path) -> None:
    made_run(tmp_path / "run")
    with tmp_path.joinpath("run", EVENTS).open("rb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        later = threading.Timer(0.1, fcntl.flock, (looked_at, fcntl.LOCK_UN))
        later.start()
        assert repair(tmp_path / "run").good
        later.join()


def test_the_listener_hears_of_events_that_are_on_disk(tmp_path: Path) -> None:
    heard: list[tuple[dict[str, Any], bytes]] = []
    with Transcript.create(tmp_path / "run") as transcript:
        transcript.listener = lambda event: heard.append(
            (event, lines_of_run(tmp_path / "run")[-1])
        )
        for act in ("stopped", "cancelled"):
            transcript.write(OperatorActed(act))
    assert [event["act"] for event, _ in heard] == ["stopped", "cancelled"]
    assert all(line_of(event) == line for event, line in heard)


def test_sealing_writes_the_summary_and_signs_it(tmp_path: Path) -> None:
    head = made_run(tmp_path / "plain")
    assert read_summary(tmp_path / "plain") == {"run": "plain", "events": 6, "head": head}
    head = made_run(tmp_path / "signed", key=b"secret")
    value = signature(head, b"secret")
    summary = read_summary(tmp_path / "signed")
    assert summary["signature"] == {"algorithm": "hmac-sha256", "value": value}
    assert value != signature(head, b"Secret")
    assert b"secret" not in tmp_path.joinpath("signed", SUMMARY).read_bytes()


FULL_DISK = """
import resource, sys
from pathlib import Path
from agent_eval.errors import TranscriptBroken
from agent_eval.events.kinds import OperatorActed
from agent_eval.record.transcript import Transcript

transcript = Transcript.create(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
written = 0
try:
    for _ in range(1000):
        transcript.write(OperatorActed("x" * 50))
        written += 1
except TranscriptBroken as error:
    print(written, transcript.events, error)
size = (transcript.folder / "events.jsonl").stat().st_size
for act in (lambda: transcript.blob(b"b" * 20000), lambda: transcript.seal({"x": "y" * 20000})):
    try:
        act()
    except TranscriptBroken as error:
        print("refused:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    transcript.write(OperatorActed("there is room again"))
except TranscriptBroken as error:
    print("refused:", error)
print(size == (transcript.folder / "events.jsonl").stat().st_size)
"""


@pytest.mark.parametrize("room_bytes", [3000, 3001, 3207])
def test_a_full_disk_breaks_the_transcript_and_keeps_what_was_there(
    tmp_path: Path, room_bytes: int
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(run), str(room_bytes)],
        capture_output=True,
        text=True,
        check=True,
    )
    first, *refused, same_size = done.stdout.splitlines()
    written, counted, words = first.split(" ", 2)
    assert int(written) == int(counted) > 5
    assert "cannot write" in words
    assert "--repair" in words
    assert len(refused) == 3, "blob, summary, and the line after the torn one"
    assert all("refused: " in line for line in refused)
    assert same_size == "True", "nothing is written after a line that may be torn"
    assert len(list(read_events(run))) == int(written)
    assert verify(run).torn_bytes == room_bytes - sum(map(len, lines_of_run(run)[: int(written)]))
    report = repair(run)
    assert (report.faults, report.torn_bytes, report.events) == ([], 0, int(written) + 1)


WRITER = """
import os, sys
from pathlib import Path
from agent_eval.events.kinds import ActionEnded
from agent_eval.record.transcript import Transcript

with Transcript.create(Path(sys.argv[1])) as transcript:
    for number in range(10**9):
        data = os.urandom(5000 if number % 3 == 0 else 60)
        done = ActionEnded(number, 0.1, transcript.content(data), "none", {})
        os.write(1, b"%d\\n" % transcript.write(done))
"""


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(5))
def test_what_was_acknowledged_outlives_a_kill_at_any_instant(tmp_path: Path, turn: int) -> None:
    runs = [tmp_path / f"run-{turn}-{number}" for number in range(2)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(run)], stdout=subprocess.PIPE)
        for run in runs
    ]
    for run, writer in zip(runs, writers, strict=True):
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(random.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        acknowledged = first + writer.stdout.read()
        writer.stdout.close()
        writer.wait()
        numbers = [int(word) for word in acknowledged.split(b"\n")[:-1]]
        report = repair(run)
        assert not report.faults
        assert report.torn_bytes == 0
        events = list(read_events(run))
        assert [event["seq"] for event in events] == list(range(len(events)))
        assert len(events) > numbers[-1]
        assert numbers == list(range(len(numbers)))
        for event in events[: len(numbers)]:
            assert len(content_bytes(run, event["output"])) == event["output"]["bytes"]


def test_what_cannot_be_locked_or_written_is_a_broken_transcript(tmp_path: Path) -> None:
    with Transcript.create(tmp_path / "run") as transcript:
        transcript.write(OperatorActed("stopped"))
    with pytest.raises(TranscriptBroken, match="cannot write"):
        transcript.write(OperatorActed("after the end"))
    assert len(lines_of_run(tmp_path / "run")) == 1


def test_many_events_in_one_write_are_one_chain(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    with Transcript.create(tmp_path / "run") as transcript:
        transcript.listener = heard.append
        transcript.write(OperatorActed("first"))
        written = transcript.write_many([(OperatorActed(str(n)), f"0.{n}") for n in range(1000)])
        transcript.write(OperatorActed("last"))
        head = transcript.seal({})
    lines = (tmp_path / "run" / EVENTS).read_bytes().splitlines(keepends=True)
    assert sum(map(len, lines[1:-1])) == written
    assert [json.loads(line)["agent"] for line in lines[1:4]] == ["0.0", "0.1", "0.2"]
    assert [event["seq"] for event in heard] == list(range(1002))
    report = verify(tmp_path / "run", head)
    assert report.authentic and not report.faults
