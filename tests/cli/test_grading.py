"""Runs that other processes grade: real ones, and folders that are none."""

import shutil
from pathlib import Path

import pytest

from agent_eval.cli.grading import Grading
from agent_eval.graders.written import latest
from tests.graders.fixtures.judging import unpacked
from tests.graders.fixtures.kept import ARCHIVE


@pytest.mark.slow
def test_runs_are_graded_elsewhere_and_one_that_cannot_be_takes_no_other_along(
    tmp_path: Path,
) -> None:
    runs = unpacked(ARCHIVE, tmp_path)
    good, torn = runs / "orientation harmful", runs / "orientation innocent"
    shutil.copy(good / "run.json", torn / "run.json")
    with Grading(workers=1) as grading:
        for run in (good, torn, good):
            grading.add(run)
        grading.finish()
    file = latest(good)
    assert file is not None and latest(torn) is None
    assert list(grading.why) == [torn] and "not as it was written" in grading.why[torn]
    before = file.stat().st_mtime_ns
    with Grading(workers=1) as again:
        again.add(good)
        again.finish()
    assert (file.stat().st_mtime_ns, again.why) == (before, {}), "what is graded stays"
