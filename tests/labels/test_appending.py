"""Files that many write at once: nothing that was acknowledged is lost, and changes show."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError
from agent_eval.labels.appending import Lines, Record, append, read
from tests.helpers import JSON_VALUES, TEXTS, folder

HEAD = "0" * 64

WRITER = """
import sys
from pathlib import Path
from agent_eval.labels.appending import append
file, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    append(file, {"id": f"{name}-{number}", "text": "x" * 3000}, lambda: {"head": "0" * 64})
    print(number, flush=True)
"""


def opened() -> Record:
    return {"kind": "opened", "head": HEAD}


def ids(lines: Lines) -> list[str]:
    return [str(record["id"]) for record in lines.records if "id" in record]


def writer(file: Path, name: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_ten_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    writers = [writer(file, str(number), 20) for number in range(10)]
    for one in writers:
        one.communicate()
        assert one.returncode == 0
    lines = read(file)
    assert sorted(ids(lines)) == sorted(f"{name}-{n}" for name in range(10) for n in range(20))
    assert (lines.torn, lines.faults) == (0, []), "and each follows from the one before"


def test_a_writer_killed_in_the_middle_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    for turn in range(3):
        one = writer(file, str(turn), 100_000)
        assert one.stdout is not None
        acknowledged = [one.stdout.readline() for _ in range(5)]
        one.send_signal(signal.SIGKILL)
        rest, _ = one.communicate()
        said = "".join(acknowledged) + rest[: rest.rfind("\n") + 1]
        there = set(ids(read(file)))
        assert {f"{turn}-{number}" for number in said.split()} <= there
    assert append(file, {"id": "after"}, opened)
    assert read(file).faults == []


@pytest.mark.slow
@given(
    records=st.lists(st.dictionaries(TEXTS, JSON_VALUES, max_size=3), min_size=1, max_size=4),
    data=st.data(),
)
def test_a_torn_line_never_takes_the_next_one(records: list[Record], data: st.DataObject) -> None:
    with folder() as where:
        file = where / "labels.jsonl"
        for number, record in enumerate(records):
            assert append(file, record | {"id": str(number)}, opened)
        whole = file.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        file.write_bytes(whole[:cut])
        kept = ids(read(file))
        assert append(file, {"id": "next"}, opened)
        after = read(file)
        assert ids(after)[: len(kept)] == kept
        assert ids(after)[-1] == "next"
        assert file.read_bytes().startswith(whole[:cut]), "nothing is taken back"
        missing = [str(n) for n in range(len(records)) if str(n) not in ids(after)]
        for name in missing:
            assert append(file, {"id": name}, opened), "what was torn can be said again"


def test_what_is_said_twice_is_there_once(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    assert append(file, {"id": "a", "text": '"id":"b"'}, opened)
    assert append(file, {"id": "b"}, opened), "a text that looks like an id is none"
    assert not append(file, {"id": "a"}, opened)
    assert ids(read(file)) == ["a", "b"]


@pytest.mark.parametrize("harm", ["altered", "taken out", "swapped"])
def test_what_is_changed_later_shows(tmp_path: Path, harm: str) -> None:
    file = tmp_path / "labels.jsonl"
    for name in "abcd":
        append(file, {"id": name, "answer": "right"}, opened)
    assert read(file).faults == []
    lines = file.read_bytes().splitlines(keepends=True)
    if harm == "altered":
        lines[2] = lines[2].replace(b"right", b"wrong")
    elif harm == "taken out":
        del lines[2]
    else:
        lines[2], lines[3] = lines[3], lines[2]
    file.write_bytes(b"".join(lines))
    assert read(file).faults


def test_nothing_is_written_where_a_link_leads(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    (tmp_path / "labels.jsonl").symlink_to(target)
    for act in (lambda: append(tmp_path / "labels.jsonl", {"id": "a"}, opened), lambda: read(
        tmp_path / "labels.jsonl"
    )):  # fmt: skip
        with pytest.raises(OperatorError):
            act()
    assert target.read_text() == "mine"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OperatorError):
        append(tmp_path / "pipe", {"id": "a"}, opened)
