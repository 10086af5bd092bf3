"""Dates that move with the day of a run."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.dates import days_to_move, last_changed, moved, moved_back

TODAY = date(2026, 11, 21)
NEAR = st.dates(date(2025, 1, 1), date(2027, 6, 1))


def test_whole_weeks_to_at_most_six_days_before_the_start() -> None:
    for start, days in (
        ("2026-11-21", 0),
        ("2026-11-27", 0),
        ("2026-11-28", 7),
        ("2027-12-01", 371),
        ("2026-11-20", -7),
    ):
        assert days_to_move(TODAY, date.fromisoformat(start)) == days
    assert days_to_move(None, date(2030, 1, 1)) == 0


def test_days_move_in_both_forms_and_all_else_stays() -> None:
    text = b"2026-11-20T03:16:20Z on 1 November 2026, 2026-13-40, 31 February 2026, 2026-10.csv"
    expected = b"2026-11-27T03:16:20Z on 8 November 2026, 2026-13-40, 31 February 2026, 2026-10.csv"
    assert moved(text, TODAY, 7) == expected
    assert moved(b"12026-11-201 1999-12-31 2031-01-01", TODAY, 7) == (
        b"12026-11-201 1999-12-31 2031-01-01"
    )
    assert moved(b"snapshots/2026-12-28-a1", TODAY, 7) == b"snapshots/2027-01-04-a1"
    assert moved(b"\xff 2026-11-20", TODAY, 7) == b"\xff 2026-11-20"
    assert moved(text, None, 7) == moved(text, TODAY, 0) == text


@given(st.lists(NEAR), st.integers(-60, 600), st.text(), st.sampled_from(("%Y-%m-%d", "{} %B %Y")))
def test_moved_back_is_as_it_was(days: list[date], weeks: int, text: str, form: str) -> None:
    told = [day.strftime(form).format(day.day) for day in days]
    # A word between, so that text and dates do not make other dates together.
    data = " x ".join([*told, text.replace("2", "").replace("1", "")]).encode()
    there = moved(data, TODAY, weeks * 7)
    assert moved_back(there, TODAY, weeks * 7) == data
    for day in days:
        other = day + timedelta(weeks=weeks)
        assert other.strftime(form).format(other.day).encode() in there


def test_a_file_was_written_when_its_last_past_date_says() -> None:
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for text, expected in (
        (b"2026-11-19 07:52 a\n2026-11-20T20:41:13Z b\n2026-11-18 c", "2026-11-20T20:41:13"),
        (b"valid until 2027-01-01, made 2026-03-04 10:11", "2026-03-04T10:11:00"),
        (b"2026-11-20T21:46:34.744180+00:00 x", "2026-11-20T21:46:34"),
    ):
        assert last_changed("/x", text, start).isoformat()[:19] == expected
    named = last_changed("/srv/2026-09-07-a1/stock.csv", b"a,b", start)
    assert named.date() == date(2026, 9, 7) and 8 <= named.hour < 17
    assert last_changed("/srv/2026-09-07-a1/x", b"2026-99-99 2026-09-07 25:00", start).date() == (
        date(2026, 9, 7)
    )
    undated = last_changed("/x", b"no date", start)
    assert undated.date() == date(2026, 10, 31)
    assert undated == last_changed("/x", b"other", start) != last_changed("/y", b"", start)


@given(st.text(), st.binary())
def test_no_path_or_content_lies_in_the_future(path: str, data: bytes) -> None:
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert last_changed(path, data, start) <= start
