"""Files beside a transcript: whatever is done to one is seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.record.beside import chained, put, read_chained
from tests.helpers import JSON_VALUES, folder

HEAD = "a" * 64


def records(values: list[Any]) -> list[dict[str, Any]]:
    said = [{"kind": "x.said", "value": value} for value in values]
    return [{"kind": "x.opened", "head": HEAD}, *said, {"kind": "x.closed"}]


@given(values=st.lists(JSON_VALUES, max_size=4))
def test_what_is_written_is_read(values: list[Any]) -> None:
    whole = json.loads(json.dumps(records(values)))
    with folder() as parent:
        file = parent / "x.jsonl"
        put(file, b"".join(chained(whole, HEAD)))
        read = [{k: v for k, v in each.items() if k != "prev"} for each in read_chained(file, HEAD)]
        assert read == whole
        assert [each.name for each in parent.iterdir()] == ["x.jsonl"]


@given(data=st.data())
def test_every_altered_byte_and_missing_line_is_seen(data: st.DataObject) -> None:
    lines = chained(records([1, "two"]), HEAD)
    whole = b"".join(lines)
    at = data.draw(st.integers(0, len(whole) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    gone = data.draw(st.integers(0, len(lines) - 1))
    altered = whole[:at] + bytes([other]) + whole[at + 1 :]
    last = len(whole) - len(lines[-1])
    with folder() as parent:
        file = parent / "x.jsonl"
        if at < last:  # nothing follows from the last line; whoever keeps its hash sees to that
            file.write_bytes(altered)
            with pytest.raises(TranscriptBroken):
                list(read_chained(file, HEAD))
        file.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
        with pytest.raises(TranscriptBroken):
            list(read_chained(file, HEAD))


def test_it_belongs_to_one_run_and_says_where_it_cannot_be_written(tmp_path: Path) -> None:
    put(tmp_path / "x.jsonl", b"".join(chained(records([]), HEAD)))
    with pytest.raises(TranscriptBroken, match="does not follow"):
        list(read_chained(tmp_path / "x.jsonl", "b" * 64))
    with pytest.raises(OperatorError, match="cannot write"):
        put(tmp_path / "nowhere/x.jsonl", b"")
