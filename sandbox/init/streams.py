"""TCP streams of this machine's programs, through the pipe: PID 1's end of them.

Comes with init.py and under its rules: standard library only, Python 3.8 or later.

Frames are those of the pipe, with a stream's number in the place of a channel's; streams begun here
have odd numbers, the host's even ones, and none is used twice.
  type 3  open: address and port; from the host a port   type 4  opened: the host's is connected
  type 5  data                                           type 6  no more data comes
  type 7  reset                                          type 8  credit (u32): so much may come
Number 0 is that of no stream: a reset of it is one of all there were, and its credit tells how much
data has come since it was last told.

Bulk is taken from a socket only when the pipe has room for it, after all that PID 1 has to say, by
streams in turn; so nothing of it waits here, and whoever sends little is not kept by who sends
much. Little of it is under way at one time, or what is small would wait for it further on: least
while something small is about. What comes is passed on to a socket or waits here, up to the credit
that was given for it.
"""

from __future__ import annotations

import errno
import heapq
import socket
import struct
import time

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from typing import Any

HEAD = struct.Struct(">IBI")
OPEN, OPENED, DATA, END, RESET, CREDIT = 3, 4, 5, 6, 7, 8
FRAME, SMALL_FRAME, FEW = 65536, 16384, 8  # small where more than a few want to send
HURRIED_FRAME = 8192
FIRST_WINDOW, WINDOW = 65536, 1 << 19
ROOM = 16 << 20  # for windows that have grown, of all streams together
UNDER_WAY, UNDER_WAY_ALONE = 1 << 16, 1 << 19  # bytes of data between here and the host
UNDER_WAY_HURRIED = 1 << 13
SMALL, HURRIED_S = 4096, 0.1  # a frame that is not bulk, and for how long others are expected then
TOLD_AFTER = 8192  # bytes that have come until the host is told
MOST = 512
AHEAD = 16384  # how much one sends at once that comes back
OVERHEAD = 256  # what a frame counts beside its bytes
SMALL_PARTS = 8  # how many times less a small one counts
READ, WRITE = 1, 2  # as in `selectors`
TO_SELF = "127.0.0.2"  # what listens on 127.0.0.1 alone is nobody else's
RESET_NOW = struct.pack("ii", 1, 0)


