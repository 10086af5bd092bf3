"""Every parser of hostile bytes: what fuzzing kept, inputs nobody chose, and large ones."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.kept import HERE, TARGETS, check_of, inputs_of

pytestmark = pytest.mark.slow

SMALL, LARGE = 8 * 1024, 8 * 8 * 1024
TIMED = 8
"""Inputs of each target whose time is taken: its seeds, mostly."""

SLACK_S = 0.5
CHECKS = {name: check_of(name) for name in TARGETS}
ON_EACH = pytest.mark.parametrize("name", TARGETS)


@ON_EACH
def test_what_is_kept_of_campaigns_passes(name: str) -> None:
    check = CHECKS[name]
    for data in inputs_of(name):
        check(data)


@ON_EACH
@settings(max_examples=30)
@given(data=st.data())
def test_inputs_nobody_chose_pass(name: str, data: st.DataObject) -> None:
    """Two kept inputs, cut and joined around any bytes."""
    kept = st.sampled_from(inputs_of(name))
    one, other = data.draw(kept), data.draw(kept)
    head, tail = (data.draw(st.integers(0, len(each))) for each in (one, other))
    CHECKS[name](one[:head] + data.draw(st.binary(max_size=20)) + other[tail:])


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "pack"])  # makes files
def test_time_grows_no_faster_than_the_input(name: str) -> None:
    """Eight times as much may take eight times as long, and by no means sixty-four."""
    check = CHECKS[name]
    for data in filter(None, inputs_of(name)[:TIMED]):
        small_s, large_s = (cpu_s(check, data, size) for size in (SMALL, LARGE))
        assert large_s < 20 * small_s + SLACK_S, data[:100]


def cpu_s(check: object, data: bytes, size: int) -> float:
    """CPU time for an input repeated up to a size."""
    assert callable(check)
    before_s = time.process_time()
    check((data * (size // len(data) + 1))[:size])
    return time.process_time() - before_s


def test_the_kept_corpus_is_small() -> None:
    files = list(HERE.glob("corpus/*.txt"))
    assert {file.stem for file in files} == set(TARGETS)
    assert all(file.stat().st_size < 20_000 for file in files)
