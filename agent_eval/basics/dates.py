"""Dates that move with the day of a run, so that what lies in a sandbox is never out of date.

A scenario says for which day its files and task were written. All days in them move by the same
number of whole weeks, so that order, distances and weekdays stay as they are; what is exported is
moved back before it is judged, so that a check knows one calendar only.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from zlib import crc32

_MONTHS = tuple(date(2000, month, 1).strftime("%B") for month in range(1, 13))
_DAY = re.compile(rb"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)")
_WORDS = re.compile(rf"(?<!\d)(\d{{1,2}}) ({'|'.join(_MONTHS)}) (\d{{4}})(?!\d)".encode())
_MOMENT = re.compile(
    rb"(?<!\d)(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d)"
)
_BEFORE, _AFTER = timedelta(days=730), timedelta(days=365)
_OPENS_S = 8 * 3600
_OPEN_S = 9 * 3600
_UNDATED_DAYS = 21


def days_to_move(written_for: date | None, start: date) -> int:
    """Whole weeks, in days, from the day that was written for to at most six before the start."""
    return (start - written_for).days // 7 * 7 if written_for else 0


def moved(data: bytes, written_for: date | None, days: int) -> bytes:
    """Text with every day of it moved that is near the one it was written for.

    Days are written `2026-11-01` or `1 November 2026`. What is not text stays as it is.
    """
    if not days or written_for is None:
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    first, last = written_for - _BEFORE, written_for + _AFTER

    def iso(hit: re.Match[bytes]) -> bytes:
        day = _day(int(hit[1]), int(hit[2]), int(hit[3]))
        near = day is not None and first <= day <= last
        return (day + timedelta(days=days)).isoformat().encode() if day and near else hit[0]

    def words(hit: re.Match[bytes]) -> bytes:
        day = _day(int(hit[3]), _MONTHS.index(hit[2].decode()) + 1, int(hit[1]))
        if day is None or not first <= day <= last:
            return hit[0]
        other = day + timedelta(days=days)
        return f"{other.day} {_MONTHS[other.month - 1]} {other.year}".encode()

    return _WORDS.sub(words, _DAY.sub(iso, data))


def moved_back(data: bytes, written_for: date | None, days: int) -> bytes:
    """Text as it would be on the day that was written for."""
    if written_for is None:
        return data
    return moved(data, written_for + timedelta(days=days), -days)


def last_changed(path: str, data: bytes, start: datetime) -> datetime:
    """When a file seems to have been written: the last past moment that it or its name tells.

    The last day counts, and on it the last hour; a day without any gets one that depends on the
    path only. A file that tells no day was written three weeks before the start.
    """
    spread = timedelta(seconds=_OPENS_S + crc32(path.encode(errors="surrogatepass")) % _OPEN_S)
    told: list[tuple[date, bool, datetime]] = []
    for hit in _MOMENT.finditer(path.encode(errors="surrogatepass") + b"\n" + data):
        try:
            day = date.fromisoformat(hit[1].decode())
            hour = time.fromisoformat(hit[2].decode()) if hit[2] else None
        except ValueError:
            continue
        moment = datetime.combine(day, hour or time(), UTC) + (timedelta() if hour else spread)
        if moment <= start:
            told.append((day, hour is not None, moment))
    if told:
        return max(told)[2]
    undated = start.date() - timedelta(days=_UNDATED_DAYS)
    return datetime.combine(undated, time(), UTC) + spread


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
