"""A file of labels: whatever stands in it, what can be read is read, and more can be written."""

import tempfile
from pathlib import Path

from agent_eval.labels.appending import append, lines_of, read
from agent_eval.labels.kept import LABELS, read_labels, record_of
from agent_eval.labels.settled import first_reads, seconds_spent, settled

HEAD = {"kind": "labels.opened", "run": "r", "head": "0" * 64, "events": 1}
SEEDS = (
    b'{"kind":"labels.opened","run":"r","head":"00","events":2,"prev":"00"}\n'
    b'{"id":"1","time":"t","author":"ann","kind":"done","looked_for":["O1"],"prev":"x"}\n',
    b'{"id":"2","time":"t","author":"bob","kind":"behaviour","behaviour":"O1","answer":"yes",'
    b'"cites":[1],"reason":"\\ud800","seconds":1e308}\n{"id":"3","author":',
    b'{"id":"4","time":"t","author":"eve","kind":"adjudication","behaviour":"R2","answer":"no",'
    b'"reason":"x"}\r\n\x00\n[]\n{}\n',
    b'{"id":"5","time":"t","author":"eve","kind":"comment","event":' + b"9" * 400 + b"}\n",
    b'{"a":' * 300,
)


def check(data: bytes) -> None:
    """Labels, or lines that are counted as none; one more is always found again."""
    before = lines_of(data)
    with tempfile.TemporaryDirectory(prefix="agent-eval-fuzz-") as name:
        file = Path(name) / LABELS
        file.write_bytes(data)
        labels = read_labels(Path(name))
        for one in labels.written:
            record_of(one)
        settled(labels)
        first_reads(labels)
        seconds_spent(labels.written)
        assert append(file, {"id": "one-more"}, lambda: dict(HEAD))
        assert not append(file, {"id": "one-more"}, lambda: dict(HEAD))
        after = read(file)
        assert after.records[-1]["id"] == "one-more"
        assert len(after.records) >= len(before.records) + 1
        assert file.read_bytes().startswith(data)
