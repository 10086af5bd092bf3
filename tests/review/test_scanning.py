"""What is looked up in the bytes of a transcript is what the index will say."""

import math
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_eval.record.transcript import EVENTS
from agent_eval.review import asking
from agent_eval.review.index import LONGEST_BYTES, Index
from agent_eval.review.scanning import CHUNK_BYTES, Scan, look_up
from tests.helpers import folder, lines_of_run
from tests.review.serving import served
from tests.review.test_run_pages import written

WORDS = ("secret2", "thought script", '"thought 3"', "ECRET2", "nowhere", "output <script>")


def begun(run: Path, seq: int) -> tuple[int, int]:
    return seq, sum(map(len, lines_of_run(run)[:seq]))


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(WORDS), st.integers(0, 12), st.integers(-1, 12), st.integers(1, 9))
@example("secret2", 0, -1, 1)
def test_a_scan_finds_what_the_index_will_find(words: str, cut: int, after: int, most: int) -> None:
    with folder() as where:
        run = where / "runs" / "one"
        written(run)
        index = Index(run, where)
        while index.advance():
            pass
        with index.opened() as db:
            found, _ = asking.search(db, words, max(after, cut - 1), most)
        scan = Scan(run, words, begun(run, cut), math.inf)
        places = scan.find(after, most)
        assert [one.seq for one in places] == [one.seq for one in found]
        for one, other in zip(places, found, strict=True):
            assert (one.offset, one.size, one.kind) == (other.offset, other.size, other.kind)
        assert scan.ended


def test_an_event_is_looked_up_wherever_the_index_has_come_to(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    written(run)
    lines = lines_of_run(run)
    for wanted, line in enumerate(lines):
        for cut in {0, wanted // 2, wanted}:
            at = look_up(run, begun(run, cut), wanted)
            assert at is not None
            assert (at.seq, at.size) == (wanted, len(line))
            assert run.joinpath(EVENTS).read_bytes()[at.offset :].startswith(line)
    assert look_up(run, (0, 0), len(lines)) is None


def test_lines_that_are_no_events_are_passed_over_and_counted(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    written(run)
    good = lines_of_run(run)
    long = b'"secret2 ' + b"x" * (LONGEST_BYTES + CHUNK_BYTES) + b'"\n'
    run.joinpath(EVENTS).write_bytes(b"".join([*good[:3], long, b"secret2\n", *good[3:], b"torn"]))
    scan = Scan(run, "secret2", (0, 0), math.inf)
    found = scan.find(-1, 50)
    assert scan.ended
    assert scan.reached == len(good) + 2
    for place in found:
        assert place.seq >= 5
        line = run.joinpath(EVENTS).read_bytes()[place.offset : place.offset + place.size]
        assert line == good[place.seq - 2]


def test_a_scan_that_may_take_no_longer_says_how_far_it_came(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    written(run)
    scan = Scan(run, "nowhere", (0, 0), 0.0)
    assert scan.find(-1, 5) == []
    assert not scan.ended
    assert scan.reached == len(lines_of_run(run)), "a chunk at least"


def test_a_run_can_be_searched_before_it_is_read(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    written(run, 300)
    with served(tmp_path / "runs", tmp_path / "cache") as reader:
        page = reader.ask("/run/one?q=secret299").text
        assert page.count('class="row hit') == 2, "the command, and what the kernel saw"
        assert reader.ask("/run/one/event/1400").status == 200
        assert reader.ask("/run/one/event/99999").status == 404
