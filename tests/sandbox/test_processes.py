"""The processes of several sandboxes, followed by one subscription to the kernel's events."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_eval.errors import NotAsAsked
from agent_eval.sandbox.kernel import Fact
from agent_eval.sandbox.processes import Listening, Processes

BEGIN = ["unshare", "--pid", "--fork", "sh", "-c", "echo; read x; exec sh -c 'cat; exit 5'"]
"""A first process of a namespace of its own, that waits to be followed before it does anything."""


@pytest.fixture
def listening() -> Listening:
    """One subscription, if it can be had."""
    made = Listening()
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("takes root and unshare")
    try:
        Processes(made).close()
    except NotAsAsked as error:
        pytest.skip(str(error))
    return made


@contextlib.contextmanager
def waiting() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Such a process, and its first child's number on the host."""
    with subprocess.Popen(BEGIN, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as outer:
        assert outer.stdout
        if not outer.stdout.readline():
            pytest.skip("no namespace of processes can be made here")
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()
        yield outer, int(children)


def let_go(outer: subprocess.Popen[bytes], bystander: Processes) -> None:
    """Have it do what it does, to its end; another sandbox takes in what the kernel tells."""
    assert outer.stdin
    outer.stdin.write(b"\n")
    outer.stdin.flush()
    listening = bystander._listening
    before = len(listening.all)
    while len(listening.all) == before:
        assert bystander.news() == []
        time.sleep(0.01)
    outer.communicate()
    assert outer.returncode == 5
    assert bystander.news() == []


def plain(facts: list[Fact]) -> list[tuple[str, int]]:
    return [(fact.what, fact.pid) for fact in facts]


LIVED = [("start", 1), ("fork", 1), ("start", 2), ("exit", 2), ("exit", 1)]


def test_each_sandbox_is_told_its_own_whoever_asks(listening: Listening) -> None:
    first, second, third = (Processes(listening) for _ in range(3))
    assert len({one.fileno() for one in (first, second, third)}) == 1
    with waiting() as (one, its_pid), waiting() as (other, others_pid):
        first.adopt(its_pid)
        second.adopt(others_pid)
        let_go(one, third)
        let_go(other, third)
        facts = second.news()
        assert plain(facts) == plain(first.news()) == LIVED
        assert [fact.fields.get("status") for fact in facts if fact.what == "exit"] == [0, 5]
    assert first.lost == second.lost == third.lost == 0
    assert not listening.all, "nobody is followed beyond its end"
    for each in (first, second, third):
        each.close()


def test_one_that_is_closed_takes_nothing_from_the_others(listening: Listening) -> None:
    first, second, third = (Processes(listening) for _ in range(3))
    with waiting() as (one, its_pid), waiting() as (other, others_pid):
        first.adopt(its_pid)
        second.adopt(others_pid)
        first.close()
        assert list(listening.all) == [others_pid]
        one.communicate(b"\n")
        let_go(other, third)
        assert plain(second.news()) == LIVED
    third.close()
    number = second.fileno()
    assert os.fstat(number)
    second.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    with contextlib.closing(Processes(listening)) as again:
        assert os.fstat(again.fileno()), "whoever comes later listens anew"


def test_what_one_does_not_ask_for_is_bounded_and_counted(listening: Listening) -> None:
    first, second = Processes(listening, max_news=2), Processes(listening)
    with waiting() as (one, its_pid):
        first.adopt(its_pid)
        let_go(one, second)
    assert plain(first.news()) == LIVED[:2]
    assert (first.lost, second.lost) == (len(LIVED) - 2, 0)
    first.close()
    second.close()
