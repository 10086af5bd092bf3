"""The host's end of streams, whose other end is played by the test."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import Blame
from agent_eval.sandbox.frames import (
    CREDIT,
    EOF,
    NAME,
    OPEN,
    OPENED,
    RESET,
    STREAM,
    Decoder,
    Frame,
    encode,
)
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.streams import (
    FIRST_WINDOW_BYTES,
    MOST_STREAMS,
    WINDOW_BYTES,
    Streams,
    carried,
)
from agent_eval.sandbox.turns import Turns
from agent_eval.sandbox.way import ALONE_BYTES, MANY_BYTES, SMALL_BYTES, SMALL_FRAME_BYTES
from tests.sandbox.outside import ADDRESS, Outside
from tests.sandbox.test_init import loaded
from tests.sandbox.wire import Wire, served

BEGUN = encode(RESET, 0, b"")


def opening(number: int, port: int, address: str = ADDRESS) -> bytes:
    """What PID 1 sends for a program that connects."""
    return encode(OPEN, number, socket.inet_aton(address) + struct.pack(">H", port))


class End(Wire):
    """PID 1 that keeps the frames it is sent."""

    def frames(self) -> list[Frame]:
        """All so far."""
        return list(Decoder().feed(bytes(self.sent)))

    def of(self, kind: int, number: int) -> list[bytes]:
        """What came in frames of a kind and number."""
        return [
            payload for what, which, payload in self.frames() if (what, which) == (kind, number)
        ]


Play = Callable[[End, Pipe, Streams, Outside], Awaitable[None]]


def played(play: Play, end: type[End] = End) -> None:
    """Have a test play PID 1."""

    async def main() -> None:
        wire, outside = end(), Outside("echo.internal")
        pipe = Pipe(wire)
        async with anyio.create_task_group() as tasks:
            streams = carried(pipe, outside.network(), tasks)
            streams.admits = True
            tasks.start_soon(pipe.serve)
            wire.raw(BEGUN)
            with anyio.fail_after(60):
                await play(wire, pipe, streams, outside)
            tasks.cancel_scope.cancel()
        await outside.close()

    anyio.run(main)


async def until(holds: Callable[[], object]) -> None:
    """Wait for something to come about."""
    while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
        await anyio.sleep(0.002)


def test_a_stream_carries_both_ways_until_both_have_ended() -> None:
    async def play(wire: End, _pipe: Pipe, streams: Streams, outside: Outside) -> None:
        wire.raw(opening(1, 7) + encode(STREAM, 1, b"hello"))
        await until(lambda: wire.of(STREAM, 1) == [b"hello"])
        wire.raw(encode(EOF, 1, b""))
        await until(lambda: wire.of(EOF, 1))
        assert outside.wanted == [(ADDRESS, 7)]
        assert not wire.of(RESET, 1)
        assert len(streams) == 0

    played(play)


def test_what_is_not_there_is_reset_and_names_are_answered() -> None:
    async def play(wire: End, _pipe: Pipe, _streams: Streams, outside: Outside) -> None:
        wire.raw(opening(1, 80, "8.8.8.8") + opening(3, 5))
        wire.raw(encode(NAME, 9, b"echo.internal") + encode(NAME, 10, b"no.internal"))
        await until(lambda: wire.of(RESET, 1) and wire.of(RESET, 3) and wire.of(NAME, 10))
        assert outside.wanted == [("8.8.8.8", 80), (ADDRESS, 5)]
        assert wire.of(NAME, 9) == [socket.inet_aton(ADDRESS)]
        assert wire.of(NAME, 10) == [b""]

    played(play)


def test_before_anything_is_behind_it_all_is_refused() -> None:
    async def play(wire: End, _pipe: Pipe, streams: Streams, outside: Outside) -> None:
        streams.admits = False
        wire.raw(opening(1, 7) + encode(NAME, 2, b"echo.internal"))
        await until(lambda: wire.of(RESET, 1) and wire.of(NAME, 2) == [b""])
        assert (outside.wanted, outside.asked) == ([], [])

    played(play)


def test_what_a_copy_says_of_streams_of_its_original_means_nothing() -> None:
    async def main() -> None:
        wire, outside = End(), Outside()
        pipe = Pipe(wire)
        async with anyio.create_task_group() as tasks:
            carried(pipe, outside.network(), tasks).admits = True
            tasks.start_soon(pipe.serve)
            wire.raw(opening(51, 7) + encode(STREAM, 7, b"x" * 9999) + encode(CREDIT, 0, b""))
            wire.raw(BEGUN + opening(1, 7))
            await until(lambda: outside.wanted)
            assert outside.wanted == [(ADDRESS, 7)]
            tasks.cancel_scope.cancel()
        await outside.close()

    anyio.run(main)


WRONG = {
    "even": opening(2, 7),
    "again": opening(3, 7) + opening(3, 7),
    "backwards": opening(3, 7) + opening(1, 7),
    "no destination": encode(OPEN, 1, b"abc"),
    "too much": opening(1, 9) + b"".join(encode(STREAM, 1, bytes(65536)) for _ in range(40)),
    "after its end": opening(1, 9) + encode(EOF, 1, b"") + encode(STREAM, 1, b"x"),
    "no number": opening(1, 9) + encode(CREDIT, 1, b"x"),
    "too much credit": opening(1, 9) + encode(CREDIT, 1, struct.pack(">I", WINDOW_BYTES)),
    "credit for nothing": encode(CREDIT, 0, struct.pack(">I", 1)),
    "not opened": opening(1, 9) + encode(OPENED, 1, b""),
    "of none": encode(STREAM, 0, b"x"),
    "begun again": BEGUN,
    "no name": encode(NAME, 1, b""),
    "a long name": encode(NAME, 1, b"a" * 1017),
    "a name with more in it": encode(NAME, 1, b"a\nb"),
}


@pytest.mark.parametrize("frames", WRONG.values(), ids=WRONG.keys())
def test_what_an_honest_pid_1_never_sends_ends_the_sandbox(frames: bytes) -> None:
    async def play(wire: End, pipe: Pipe, _streams: Streams, _outside: Outside) -> None:
        wire.raw(frames)
        died = await pipe.over()
        assert died.blame is Blame.MODEL

    played(play)


def test_without_a_network_there_are_no_such_frames() -> None:
    async def main() -> None:
        async with served() as (wire, pipe):
            wire.raw(opening(1, 7))
            assert (await pipe.over()).blame is Blame.MODEL

    anyio.run(main)


def test_more_streams_than_there_may_be_are_refused() -> None:
    async def play(wire: End, pipe: Pipe, streams: Streams, _outside: Outside) -> None:
        for number in range(MOST_STREAMS + 1):
            wire.raw(opening(2 * number + 1, 9))
        await until(lambda: wire.of(RESET, 2 * MOST_STREAMS + 1))
        assert len(streams) == MOST_STREAMS
        assert pipe.died is None

    played(play)


def test_a_port_inside_is_dialled_or_refused() -> None:
    async def play(wire: End, _pipe: Pipe, streams: Streams, _outside: Outside) -> None:
        loop = asyncio.get_running_loop()
        found: list[socket.socket] = []

        async def dial() -> None:
            found.append(await streams.dial(8000))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dial)
            await until(lambda: wire.of(OPEN, 2) == [struct.pack(">H", 8000)])
            wire.raw(encode(OPENED, 2, b"") + encode(STREAM, 2, b"welcome"))
        assert await loop.sock_recv(found[0], 100) == b"welcome"
        await loop.sock_sendall(found[0], b"thanks")
        await until(lambda: wire.of(STREAM, 2) == [b"thanks"])
        dialling = asyncio.ensure_future(streams.dial(8001))
        await until(lambda: wire.of(OPEN, 4))
        wire.raw(encode(RESET, 4, b""))
        with pytest.raises(ConnectionRefusedError):
            await dialling
        found[0].close()

    played(play)


def test_no_more_is_sent_than_was_granted_nor_than_is_told_of() -> None:
    async def play(wire: End, _pipe: Pipe, _streams: Streams, _outside: Outside) -> None:
        wire.raw(opening(1, 19) + encode(STREAM, 1, b"100000000\n"))
        await until(lambda: sum(map(len, wire.of(STREAM, 1))) == FIRST_WINDOW_BYTES)
        await checkpoint()
        wire.raw(encode(CREDIT, 1, struct.pack(">I", WINDOW_BYTES)))
        await until(lambda: sum(map(len, wire.of(STREAM, 1))) >= ALONE_BYTES)
        for _ in range(50):
            await checkpoint()
        sent = sum(map(len, wire.of(STREAM, 1)))
        assert sent == ALONE_BYTES, "until it is told that something has come"
        wire.raw(encode(CREDIT, 0, struct.pack(">I", sent)))
        await until(lambda: sum(map(len, wire.of(STREAM, 1))) == WINDOW_BYTES + FIRST_WINDOW_BYTES)

    played(play)


class Taking(End):
    """PID 1 of many programs that take all they get, and of one that asks and is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.frames_of = Decoder()
        self.bulk_bytes = 0
        """What came for others since the one asked."""
        self.waited: list[int] = []
        """The same when it was answered, each time."""

    async def send(self, data: bytes) -> None:
        """Take it, and let as much come anew."""
        for kind, number, payload in self.frames_of.feed(data):
            if kind != STREAM:
                continue
            size = struct.pack(">I", len(payload))
            self.raw(encode(CREDIT, 0, size) + encode(CREDIT, number, size))
            if number == 1:
                self.waited.append(self.bulk_bytes)
                self.ask()
            else:
                self.bulk_bytes += len(payload)
        await checkpoint()

    def ask(self) -> None:
        """Have the one ask again."""
        self.bulk_bytes = 0
        self.raw(encode(STREAM, 1, b"x" * 200))


