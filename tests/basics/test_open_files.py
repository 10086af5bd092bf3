"""How many files may be open: as many as the system lets us, and some are kept back."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile

import pytest

from agent_eval.basics.open_files import KEPT_BACK, ask_for_more, socket_pair


@pytest.fixture
def few() -> Iterator[int]:
    """A process that may have few files open, but for asking."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with TemporaryFile() as newest:
        allowed = newest.fileno() + KEPT_BACK + 40
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, before[1]))
    yield allowed
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_pairs_leave_files_for_the_rest(few: int) -> None:
    with ExitStack() as stack:

        def all_there_are() -> None:
            for _ in range(few):
                for end in socket_pair():
                    stack.enter_context(end)

        with pytest.raises(OSError, match=f"of {few} files"):
            all_there_are()
        for _ in range(KEPT_BACK - 10):
            stack.enter_context(TemporaryFile())
    for end in socket_pair():
        assert not end.getblocking()
        end.close()


def test_as_many_as_the_system_allows_are_asked_for(few: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert few < most
    ask_for_more()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
