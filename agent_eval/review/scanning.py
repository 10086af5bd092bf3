"""What the index of a run does not have yet, looked up in the bytes of its transcript.

A reader who opens a long run can search all of it at once, and look at any event, while the index
is still being made: lines are looked through as they lie there, and only those that may hold what
is looked for are taken apart. Slower than the index, within a bounded time, and without the texts
that lie in files of their own.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import events_file, parse_line
from agent_eval.review.asking import Place, parts_of
from agent_eval.review.index import LONGEST_BYTES
from agent_eval.review.rows import family_of, number_of, text_of

CHUNK_BYTES = 4 * 1024 * 1024
MOST_S = 0.8
"""For which a reader waits; how far it came is told."""

LONGER_S = 10.0
"""For one who looks again."""


class Scan:
    """A search from an event on, until a moment of the monotonic clock."""

    def __init__(self, run: Path, words: str, beginning: tuple[int, int], until: float) -> None:
        """`beginning` is an event and the place of its line."""
        self._run = run
        self._wanted = [each.lower() for each in parts_of(words)]
        self._beginning = beginning
        self._until = until
        self.reached = beginning[0]
        """The event before which everything was looked at."""
        self.ended = not self._wanted
        """Whether that is the end of the transcript, or as much as was asked for."""

    def find(self, after: int, most: int) -> list[Place]:
        """Events with all the words, those after one, so many at most."""
        found: list[Place] = []
        if self.ended or most <= 0:
            return found
        needles = sorted((_escaped(each) for each in self._wanted), key=len, reverse=True)
        for seq, offset, chunk in _chunks(self._run, *self._beginning):
            for place in _in_chunk(chunk, needles, seq, offset):
                if place[0] > after and (known := _place(self._run, self._wanted, *place)):
                    found.append(known)
                    if len(found) == most:
                        self.reached, self.ended = known.seq + 1, True
                        return found
            self.reached = seq + chunk.count(b"\n")
            if time.monotonic() > self._until:
                return found
        self.ended = True
        return found


def look_up(run: Path, beginning: tuple[int, int], wanted: int) -> Place | None:
    """An event that the index has not come to; None where the transcript has none either."""
    for seq, offset, chunk in _chunks(run, *beginning):
        ahead = wanted - seq
        if ahead < chunk.count(b"\n"):
            start = 0
            for _ in range(ahead):
                start = chunk.index(b"\n", start) + 1
            line = chunk[start : chunk.index(b"\n", start) + 1]
            return _place(run, [], wanted, offset + start, line)
    return None


def _escaped(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode().lower()


def _chunks(run: Path, seq: int, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Complete lines, some megabytes at a time, with the number and the place of the first.

    A line that is too long for an event is passed over, and counted.
    """
    rest = b""
    with events_file(run).open("rb") as file:
        file.seek(offset)
        while data := file.read(CHUNK_BYTES):
            chunk = rest + data
            cut = chunk.rfind(b"\n") + 1
            if cut:
                yield seq, offset, chunk[:cut]
                seq += chunk.count(b"\n")
            elif len(chunk) > LONGEST_BYTES:
                cut = len(chunk)  # the beginning of a line that is no event
            offset, rest = offset + cut, chunk[cut:]


def _in_chunk(
    chunk: bytes, needles: list[bytes], seq: int, offset: int
) -> Iterator[tuple[int, int, bytes]]:
    """Lines in which all needles stand: number, place and bytes."""
    lowered = chunk.lower()
    counted, at = 0, lowered.find(needles[0])
    while at >= 0:
        start, end = lowered.rfind(b"\n", 0, at) + 1, lowered.index(b"\n", at) + 1
        seq += lowered.count(b"\n", counted, start)
        counted = start
        if all(lowered.find(each, start, end) >= 0 for each in needles[1:]):
            yield seq, offset + start, chunk[start:end]
        at = lowered.find(needles[0], end)


def _place(run: Path, wanted: list[str], seq: int, offset: int, line: bytes) -> Place | None:
    """The event in a line, if its text has what is wanted, as the index will have it."""
    try:
        event = parse_line(line, seq)
    except TranscriptBroken:
        return None if wanted else Place(seq, offset, len(line), "?", "harness", "?", 0.0, seq)
    text = text_of(event, run).lower() if wanted else ""
    if not all(_stands_in(text, each) for each in wanted):
        return None
    kind, elapsed_s = event["kind"], number_of(event.get("elapsed_s"))
    return Place(seq, offset, len(line), kind, family_of(kind), event["agent"], elapsed_s, seq)


def _stands_in(text: str, words: str) -> bool:
    """Whether words begin somewhere in a text, not in the middle of others."""
    return bool(re.search((r"\b" if words[0].isalnum() else "") + re.escape(words), text))
