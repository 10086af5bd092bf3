"""The index of a run: whatever it reads in whatever steps, it says the same; it can be lost."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_eval.record.transcript import EVENTS
from agent_eval.review import asking
from agent_eval.review.index import Index
from tests.helpers import folder, lines_of_run
from tests.review.test_run_pages import written


def whole(index: Index) -> list[object]:
    while index.advance(7):
        pass
    with index.opened() as db:
        tables = ("events ORDER BY seq", "points ORDER BY seq, series")
        found = [list(db.execute(f"SELECT * FROM {table}")) for table in tables]
        return [*found, asking.search(db, "secret", -1, 50)[1], asking.about(db)]


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(st.integers(0, 5000), max_size=6), st.integers(1, 9))
def test_a_run_that_grows_is_indexed_as_one_that_is_whole(cuts: list[int], most: int) -> None:
    with folder() as where:
        run = where / "runs" / "one"
        written(run)
        expected = whole(Index(run, where))
        data = run.joinpath(EVENTS).read_bytes()
        growing = where / "growing"
        growing.joinpath("blobs").mkdir(parents=True)
        for blob in run.joinpath("blobs").iterdir():
            growing.joinpath("blobs", blob.name).symlink_to(blob)
        for cut in [*sorted(cuts), len(data)]:
            growing.joinpath(EVENTS).write_bytes(data[:cut])
            Index(growing, where).advance(most)  # another process each time
        assert whole(Index(growing, where)) == expected


def test_an_index_of_another_transcript_is_made_again(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    written(run)
    index = Index(run, tmp_path)
    before = whole(index)
    lines = lines_of_run(run)
    run.joinpath(EVENTS).write_bytes(b"".join(lines[:5]))
    assert len(whole(index)[0]) == 5  # type: ignore[arg-type]
    run.joinpath(EVENTS).write_bytes(b"".join(lines))
    assert whole(index) == before
    for file in tmp_path.glob("*.sqlite*"):
        file.unlink()
    assert whole(Index(run, tmp_path)) == before
