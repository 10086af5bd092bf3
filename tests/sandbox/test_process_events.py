"""The kernel's events: every fork, execution and exit, before its process goes on."""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import NotAsAsked
from agent_eval.sandbox.process_events import ProcessEvents, decoded


@pytest.fixture
def events() -> Iterator[ProcessEvents]:
    """A subscription."""
    try:
        made = ProcessEvents()
    except NotAsAsked as error:
        pytest.skip(str(error))
    yield made
    made.close()


def raw(what: int, processor: int, number: int, *numbers: int) -> bytes:
    """A datagram as the kernel writes it."""
    padded = (*numbers, 0, 0, 0, 0)[:6]
    return (
        struct.pack("=IHHII", 76, 3, 0, 0, 0)
        + struct.pack("=IIIIHH", 1, 1, number, 0, 40, 0)
        + struct.pack("=IIQ6I", what, processor, 5, *padded)
    )


@given(st.binary(max_size=120))
def test_any_bytes_are_an_event_or_too_short(data: bytes) -> None:
    try:
        event = decoded(data)
    except struct.error:
        assert len(data) < 68
    else:
        assert event.what in ("fork", "exec", "exit", "acknowledged", "other")


def test_events_are_read() -> None:
    fork = decoded(raw(1, 0, 9, 10, 10, 12, 12))
    assert (fork.what, fork.parent, fork.thread, fork.process) == ("fork", 10, 12, 12)
    end = decoded(raw(0x80000000, 1, 10, 13, 12, 768, 17))
    assert (end.what, end.thread, end.process, end.status) == ("exit", 13, 12, 768)
    assert (end.processor, end.number, end.monotonic_ns) == (1, 10, 5)


def test_a_fork_is_there_before_its_child_runs(events: ProcessEvents) -> None:
    """However short it lives: nobody waits here for anything."""
    script = "import os\nfor _ in range(200):\n p=os.fork()\n if not p: os._exit(7)\n os.wait()"
    with subprocess.Popen([sys.executable, "-c", script]) as child:
        pass
    seen = events.waiting()
    forked = [event for event in seen if event.what == "fork" and event.parent == child.pid]
    assert len(forked) == 200
    children = {event.process for event in forked}
    ended = [event for event in seen if event.what == "exit" and event.process in children]
    assert [event.status >> 8 for event in ended] == [7] * 200
    assert [event.process for event in seen if event.what == "exec"].count(child.pid) >= 1
    assert events.lost == 0


def test_losses_are_counted(events: ProcessEvents) -> None:
    """More events than the queue holds, and nobody reads."""
    script = "import os\nfor _ in range(500):\n p=os.fork()\n if not p: os._exit(0)\n os.wait()"
    assert events.lost == 0
    small = ProcessEvents(queue_bytes=64 * 1024)
    try:
        subprocess.run([sys.executable, "-c", script], check=True)
        first = len(small.waiting())
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        small.waiting()
        assert first < 1000
        assert small.lost > 0
    finally:
        small.close()
