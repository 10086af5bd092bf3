"""Checking a run folder: no change goes unseen, and what is torn can be mended."""

import json
import random
import re
import shutil
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError
from agent_eval.events.kinds import (
    MessageAdded,
    MilestoneBegun,
    ModelReplied,
    OperatorActed,
    RunClosed,
)
from agent_eval.events.services import JobSubmitted
from agent_eval.events.world import Exchanged
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import BLOBS, EVENTS, GENESIS, SUMMARY, Transcript, line_of
from agent_eval.record.verify import Report, repair, verify
from tests.helpers import folder, lines_of_run, made_run


def contents(run: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    found = sorted(path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


def rewritten(run: Path, events: bytes) -> Report:
    """What is found after other bytes were put in the place of the events."""
    run.joinpath(EVENTS).write_bytes(events)
    return verify(run)


def lines_named(report: Report) -> set[int]:
    """The numbers of lines, from 1, that the first fault speaks of."""
    return {int(number) for number in re.findall(r"line (\d+)", report.faults[0])}


def test_a_run_that_came_to_its_end_is_good(tmp_path: Path) -> None:
    head = made_run(tmp_path / "run")
    report = verify(tmp_path / "run")
    assert report.good
    assert (report.faults, report.torn_bytes, report.complete) == ([], 0, True)
    assert (report.events, report.head, report.authentic) == (6, head, None)


def test_every_change_of_a_byte_is_seen_and_its_line_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run, turns=1)
    lines, at = lines_of_run(run), 0
    whole = b"".join(lines)
    for number, line in enumerate(lines, start=1):
        for _ in line:
            changed = bytearray(whole)
            changed[at] ^= random.choice((0x01, 0x04, 0x20, 0x80, 0xFF))
            report = rewritten(run, bytes(changed))
            assert not report.good, at
            if report.torn_bytes:
                assert at == len(whole) - 1, "only the very last byte makes a torn line"
            elif number == len(lines) and "run.json" in report.faults[0]:
                assert report.events == number, "the last line has no other that follows from it"
            else:
                assert number in lines_named(report), (at, report.faults)
            at += 1
    assert rewritten(run, whole).good


@given(st.floats(0, 0.999), st.integers(0, 400), st.binary(max_size=20))
def test_any_other_bytes_in_any_place_are_seen(part: float, length: int, other: bytes) -> None:
    with folder() as parent:
        run = parent / "run"
        made_run(run)
        whole = run.joinpath(EVENTS).read_bytes()
        at = int(part * len(whole))
        until = at + length
        changed = whole[:at] + other + whole[until:]
        if changed != whole:
            report = rewritten(run, changed)
            assert not report.good
            first = whole.count(b"\n", 0, at) + 1
            if report.faults and "run.json" not in report.faults[0]:
                assert min(lines_named(report)) <= first + 1
                assert max(lines_named(report)) >= first


def test_lines_that_are_missing_doubled_or_in_another_order_are_seen(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    lines = lines_of_run(run)
    for index in range(len(lines)):
        report = rewritten(run, b"".join(lines[:index] + lines[index + 1 :]))
        assert not report.good
        if index < len(lines) - 1:
            assert index + 1 in lines_named(report), "the line that stands in the wrong place"
        else:
            assert "run.json speaks of another end" in report.faults[0]
            assert f"after event {index - 1} are gone" in report.faults[0]
        report = rewritten(run, b"".join(lines[: index + 1] + lines[index:]))
        assert not report.good
        assert index + 2 in lines_named(report)
    for order in permutations(range(len(lines))):
        first = next((at for at, index in enumerate(order) if at != index), None)
        if first is not None:
            report = rewritten(run, b"".join(lines[index] for index in order))
            assert not report.good
            assert first + 1 in lines_named(report), order


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    first, second, *others = lines_of_run(run)
    event = json.loads(second)
    wrong: list[Any] = [[], 5, "x", {}, {"kind": "message"}]
    wrong += [
        {key: value for key, value in event.items() if key != name} for name in ("prev", "time")
    ]
    wrong += [event | {"seq": "1"}, event | {"agent": None}, event | {"kind": 3}]
    for value in wrong:
        report = rewritten(run, b"".join([first, line_of({"": value})[4:-2] + b"\n", *others]))
        assert not report.good
        assert report.events == 1
        assert "line 2 is no event" in report.faults[0], value
    for bytes_ in (
        b"\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b"{" * 20 + b"\n",
        b"1" * 5000 + b"\n",
    ):
        report = rewritten(run, b"".join([first, bytes_, *others]))
        assert "line 2 is no event" in report.faults[0]
        assert len(report.faults[0]) < 300


@given(
    st.floats(0, 1) | st.tuples(st.integers(0, 5), st.sampled_from((-1, 0, 1))),
    st.booleans(),
)
def test_any_torn_tail_is_seen_mended_and_kept(
    where: float | tuple[int, int], sealed: bool
) -> None:
    with folder() as parent:
        run = parent / "run"
        made_run(run)
        if not sealed:
            run.joinpath(SUMMARY).unlink()
        whole = run.joinpath(EVENTS).read_bytes()
        ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
        at = ends[where[0]] + where[1] if isinstance(where, tuple) else int(where * len(whole))
        cut = min(at, len(whole))
        kept = max(end for end in [0, *ends] if end <= cut)
        report = rewritten(run, whole[:cut])
        assert report.torn_bytes == cut - kept
        assert report.good == (cut == len(whole) and run.joinpath(SUMMARY).exists())
        if cut == kept:
            before = contents(run)
            repair(run)
            assert contents(run) == before, "nothing is torn, so nothing is changed"
            return
        assert not report.faults
        mended = repair(run)
        assert (mended.faults, mended.torn_bytes, mended.good) == ([], 0, False)
        assert run.joinpath(EVENTS).read_bytes().startswith(whole[:kept])
        *_, last = read_events(run)
        assert (last["kind"], last["torn_bytes"]) == ("transcript.repaired", cut - kept)
        assert run.joinpath(last["kept_in"]).read_bytes() == whole[kept:cut]
        after = contents(run)
        assert repair(run) == verify(run) == mended
        assert contents(run) == after, "a second repair changes nothing"


def test_a_repair_that_was_torn_itself_loses_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    events = run / EVENTS
    torn: list[bytes] = []
    for _ in range(3):
        cut = events.read_bytes()[:-9]
        events.write_bytes(cut)
        torn.append(lines_of_run(run)[-1])
        repair(run)
    kept = [path.read_bytes() for path in sorted(run.glob(f"{EVENTS}.torn-*"))]
    assert sorted(kept) == sorted(torn)
    assert not verify(run).faults


def test_bytes_behind_the_end_of_a_sealed_run_are_taken_off_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    head = made_run(run, key=b"k")
    whole = run.joinpath(EVENTS).read_bytes()
    report = rewritten(run, whole + b"{half a line")
    assert (report.torn_bytes, report.good, report.complete) == (12, False, True)
    mended = repair(run)
    assert (mended.good, mended.head) == (True, head), "it ends again as it was sealed"
    assert run.joinpath(EVENTS).read_bytes() == whole
    assert run.joinpath(f"{EVENTS}.torn-6").read_bytes() == b"{half a line"
    assert verify(run, key=b"k").good


def test_a_broken_record_is_not_mended(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    whole = run.joinpath(EVENTS).read_bytes()
    run.joinpath(EVENTS).write_bytes(whole.replace(b"turn 1", b"turn 7")[:-5])
    before = contents(run)
    assert repair(run).faults
    assert contents(run) == before


def test_a_chain_that_goes_on_after_the_end_is_seen(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    *_, last = lines_of_run(run)
    more = json.loads(last) | {"seq": 6, "kind": "operator.acted", "prev": verify(run).head}
    report = rewritten(run, run.joinpath(EVENTS).read_bytes() + line_of(more))
    assert not report.good
    assert "run.json speaks of another end" in report.faults[0]


def test_every_blob_is_checked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    blobs = sorted((run / BLOBS).iterdir())
    assert len(blobs) == 2, "one named by a file that was seeded, one by an output"
    for blob in blobs:
        data = blob.read_bytes()
        for changed in (data[:-1], data + b"x", b"X" + data[1:], b""):
            blob.write_bytes(changed)
            report = verify(run)
            assert not report.good
            assert f"blob {blob.name} has been changed" in report.faults[0]
        blob.unlink()
        report = verify(run)
        assert f"blob {blob.name}: No such file" in report.faults[0]
        place = next(n for n, line in enumerate(lines_of_run(run)) if blob.name.encode() in line)
        assert f"event {place} (line {place + 1})" in report.faults[0]
        blob.mkdir()
        assert not verify(run).good
        blob.rmdir()
        blob.write_bytes(data)
        assert verify(run).good


def test_what_a_world_exchanged_and_a_reference_did_is_checked_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        bodies = [transcript.content(bytes([n]) * 9000) for n in range(4)]
        transcript.write(
            Exchanged(
                exchange=1, sandbox="0", name="jobs.internal", service="jobs", port=80,
                method="POST", path="/", status=200, request=bodies[0], response=bodies[1],
                duration_s=0.1, at="now",
            )
        )  # fmt: skip
        transcript.write(
            JobSubmitted(
                job="job-1", account="a", sandbox="0", deliverable=bodies[2], accepted=True,
                score=1.0, feedback="", paid_cents=1, dubious=False,
            )
        )  # fmt: skip
        did = [{"tool": "bash", "code": ":", "output": bodies[3]}]
        transcript.write(MilestoneBegun("half-way", "reference", did))
    assert verify(run).faults == []
    assert len(bodies) == len(list((run / BLOBS).iterdir()))
    for blob in sorted((run / BLOBS).iterdir()):
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] + b"!")
        assert f"blob {blob.name} has been changed" in verify(run).faults[0]
        blob.write_bytes(data)


def test_only_fields_of_ours_name_blobs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    alike = {"bytes": 9000, "blob": "0" * 64, "files": [{"blob": "../../etc/passwd"}]}
    with Transcript.create(run) as transcript:
        message = {"role": "assistant", "content": "", "output": alike}
        transcript.write(
            ModelReplied(1, 1, 0, message, {}, {}, 0.1, raw_usage={"output": alike, "blob": "x"})
        )
        transcript.write(RunClosed({}, {}))
        transcript.seal({})
    assert verify(run).good, "what a server or a model writes cannot make a record look broken"


def test_names_of_blobs_lead_nowhere_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    for name in ("../../secret", "é" * 64, "A" * 64, "a" * 63, str(secret), "", "." * 64):
        run = tmp_path / "run"
        with Transcript.create(run) as transcript:
            event = MessageAdded(0, {})
            record = {"output": {"bytes": 1, "blob": name}} | event.fields()
            transcript.write(MessageAdded(0, record))
        lines = [json.loads(line) for line in lines_of_run(run)]
        lines[0]["output"] = {"bytes": 1, "blob": name}
        report = rewritten(run, line_of(lines[0]))
        assert report.faults, name
        assert report.events == 0
        shutil.rmtree(run)


def test_head_and_key_authenticate_and_wrong_ones_do_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    head = made_run(run, key=b"the key")
    right_head, right_key = head, b"the key"
    for given_head, key, authentic in (
        (None, None, None),
        (right_head, None, True),
        (f"  {head.upper()}\n", None, True),
        (None, right_key, True),
        (right_head, right_key, True),
        (GENESIS, None, False),
        ("", None, False),
        ("é\ud800", None, False),
        (head[:-1], None, False),
        (None, b"", False),
        (None, b"the Key", False),
        (GENESIS, right_key, False),
        (right_head, b"wrong", False),
    ):
        report = verify(run, given_head, key)
        assert report.authentic is authentic, (given_head, key)
        assert report.good is (authentic is not False)
    made_run(tmp_path / "unsigned")
    assert verify(tmp_path / "unsigned", key=b"the key").authentic is False


def test_a_forged_run_is_consistent_and_not_authentic(tmp_path: Path) -> None:
    head = made_run(tmp_path / "true", key=b"the key")
    made_run(tmp_path / "forged", key=b"another key", turns=3)
    shutil.copy(tmp_path / "true" / "run.json", tmp_path / "stolen.json")
    forged = tmp_path / "forged"
    assert verify(forged).good
    assert not verify(forged, head=head).good
    assert not verify(forged, key=b"the key").good
    summary = json.loads(forged.joinpath(SUMMARY).read_text())
    summary["signature"] = json.loads(tmp_path.joinpath("stolen.json").read_text())["signature"]
    forged.joinpath(SUMMARY).write_text(json.dumps(summary))
    assert verify(forged).good
    assert not verify(forged, key=b"the key").good


def change(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda old: json.dumps(json.loads(old) | fields).encode()


@pytest.mark.parametrize(
    "changed",
    [
        change(head=GENESIS),
        change(events=5),
        change(head=None),
        change(signature="x"),
        change(signature={"value": "é\ud800"}),
        change(signature=[1]),
        lambda old: old[:-5],
        lambda _: b"",
        lambda _: b"[]",
        lambda _: b'"head"',
        lambda _: b"\xff\x00",
        lambda _: b"[" * 100_000,
    ],
)
def test_a_summary_that_was_changed_is_seen(
    tmp_path: Path, changed: Callable[[bytes], bytes]
) -> None:
    run = tmp_path / "run"
    made_run(run, key=b"k")
    run.joinpath(SUMMARY).write_bytes(changed(run.joinpath(SUMMARY).read_bytes()))
    assert not verify(run, key=b"k").good


def test_a_run_that_did_not_end_is_intact_and_not_good(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    run.joinpath(SUMMARY).unlink()
    report = verify(run)
    assert (report.faults, report.complete, report.good) == ([], False, False)
    assert rewritten(run, b"".join(lines_of_run(run)[:-1])).faults == []
    with Transcript.create(tmp_path / "live") as transcript:
        assert verify(tmp_path / "live").events == 0
        transcript.write(OperatorActed("stopped"))
        report = verify(tmp_path / "live")
        assert (report.events, report.faults, report.good) == (1, [], False)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for act in (verify, repair):
        with pytest.raises(OperatorError, match="is no run"):
            act(tmp_path)
        with pytest.raises(OperatorError, match="is no run"):
            act(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == [], "looking for a run makes no file"