@pytest.mark.slow
def test_little_passes_whatever_bulk_there_is() -> None:
    """Of fifty that take all they get, a few frames go between a question and its answer."""

    async def play(wire: End, _pipe: Pipe, _streams: Streams, _outside: Outside) -> None:
        assert isinstance(wire, Taking)
        wire.raw(opening(1, 7))
        for number in range(3, 103, 2):
            wire.raw(opening(number, 19) + encode(STREAM, number, b"100000000\n"))
        await until(lambda: wire.bulk_bytes > 4_000_000)
        wire.ask()
        await until(lambda: len(wire.waited) > 1_000)
        # One frame in a hurry; where the machine stood still meanwhile, what may be under way.
        assert max(wire.waited[1:]) <= MANY_BYTES + SMALL_FRAME_BYTES

    played(play, Taking)


class Sender:
    """One that takes turns."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tag = 0
        self.queued = False


class Inside:
    """Turns as PID 1 takes them."""

    def __init__(self) -> None:
        self._turns = loaded("streams").Turns()

    def put(self, sender: Sender, *, again: bool) -> None:
        """One wants to send."""
        self._turns.put(sender, int(again))

    def take(self) -> Sender:
        """Whose turn it is."""
        taken: Sender = self._turns.take()
        return taken

    def sent(self, sender: Sender, size_bytes: int) -> None:
        """It sent a frame."""
        self._turns.sent(sender, size_bytes)


ON_BOTH_SIDES = pytest.mark.parametrize("turns", [Turns, Inside])
FULL, SMALL = 16384, 1000


@ON_BOTH_SIDES
def test_turns_go_round_and_who_comes_back_soon_is_one_of_them(
    turns: Callable[[], Turns[Sender] | Inside],
) -> None:
    order, taken = "", turns()
    a, b, c = (Sender(name) for name in "abc")

    def step() -> None:
        nonlocal order
        sender = taken.take()
        order += sender.name
        taken.sent(sender, FULL)
        taken.put(sender, again=True)

    for sender in (a, b):
        taken.put(sender, again=False)
    for _ in range(20):
        step()
    assert order == "ab" * 10
    taken.put(c, again=False)
    order = ""
    for _ in range(10):
        step()
    assert order[0] == "c"
    assert sorted(order.count(name) for name in "abc") == [3, 3, 4]


@ON_BOTH_SIDES
def test_many_that_always_have_something_small_leave_bulk_its_turns(
    turns: Callable[[], Turns[Sender] | Inside],
) -> None:
    taken, bulk_bytes, small_bytes = turns(), 0, 0
    for name in ("bulk", *map(str, range(50))):
        taken.put(Sender(name), again=False)
    for _ in range(50_000):
        sender = taken.take()
        size = FULL if sender.name == "bulk" else SMALL_BYTES
        taken.sent(sender, size)
        taken.put(sender, again=sender.name == "bulk")
        if sender.name == "bulk":
            bulk_bytes += size
        else:
            small_bytes += size
    assert bulk_bytes >= small_bytes / 50 / 8


@ON_BOTH_SIDES
@given(bulk=st.integers(1, 60), pauses=st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_whoever_sends_little_waits_for_nobody(
    turns: Callable[[], Turns[Sender] | Inside], bulk: int, pauses: list[int]
) -> None:
    """However long it was silent, and however far the others are in their round."""
    taken, small = turns(), Sender("small")

    def step() -> None:
        sender = taken.take()
        taken.sent(sender, FULL)
        taken.put(sender, again=True)

    for number in range(bulk):
        taken.put(Sender(str(number)), again=False)
    for _ in range(2 * bulk):  # of the first frames of each nobody knows what will follow
        step()
    for pause in pauses:
        for _ in range(max(pause, bulk // 10 + 1)):  # more often, it would be one of the many
            step()
        taken.put(small, again=False)
        assert taken.take() is small
        taken.sent(small, SMALL)
