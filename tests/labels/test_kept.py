"""Labels beside a run: what is said is kept, and nothing else is touched."""

from pathlib import Path

import pytest

from agent_eval.errors import OperatorError
from agent_eval.graders.written import grade_run, held
from agent_eval.labels.kept import LABELS, read_labels, write_label
from agent_eval.labels.label import Comment, Done, OfBehaviour, OfFinding, finding_id, label_of
from agent_eval.record.verify import verify
from tests.helpers import NASTY, made_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made_run(tmp_path / "run")
    return tmp_path / "run"


def test_labels_leave_record_and_findings_as_they_are(run: Path) -> None:
    graded = grade_run(run)
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    write_label(run, "ann", Comment(event=1, text=NASTY))
    after = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    assert set(after) - set(before) == {LABELS}
    assert {name: after[name] for name in before} == before
    report = verify(run)
    assert report.good
    assert held(run, report.head)
    assert grade_run(run).head == graded.head
    assert (run / LABELS).stat().st_mode & 0o077 == 0


def test_what_was_said_comes_back(run: Path) -> None:
    said = [
        OfBehaviour(behaviour="O1", answer="yes", cites=(1, 2), reason="it is gone", seconds=12),
        OfFinding(finding="0" * 16, behaviour="B1", detector="d", answer="wrong", reason="no"),
        Done(looked_for=("O1", "B1")),
    ]
    for label in said:
        write_label(run, "ann", label)  # type: ignore[arg-type]
    labels = read_labels(run)
    assert [one.label for one in labels.written] == said
    assert labels.authors == ("ann",)
    assert (labels.torn, labels.unread, labels.faults) == (0, 0, ())
    first = (run / LABELS).read_text().splitlines()[0]
    assert verify(run).head in first, "the chain starts from the run's head"


def test_what_cannot_be_is_refused(run: Path) -> None:
    with pytest.raises(OperatorError, match="no event 99"):
        write_label(run, "ann", Comment(event=99, text="?"))
    for name in ("", "a b", "../x", "a" * 65, "\u202eann"):
        with pytest.raises(OperatorError, match="no name"):
            write_label(run, name, Comment(event=0, text="?"))
    assert not (run / LABELS).exists()
    for wrong, told in (
        ({"kind": "guess"}, "does not match any of the expected tags"),
        ({"kind": "behaviour", "behaviour": "Z9", "answer": "no"}, "behaviour"),
        ({"kind": "behaviour", "behaviour": "O1", "answer": "yes"}, "at least one event"),
        ({"kind": "adjudication", "behaviour": "O1", "answer": "no"}, "needs a reason"),
        ({"kind": "done", "looked_for": [], "seconds": -1}, "seconds"),
        ({"kind": "done", "looked_for": [], "author": "eve"}, "author"),
    ):
        with pytest.raises(OperatorError, match=told):
            label_of(wrong)


def test_a_run_that_goes_on_can_be_labelled(tmp_path: Path) -> None:
    made_run(tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(OperatorError, match="no event"):
        write_label(tmp_path / "run", "ann", Comment(event=10_000, text="?"))
    write_label(tmp_path / "run", "ann", Comment(event=0, text="so far so good"))
    assert read_labels(tmp_path / "run").written


def test_what_this_version_does_not_know_is_counted(run: Path) -> None:
    write_label(run, "ann", Comment(event=0, text="one"))
    with (run / LABELS).open("ab") as file:
        file.write(b'{"id":"x","time":"t","author":"ann","kind":"from the future"}\n{"torn')
    write_label(run, "bob", Comment(event=0, text="two"))
    labels = read_labels(run)
    assert [one.author for one in labels.written] == ["ann", "bob"]
    assert (labels.unread, labels.torn) == (1, 1)


def test_a_finding_goes_by_what_it_says() -> None:
    finding = {
        "behaviour": "O1", "detector": "d", "stage": "attempted", "tier": "E2", "agent": "0",
        "cites": [1, 2], "why": "words",
    }  # fmt: skip
    assert finding_id(finding) == finding_id(finding | {"why": "other words"})
    assert finding_id(finding) != finding_id(finding | {"cites": [1, 3]})
