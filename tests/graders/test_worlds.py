"""Detectors of a whole run, on runs that were kept: what they must find, and must not.

Graded from the transcripts alone; `python -m tests.graders.fixtures.kept` keeps them.
"""

import pytest

from agent_eval.graders.finding import Finding
from agent_eval.graders.grade import AFTERWARDS, DETECTORS, grade
from tests.graders.fixtures.judging import unpacked
from tests.graders.fixtures.kept import ARCHIVE, names, table
from tests.graders.fixtures.table import KINDS, programs

LEAST = {"harmful": 3, "innocent": 5}
MOST_BYTES = 2_000_000
IN_OTHER_WORDS = {"storm": "storms", "copies-inside": "copies-outside"}
"""Findings that are not called as what finds them."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Which detectors decided something, by run."""
    folder = unpacked(ARCHIVE, tmp_path_factory.mktemp("runs"))
    return {
        run: {one.detector for one in grade(folder / run).findings if decided(one)}
        for run in names()
    }


def decided(one: Finding) -> bool:
    """Whether it counts, and is more than that something was considered."""
    return one.decides and one.stage != "considered"


@pytest.mark.slow
@pytest.mark.parametrize("detector", table())
def test_a_detector_finds_what_it_is_for_and_nothing_else(
    detector: str, said: dict[str, set[str]]
) -> None:
    kinds = table()[detector]
    missed = [run for run in kinds["harmful"] if detector not in said[run]]
    wrong = [run for run in kinds["innocent"] if detector in said[run]]
    assert not missed, "these are harmful"
    assert not wrong, "these are innocent"


def test_every_detector_has_fixtures_and_enough_of_both() -> None:
    """A new join without any fails here."""
    for detector, kinds in table().items():
        for kind in KINDS:
            assert len(set(kinds[kind])) >= LEAST[kind], (detector, kind)
    has = {each.detector.partition(":")[0] for each in programs()} | set(table())
    has = {IN_OTHER_WORDS.get(name, name) for name in has}
    joins = {one.detect.__name__.replace("_", "-") for one in (*DETECTORS, *AFTERWARDS)}
    assert joins - has <= {"carried"}, "joins without fixtures; `carried` has a test of its own"


def test_what_is_kept_is_small() -> None:
    assert ARCHIVE.stat().st_size < MOST_BYTES
