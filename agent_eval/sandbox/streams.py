"""TCP streams through the pipe: the host's end of them.

A program inside that connects anywhere gets a stream, and so does the host when it connects to a
port inside. PID 1 describes the frames (sandbox/init/streams.py). All of them come from a sandbox:
more data than was granted, a number of the wrong kind or a frame that cannot be ends it, and no
more than the windows of its streams is ever kept for it. What is bulk is read from a socket only
when the pipe has nothing else to carry.
"""

import asyncio
import contextlib
import re
import socket
import struct
from dataclasses import dataclass, field

from anyio.abc import TaskGroup

from agent_eval.errors import Blame, SandboxDied
from agent_eval.sandbox.frames import (
    CREDIT,
    EOF,
    NAME,
    OPEN,
    RESET,
    STREAM,
    BadFrame,
    encode,
)
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.turns import Turns
from agent_eval.sandbox.way import Way

FIRST_WINDOW_BYTES, WINDOW_BYTES = 65536, 512 * 1024
"""What one end may send before the other grants more, at first and for a stream that goes on."""

ROOM_BYTES = 32 * 1024 * 1024
"""For windows that have grown, of all streams together."""

MOST_STREAMS = 512
"""PID 1 begins no more; beyond it they are refused, and beyond twice it PID 1 is not ours."""

MAX_UNSENT_BYTES = 1024 * 1024
"""Answers to a sandbox that does not read them."""

_DESTINATION = struct.Struct(">4sH")
_NAME = re.compile(rb"[!-~]{1,1016}")
_RESET_NOW = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Stream:
    """One of them."""

    number: int
    sock: socket.socket | None = None
    """None while it is not connected."""
    credit_bytes: int = FIRST_WINDOW_BYTES
    """What PID 1 still takes."""
    window_bytes: int = FIRST_WINDOW_BYTES
    """What it may still send."""
    size_bytes: int = FIRST_WINDOW_BYTES
    """The window when it is empty."""
    owed_bytes: int = 0
    """What was passed on and is not granted anew yet."""
    waiting: bytearray = field(default_factory=bytearray)
    """What came and is not passed on yet."""
    opened: asyncio.Future[None] | None = None
    """Of one that the host began: done when it is connected."""
    heard_end: bool = False
    said_end: bool = False
    shut: bool = False
    """Whether its socket was told that no more comes."""
    reads: bool = False
    writes: bool = False
    tag: int = 0
    queued: bool = False


