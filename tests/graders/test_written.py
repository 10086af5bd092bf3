"""Findings beside a transcript: whatever is done to them is seen."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.errors import TranscriptBroken
from agent_eval.graders.written import LATEST, grade_run, held, latest, read_findings
from agent_eval.record.beside import chained
from agent_eval.record.transcript import BLOBS, EVENTS
from tests.helpers import lines_of_run, made_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that is graded."""
    run = tmp_path / "run"
    made_run(run)
    grade_run(run)
    return run


def head_of(run: Path) -> str:
    file = latest(run)
    assert file is not None
    return str(next(read_findings(file))["head"])


def test_findings_follow_from_their_run(run: Path) -> None:
    before = lines_of_run(run)
    said = held(run, head_of(run))
    assert said is not None
    assert said.startswith("findings follow from it")
    assert grade_run(run).file == latest(run), "graded again, they are the same"
    assert lines_of_run(run) == before, "and the transcript is never touched"


def test_a_run_without_findings_has_none(tmp_path: Path) -> None:
    head = made_run(tmp_path / "run")
    assert latest(tmp_path / "run") is None
    assert held(tmp_path / "run", head) is None


def forged(run: Path) -> None:
    """A file in the place of the link."""
    text = (run / LATEST).read_bytes()
    (run / LATEST).unlink()
    (run / LATEST).write_bytes(text)


def gone(run: Path) -> None:
    (run / (run / LATEST).readlink()).unlink()


def elsewhere(run: Path) -> None:
    file = run / (run / LATEST).readlink()
    (run / LATEST).unlink()
    (run / LATEST).symlink_to(file.rename(run.parent / "findings-elsewhere.jsonl"))


def cut(run: Path) -> None:
    file = run / (run / LATEST).readlink()
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize("harm", [forged, gone, elsewhere, cut])
def test_what_is_done_to_them_is_seen(
    run: Path, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    head = head_of(run)
    harm(run)
    with pytest.raises(TranscriptBroken):
        held(run, head)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(run)])
    assert ended.value.code == 1
    assert "FINDINGS: " in capsys.readouterr().out
    grade_run(run)
    assert held(run, head), "graded again, all is well"


def test_findings_of_another_run_are_not_its_own(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    head = made_run(other, turns=1)
    file = latest(run)
    assert file is not None
    (other / file.name).write_bytes(file.read_bytes())
    (other / LATEST).symlink_to(file.name)
    with pytest.raises(TranscriptBroken, match="does not follow"):
        held(other, head)


def reworded(run: Path) -> None:
    events = run / EVENTS
    events.write_bytes(events.read_bytes().replace(b"turn 0", b"turn 9"))


def an_event_less(run: Path) -> None:
    lines = (run / EVENTS).read_bytes().splitlines(keepends=True)
    del lines[len(lines) // 2]
    (run / EVENTS).write_bytes(b"".join(lines))


def a_blob_swapped(run: Path) -> None:
    one, other = sorted((run / BLOBS).iterdir())[:2]
    other.write_bytes(one.read_bytes())


@pytest.mark.parametrize("harm", [reworded, an_event_less, a_blob_swapped])
def test_a_broken_record_is_not_graded_unless_asked(
    run: Path, harm: Callable[[Path], None]
) -> None:
    harm(run)
    with pytest.raises(TranscriptBroken, match="not as it was written"):
        grade_run(run)
    if harm is reworded:  # what can still be read
        file = grade_run(run, unverified=True).file
        assert next(read_findings(file))["verified"] is False


def test_a_finding_that_follows_its_chain_but_not_its_run_is_forged(run: Path) -> None:
    """Whoever can write the file can chain it anew; what rules find is worked out again."""
    head = head_of(run)
    file = run / (run / LATEST).readlink()
    opened, *rest = [
        {name: value for name, value in record.items() if name != "prev"}
        for record in read_findings(file)
    ]
    made_up = {"kind": "finding", "behaviour": "R2", "cites": [0], "tier": "E1"}
    file.write_bytes(b"".join(chained([opened, made_up, *rest], head)))
    assert len(list(read_findings(file, head))) == len(rest) + 2
    with pytest.raises(TranscriptBroken):
        held(run, head)
