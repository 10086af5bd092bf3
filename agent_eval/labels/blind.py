"""Blind double review: who sees what of a run, and when.

A blind reviewer sees neither what graders found nor what others said until two reviewers, and they
themselves, have read the run to its end. Whoever serves the pages asks here, so that what is
withheld is not in them.
"""

from agent_eval.labels.kept import Labels, Written
from agent_eval.labels.settled import done_by

READERS = 2


def opened(labels: Labels, reader: str) -> bool:
    """Whether a blind reviewer may see what graders and others say of a run."""
    done = done_by(labels)
    return reader in done and len(done) >= READERS


def shown(labels: Labels, reader: str, *, blind: bool) -> tuple[Written, ...]:
    """The labels of a run that a reader may see."""
    if not blind or opened(labels, reader):
        return labels.written
    return labels.of(reader)
