"""Predictions that were made before, and cannot be changed afterwards."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.stats.register import Forecast, check, register, registered
from tests.helpers import folder

Change = Callable[[list[bytes]], list[bytes]]

ONE = Forecast(
    metric="-mean log pass rate over bucket 3",
    target="large",
    form="capability",
    parameters={"alpha": [0.3, 0.2, 0.4], "k": [0.2, 0.1, 0.3]},
    models=["tiny", "small", "middle"],
    data_sha256="0" * 64,
    code_sha256="1" * 64,
    predicted=0.3,
    low=0.25,
    high=0.36,
)


def test_what_came_is_a_hit_or_a_miss(tmp_path: Path) -> None:
    made = register(tmp_path / "r.jsonl", ONE)
    later = [made.time + timedelta(seconds=1)]
    assert check(made, 0.26, later).hit
    assert not check(made, 0.37, later).hit


def test_runs_that_are_older_prove_nothing(tmp_path: Path) -> None:
    made = register(tmp_path / "r.jsonl", ONE)
    after, before = made.time + timedelta(hours=1), made.time - timedelta(seconds=1)
    with pytest.raises(OperatorError, match="foretells nothing"):
        check(made, 0.3, [after, before])
    with pytest.raises(OperatorError, match="foretells nothing"):
        check(made, 0.3, [made.time])
    with pytest.raises(OperatorError, match="no run"):
        check(made, 0.3, [])


def test_the_chain_holds_from_one_to_the_next(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "r.jsonl"
    made = [register(file, replace(ONE, predicted=n / 10)) for n in range(4)]
    assert registered(file) == made
    assert made[0].time <= datetime.now(UTC)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0].replace(b"0.3", b"0.4"), *lines[1:]],
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines[:2], lines[2][:-1]],
        lambda lines: [lines[0], b"{}\n"],
        lambda lines: [lines[0], b"\xff\n"],
        lambda lines: [lines[0].replace(b'"time": "20', b'"time": "19'), *lines[1:]],
    ],
)
def test_whatever_is_changed_is_seen(tmp_path: Path, change: Change) -> None:
    file = tmp_path / "r.jsonl"
    for _ in range(3):
        register(file, ONE)
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(TranscriptBroken):
        registered(file)
    with pytest.raises(TranscriptBroken):
        register(file, ONE)


@given(st.data())
def test_an_edit_of_any_byte_is_seen(data: st.DataObject) -> None:
    with folder() as where:
        file = where / "r.jsonl"
        for _ in range(2):
            register(file, ONE)
        raw = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(raw) - 1))
        new = data.draw(st.integers(0, 255).filter(lambda value: value != raw[place]))
        raw[place] = new
        file.write_bytes(raw)
        with pytest.raises(TranscriptBroken):
            registered(file)


def test_many_at_once_make_one_chain(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    threads = [Thread(target=register, args=(file, ONE)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.number for one in registered(file)] == list(range(1, 21))


def test_no_register_is_the_operators_to_name(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        registered(tmp_path / "none.jsonl")


def test_a_line_is_plain_json(tmp_path: Path) -> None:
    register(tmp_path / "r.jsonl", ONE)
    line = json.loads((tmp_path / "r.jsonl").read_text())
    assert line["digest"] == ONE.digest
    assert line["prev"] == "0" * 64