class Stream:
    """One of them."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.connecting = False
        self.credit = FIRST_WINDOW  # what the host still takes
        self.window = self.size = FIRST_WINDOW  # what it may still send, and how much that is empty
        self.owed = 0  # what was passed on and not yet granted anew
        self.waiting = bytearray()
        self.tag = 0  # how far it is on, as `Turns` counts
        self.queued = False  # waits for its turn to send
        self.heard_end = self.said_end = self.shut = False
        self.watched = 0


class Turns:
    """Whose turn it is to send: of those who want to, whoever is least far on.

    One that comes back after a pause begins a little before the others: see the host's.
    """

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, int, Any]] = []
        self.now = self.count = 0

    def put(self, stream: Any, late: int) -> None:
        """One wants to send; at a tie whoever is late comes after who is new."""
        stream.tag = max(stream.tag, self.now - AHEAD)
        stream.queued = True
        self.count += 1
        heapq.heappush(self.heap, (stream.tag, late, self.count, stream))

    def take(self) -> Any:
        """Whose turn it is; it may have been reset meanwhile."""
        tag, _, _, stream = heapq.heappop(self.heap)
        self.now = max(self.now, tag)
        stream.queued = False
        return stream

    def sent(self, stream: Any, size: int) -> None:
        """It had its turn, and sent a frame with so many bytes."""
        counted = size + OVERHEAD
        stream.tag += counted // SMALL_PARTS if size <= SMALL else counted


class Streams:
    """All of them."""

    def __init__(self, init: Any) -> None:
        self.init = init
        self.all: dict[int, Stream] = {}
        self.turns = Turns()
        self.number = -1  # of the last one that was begun here
        self.grown = 0
        self.held = False
        self.under_way = self.untold = 0
        self.hurried_until = 0.0

    def begin(self) -> None:
        """Be without streams, and tell the host, whose numbers begin anew as well."""
        for stream in list(self.all.values()):
            self.close(stream, reset=True)
        self.turns = Turns()
        self.number = -1
        self.held = False
        self.under_way = self.untold = 0
        self.init.send(RESET, 0, b"")

    @property
    def full(self) -> bool:
        """Whether no more may be begun."""
        return len(self.all) >= MOST

    def add(self, sock: socket.socket, address: str, port: int) -> None:
        """Have the host connected with a socket that wanted to reach that address."""
        self.number += 2
        stream = self.all[self.number] = self.made(self.number, sock)
        self.init.send(OPEN, stream.number, socket.inet_aton(address) + struct.pack(">H", port))
        self.tend(stream)

    def made(self, number: int, sock: socket.socket) -> Stream:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Stream(number, sock)

    # --- what comes ---------------------------------------------------------------------------

    def hear(self, kind: int, number: int, payload: bytes) -> None:
        """Do as a frame says; those of a stream that is over mean nothing."""
        if kind == OPEN:
            self.connect(number, struct.unpack(">H", payload)[0])
            return
        if kind == DATA:
            self.count(len(payload))
        elif kind == CREDIT and number == 0:
            self.under_way -= struct.unpack(">I", payload)[0]
            self.init.flush()
            return
        stream = self.all.get(number)
        if stream is None:
            return
        if kind == DATA:
            stream.window -= len(payload)
            stream.waiting += payload
            self.pass_on(stream)
        elif kind == END:
            stream.heard_end = True
            self.pass_on(stream)
        elif kind == CREDIT:
            stream.credit += struct.unpack(">I", payload)[0]
        elif kind == RESET:
            self.close(stream, reset=True)
            return
        self.tend(stream)

    def count(self, size: int) -> None:
        """So much data has come, whoever it is for."""
        self.hurry(size)
        self.untold += size
        if self.untold >= TOLD_AFTER:
            self.init.send(CREDIT, 0, struct.pack(">I", self.untold))
            self.untold = 0

    def connect(self, number: int, port: int) -> None:
        """The host wants to reach a port of this machine."""
        if number in self.all:
            return
        sock = None
        try:
            if self.full:
                raise OSError(errno.EAGAIN, "too many")
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stream = self.made(number, sock)
            if sock.connect_ex((TO_SELF, port)) not in (0, errno.EINPROGRESS):
                raise OSError(errno.ECONNREFUSED, "refused")
        except OSError:
            if sock is not None:
                sock.close()
            self.init.send(RESET, number, b"")
            return
        self.all[number] = stream
        stream.connecting = True
        self.tend(stream)

    def connected(self, stream: Stream) -> bool:
        """Whether one that was connecting is; the host is told either way."""
        if stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.fail(stream)
            return False
        stream.connecting = False
        self.init.send(OPENED, stream.number, b"")
        return True

    def pass_on(self, stream: Stream) -> None:
        """Write what waits, as far as the socket takes it, and grant as much anew."""
        if stream.connecting or stream.number not in self.all:
            return
        try:
            while stream.waiting:
                sent = stream.sock.send(memoryview(stream.waiting)[:FRAME])
                del stream.waiting[:sent]
                stream.owed += sent
            if stream.heard_end and not stream.shut:
                stream.shut = True
                stream.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self.fail(stream)
            return
        if stream.owed >= stream.size // 4:
            more = min(stream.size, WINDOW - stream.size, ROOM - self.grown)
            self.grown += more
            stream.size += more
            stream.window += stream.owed + more
            self.init.send(CREDIT, stream.number, struct.pack(">I", stream.owed + more))
            stream.owed = 0

    # --- what goes ----------------------------------------------------------------------------

    def hurry(self, size: int) -> None:
        """A frame of that size came or goes; what is small is not kept waiting by bulk."""
        if 0 < size <= SMALL:
            self.hurried_until = time.monotonic() + HURRIED_S

    def hurried(self) -> bool:
        return len(self.turns.heap) > 1 and time.monotonic() < self.hurried_until

    def waits(self) -> bool:
        """Whether somebody may have a frame, and there is room for it on the way."""
        if self.held or not self.turns.heap:
            return False
        most = UNDER_WAY if len(self.turns.heap) > 1 else UNDER_WAY_ALONE
        return self.under_way < (UNDER_WAY_HURRIED if self.hurried() else most)

    def pull(self) -> bool:
        """Put one frame where PID 1 sends from, which has nothing else to say; whether one was."""
        while self.waits():
            stream = self.turns.take()
            if stream.number in self.all and self.read(stream):
                return True
        return False

    def read(self, stream: Stream) -> bool:
        """Make a frame of what has come from a socket; whether there was anything."""
        most = FRAME if len(self.turns.heap) < FEW else SMALL_FRAME
        most = min(HURRIED_FRAME if self.hurried() else most, stream.credit)
        if not most:
            return False
        try:
            data = stream.sock.recv(most)
        except BlockingIOError:
            self.tend(stream)
            return False
        except OSError:
            self.fail(stream)
            return True
        self.turns.sent(stream, len(data))
        stream.credit -= len(data)
        self.under_way += len(data)
        self.hurry(len(data))
        kind = DATA if data else END
        self.init.out += HEAD.pack(len(data) + 5, kind, stream.number) + data
        if not data:
            stream.said_end = True
        elif len(data) == most and stream.credit:
            self.turns.put(stream, 1)
        self.tend(stream)
        return True

    # --- one stream ---------------------------------------------------------------------------

    def stir(self, stream: Stream) -> None:
        """Its socket can be read or written."""
        if stream.connecting and not self.connected(stream):
            return
        if stream.waiting:
            self.pass_on(stream)
        if stream.watched & READ and not stream.queued and stream.number in self.all:
            self.turns.put(stream, 0)
        self.tend(stream)
        self.init.flush()

    def tend(self, stream: Stream) -> None:
        """Wait for what is to be waited for; one that has ended both ways is over."""
        if stream.number not in self.all:
            return
        if stream.heard_end and stream.said_end and not stream.waiting:
            self.close(stream, reset=False)
            return
        wanted = WRITE if stream.waiting or stream.connecting else 0
        may_send = stream.credit and not (stream.said_end or stream.connecting)
        if may_send and not stream.queued:
            wanted |= READ
        if wanted == stream.watched:
            return
        select, data = self.init.select, (lambda: self.stir(stream), ())
        if not wanted:
            select.unregister(stream.sock)
        elif stream.watched:
            select.modify(stream.sock, wanted, data)
        else:
            select.register(stream.sock, wanted, data)
        stream.watched = wanted

    def fail(self, stream: Stream) -> None:
        """A socket broke: so does the stream."""
        self.close(stream, reset=True)
        self.init.send(RESET, stream.number, b"")

    def close(self, stream: Stream, *, reset: bool) -> None:
        """Be done with it; whoever is at the other end of the socket is told so at once."""
        if stream.watched:
            self.init.select.unregister(stream.sock)
            stream.watched = 0
        del self.all[stream.number]
        self.grown -= stream.size - FIRST_WINDOW
        if reset:
            refuse(stream.sock)
        else:
            stream.sock.close()


def refuse(sock: socket.socket) -> None:
    """Close a connection so that the other end sees it reset."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_NOW)
    except OSError:
        pass
    sock.close()