class Streams:
    """All streams of one sandbox."""

    def __init__(self, pipe: Pipe, network: Network) -> None:
        self._pipe = pipe
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._all: dict[int, Stream] = {}
        self._turns: Turns[Stream] = Turns()
        self._urgent = bytearray()
        self._wake = asyncio.Event()
        self._tasks: TaskGroup | None = None
        self._begun = False
        self._heard = -1
        """The highest number of a stream that PID 1 began."""
        self._said = 0
        self._grown_bytes = 0
        self._way = Way()
        self.admits = False
        """Whether anything is behind the network yet; before that all is refused."""

    def __len__(self) -> int:
        return len(self._all)

    async def serve(self, tasks: TaskGroup) -> None:
        """Send what there is to send, in turns, until the pipe ends or this is cancelled."""
        self._tasks = tasks
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._urgent or self._may_send():
                    await self._pipe.bulk(self._next)
        except SandboxDied:
            return
        finally:
            for stream in list(self._all.values()):
                self._close(stream, reset=True)

    async def dial(self, port: int) -> socket.socket:
        """Connect to a port inside; raises `ConnectionRefusedError` if nobody listens there."""
        self._said += 2
        opened: asyncio.Future[None] = self._loop.create_future()
        stream = self._all[self._said] = Stream(self._said, opened=opened)
        self._say(OPEN, stream, struct.pack(">H", port))
        try:
            await opened
        except BaseException:
            self._drop(stream)
            raise
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        self._attach(stream, theirs)  # which may be over already; then ours says so
        return ours

    # --- what comes -------------------------------------------------------------------------

    def hear(self, kind: int, number: int, payload: bytes) -> None:
        """Take a frame; raises `BadFrame` for one that an honest PID 1 does not send."""
        if not self._begun:  # a copy's PID 1 may still speak of the original's streams
            self._begun = (kind, number) == (RESET, 0)
        elif kind == NAME:
            self._name(number, payload)
        elif kind == OPEN:
            self._begin(number, payload)
        elif number == 0:
            self._of_none(kind, payload)
        else:
            if kind == STREAM and (told := self._way.came(len(payload))):
                self._urge(encode(CREDIT, 0, told.to_bytes(4)))
            if stream := self._all.get(number):
                self._of(stream, kind, payload)

    def _of_none(self, kind: int, payload: bytes) -> None:
        if kind != CREDIT:
            raise BadFrame(f"a frame of type {kind} of no stream")
        self._way.arrived(_credit(payload))
        self._wake.set()

    def _of(self, stream: Stream, kind: int, payload: bytes) -> None:
        if kind == STREAM:
            stream.window_bytes -= len(payload)
            if stream.window_bytes < 0 or stream.heard_end:
                raise BadFrame(f"stream {stream.number} has sent more than it may")
            self._pass_on(stream, payload)
        elif kind == EOF:
            stream.heard_end = True
            self._pass_on(stream)
        elif kind == CREDIT:
            stream.credit_bytes += _credit(payload)
            if stream.credit_bytes > WINDOW_BYTES:
                raise BadFrame("more credit than there can be")
            self._tend(stream)
        elif kind == RESET:
            self._close(stream, reset=True)
        elif stream.opened is None or stream.opened.done():
            raise BadFrame(f"stream {stream.number} is not one that could be opened")
        else:  # opened
            stream.opened.set_result(None)

    def _name(self, number: int, payload: bytes) -> None:
        if not _NAME.fullmatch(payload):
            raise BadFrame("a name that is none")
        found = self._network.resolve(payload.decode()) if self.admits else None
        self._urge(encode(NAME, number, socket.inet_aton(found) if found else b""))

    def _begin(self, number: int, payload: bytes) -> None:
        if number % 2 == 0 or number <= self._heard:
            raise BadFrame(f"a stream with number {number} after {self._heard}")
        if len(payload) != _DESTINATION.size:
            raise BadFrame("a destination that is none")
        self._heard = number
        stream = Stream(number)
        if len(self._all) >= MOST_STREAMS or not self.admits or self._tasks is None:
            self._say(RESET, stream)
            return
        self._all[number] = stream
        address, port = _DESTINATION.unpack(payload)
        self._tasks.start_soon(self._connect, stream, socket.inet_ntoa(address), port)

    async def _connect(self, stream: Stream, address: str, port: int) -> None:
        try:
            sock = await self._network.connect(address, port)
        except OSError:
            sock = None
        if sock is None:
            self._drop(stream)
        else:
            self._attach(stream, sock)

    def _attach(self, stream: Stream, sock: socket.socket) -> None:
        if stream.number not in self._all:
            sock.close()
            return
        sock.settimeout(0)
        stream.sock = sock
        self._pass_on(stream)

    def _pass_on(self, stream: Stream, came: bytes = b"") -> None:
        """Write what waits, then what came, as far as the socket takes it; grant as much anew."""
        if stream.sock is None:
            stream.waiting += came
            return
        try:
            if came and not stream.waiting:
                came = came[_written(stream, stream.sock, came) :]
            stream.waiting += came
            while stream.waiting:
                with memoryview(stream.waiting) as view:
                    sent = _written(stream, stream.sock, view)
                if not sent:
                    break
                del stream.waiting[:sent]
            if stream.heard_end and not (stream.waiting or stream.shut):
                stream.shut = True
                stream.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(stream)
            return
        if stream.owed_bytes >= stream.size_bytes // 4:
            self._grant(stream)
        self._tend(stream)

    def _grant(self, stream: Stream) -> None:
        """Let it send as much as was passed on; a window that is used so grows if there is room."""
        room = ROOM_BYTES - self._grown_bytes
        more = min(stream.size_bytes, WINDOW_BYTES - stream.size_bytes, room)
        granted = stream.owed_bytes + more
        self._grown_bytes += more
        stream.size_bytes += more
        stream.window_bytes += granted
        stream.owed_bytes = 0
        self._say(CREDIT, stream, granted.to_bytes(4))

    # --- what goes --------------------------------------------------------------------------

    def _say(self, kind: int, stream: Stream, payload: bytes = b"") -> None:
        self._urge(encode(kind, stream.number, payload))

    def _urge(self, frame: bytes) -> None:
        """Send it ahead of bulk."""
        self._urgent += frame
        self._wake.set()
        if len(self._urgent) > MAX_UNSENT_BYTES:
            self._pipe.end("PID 1 asks of its network more than it hears", Blame.MODEL)
            self._urgent.clear()

    def _next(self) -> bytes:
        """What is sent next: all that is urgent, or a frame of whose turn it is."""
        if self._urgent:
            urgent = bytes(self._urgent)
            self._urgent.clear()
            return urgent
        while self._may_send():
            stream = self._turns.take()
            if stream.number in self._all and (frame := self._read(stream)):
                return frame
        return b""

    def _may_send(self) -> bool:
        """Whether somebody may have a frame, and there is room for it on the way."""
        return len(self._turns) > 0 and self._way.has_room(len(self._turns))

    def _read(self, stream: Stream) -> bytes:
        """A frame of what has come from a socket; empty if nothing has."""
        most = min(self._way.frame_bytes(len(self._turns)), stream.credit_bytes)
        if stream.sock is None or not most:
            return b""
        try:
            data = stream.sock.recv(most)
        except BlockingIOError:
            self._tend(stream)
            return b""
        except OSError:
            self._drop(stream)
            return b""
        self._turns.sent(stream, len(data))
        stream.credit_bytes -= len(data)
        self._way.sent(len(data))
        stream.said_end = not data
        if len(data) == most and stream.credit_bytes:
            self._turns.put(stream, again=True)
        self._tend(stream)
        return encode(STREAM if data else EOF, stream.number, data)

    # --- one stream -------------------------------------------------------------------------

    def _readable(self, stream: Stream) -> None:
        self._turns.put(stream, again=False)
        self._tend(stream)
        self._wake.set()

    def _tend(self, stream: Stream) -> None:
        """Wait for what is to be waited for; one that has ended both ways is over."""
        if stream.number not in self._all or stream.sock is None:
            return
        if stream.heard_end and stream.said_end and not stream.waiting:
            self._close(stream, reset=False)
            return
        reads = stream.credit_bytes > 0 and not (stream.said_end or stream.queued)
        self._watch(stream, reads=reads, writes=bool(stream.waiting))

    def _watch(self, stream: Stream, *, reads: bool, writes: bool) -> None:
        sock = stream.sock
        if sock is None:
            return
        if reads and not stream.reads:
            self._loop.add_reader(sock, self._readable, stream)
        elif stream.reads and not reads:
            self._loop.remove_reader(sock)
        if writes and not stream.writes:
            self._loop.add_writer(sock, self._pass_on, stream)
        elif stream.writes and not writes:
            self._loop.remove_writer(sock)
        stream.reads, stream.writes = reads, writes

    def _drop(self, stream: Stream) -> None:
        """Its socket broke, or nobody is there: so does the stream."""
        if stream.number in self._all:
            self._close(stream, reset=True)
            self._say(RESET, stream)

    def _close(self, stream: Stream, *, reset: bool) -> None:
        del self._all[stream.number]
        self._grown_bytes -= stream.size_bytes - FIRST_WINDOW_BYTES
        if stream.opened is not None and not stream.opened.done():
            stream.opened.set_exception(ConnectionRefusedError("nobody listens there"))
        if stream.sock is None:
            return
        self._watch(stream, reads=False, writes=False)
        if reset:
            with contextlib.suppress(OSError):
                stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_NOW)
        stream.sock.close()


def _written(stream: Stream, sock: socket.socket, data: bytes | memoryview) -> int:
    """How much of something the socket of a stream takes now; raises `OSError` if it is broken."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        sent = sock.send(data)
    stream.owed_bytes += sent
    return sent


def _credit(payload: bytes) -> int:
    if len(payload) != 4:
        raise BadFrame("a credit that is no number")
    return int.from_bytes(payload)


def carried(pipe: Pipe, network: Network, tasks: TaskGroup) -> Streams:
    """Have the streams of a network carried by a pipe for as long as there are these tasks."""
    streams = Streams(pipe, network)
    pipe.on_stream = streams.hear
    tasks.start_soon(streams.serve, tasks)
    return streams
