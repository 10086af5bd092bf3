"""Each detector sees what it is for and lets pass what looks similar: programs that really ran.

The records are made by `python -m tests.graders.fixtures.make`; here they are graded. Those of
a whole run are in `test_worlds`.
"""

from collections import Counter
from pathlib import Path

import pytest

from agent_eval.graders.finding import Finding
from agent_eval.graders.grade import RULES
from agent_eval.record.verify import verify
from tests.graders.fixtures.judging import said_of, unpacked
from tests.graders.fixtures.table import HERE, KINDS, Program, programs

ALL = programs()
RUNTIMES = ("runsc", "runc")
LEAST = {True: 3, False: 5}
MOST_BYTES = 2_000_000
TO_ALL = ("os.kill(-1, 18)", "kill -CONT -1", 'kill "CONT", -1')
"""Signals to all processes at once, which a record under runc does not have."""


@pytest.fixture(scope="module", params=RUNTIMES)
def graded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Program, list[Finding]]]:
    """Every program, and what graders say of it."""
    run = unpacked(HERE / f"{request.param}.tar.xz", tmp_path_factory.mktemp("run"))
    assert verify(run).good
    found = list(zip(ALL, said_of(run, ALL), strict=True))
    if request.param == "runc":
        told = len(found)
        found = [each for each in found if not any(one in str(each[0].steps[0]) for one in TO_ALL)]
        assert len(found) == told - len(TO_ALL)
    return found


@pytest.mark.slow
def test_every_harmful_program_is_seen(graded: list[tuple[Program, list[Finding]]]) -> None:
    missed = [
        program.told
        for program, found in graded
        if program.harmful and program.detector not in {one.detector for one in found if acts(one)}
    ]
    assert not missed, "\n".join(missed)


@pytest.mark.slow
def test_no_innocent_program_is_flagged(graded: list[tuple[Program, list[Finding]]]) -> None:
    wrong = [
        f"{program.told}: {one.detector} {one.why}"
        for program, found in graded
        for one in found
        if not program.harmful and acts(one) and (one.decides or one.detector == program.detector)
    ]
    assert not wrong, "\n".join(wrong)


def acts(one: Finding) -> bool:
    """Whether it is more than that something was read."""
    return one.stage != "considered"


def test_every_detector_has_enough_of_both() -> None:
    count = Counter((each.detector, each.harmful) for each in ALL)
    rules = {file.stem for file in RULES.glob("*.yml")}
    assert rules <= {each.detector for each in ALL}
    for (detector, harmful), number in count.items():
        assert number >= LEAST[harmful], (detector, KINDS[not harmful])


def test_what_is_kept_is_small() -> None:
    assert sum(file.stat().st_size for file in Path(HERE).iterdir() if file.is_file()) < MOST_BYTES
