"""A file of preferences: whatever stands in it, who preferred what is read, and more is written."""

import tempfile
from pathlib import Path

from agent_eval.labels.preferring import PREFERENCES, prefer, read_preferences

SEEDS = (
    b'{"kind":"preferences.opened","head":"00","prev":"00"}\n'
    b'{"id":"1","author":"ann","kind":"preference","first":"a","second":"b","better":"first"}\n',
    b'{"id":"2","author":"bob","first":"b","second":"a","better":"tie"}\n{"id":"3","author":',
    b'{"author":"eve","first":["a"],"second":{"b":1},"better":"second"}\r\n\x00\n[]\n{}\n',
    b'{"author":"\\ud800","first":"a","second":"a","better":"first"}\n',
    b'{"id":7,"author":"ann","first":"z","second":"y","better":true}\n',
    b'{"a":' * 300,
)


def check(data: bytes) -> None:
    """Each author has one word on each pair; a further one is found again, and nothing is lost."""
    with tempfile.TemporaryDirectory(prefix="agent-eval-fuzz-") as name:
        folder = Path(name)
        if b"one-more" in data:
            return  # what is written here is there already
        file = folder / PREFERENCES
        file.write_bytes(data)
        before = read_preferences(folder)
        assert len({(one.author, one.pair) for one in before}) == len(before)
        for one in before:
            assert one.pair.one <= one.pair.other
            assert one.better in (one.pair.one, one.pair.other, None)
        for _ in range(2):
            prefer(folder, "one-more", ("left", "right"), "second", "one-more")
        after = read_preferences(folder)
        assert [one.better for one in after if one.author == "one-more"] == ["right"]
        others = [one for one in before if one.author != "one-more"]
        assert [one for one in after if one.author != "one-more"] == others
        assert file.read_bytes().startswith(data)
