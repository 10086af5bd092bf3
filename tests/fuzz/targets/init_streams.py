"""PID 1's end of streams: whatever it hears of them, its books agree and it sends what it may.

A host that says odd things is none of ours; it must not get more out of PID 1 for it, nor leave it
with sockets that belong to nobody.
"""

import selectors
import socket
import struct

from agent_eval.sandbox.frames import CREDIT, OPEN, STREAM, Decoder, encode
from sandbox.init import streams

SEEDS = (
    encode(CREDIT, 1, b"\0\1\0\0") + encode(STREAM, 1, b"hello") + encode(6, 1, b""),
    encode(OPEN, 2, b"\0\1") + encode(STREAM, 2, b"hello") + encode(6, 2, b"") + encode(7, 2, b""),
    encode(OPEN, 2, b"\0\0") + encode(OPEN, 2, b"\0\1") + encode(OPEN, 2, b"\0\1"),
    encode(STREAM, 3, bytes(60000)) + encode(CREDIT, 0, b"\0\0\xff\xff") + encode(7, 1, b""),
    encode(CREDIT, 0, b"\0\1\0\0") * 3 + encode(CREDIT, 1, b"\0\4\0\0") * 3 + encode(9, 1, b""),
)
ROUNDS, FRAMES = 3, 60
BULK = bytes(300_000)

LISTENER = socket.create_server(("127.0.0.2", 0))
CLOSED = socket.socket()  # a port where nobody listens, which nobody else can have
CLOSED.bind(("127.0.0.2", 0))
PORTS = [each.getsockname()[1] for each in (CLOSED, LISTENER)]


class Init:
    """What streams need of the rest of PID 1."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.select = selectors.DefaultSelector()
        self.bulk = streams.Streams(self)

    def send(self, kind: int, number: int, payload: bytes) -> None:
        """Say something."""
        self.out += encode(kind, number, payload)

    def flush(self) -> None:
        """All that may be said is."""
        while self.bulk.pull():
            pass

    def turn(self) -> None:
        """Do what there is to do."""
        for key, _ in self.select.select(0):
            if key.fd in self.select.get_map():
                key.data[0](*key.data[1])


def connected() -> tuple[socket.socket, socket.socket]:
    """A program's connection, and the end that was caught."""
    program = socket.create_connection(LISTENER.getsockname())
    return program, LISTENER.accept()[0]


def check(data: bytes) -> None:
    """No more goes out than was granted, and every socket is of a stream and watched as it is."""
    init = Init()
    programs = [connected(), connected()]
    for program, caught in programs:
        init.bulk.add(caught, "127.128.0.7", 80)
        program.setblocking(False)
    programs[0][0].send(BULK)
    granted = dict.fromkeys((1, 3), streams.FIRST_WINDOW)
    try:
        for kind, number, payload in heard(data):
            if kind == OPEN:
                granted.setdefault(number, streams.FIRST_WINDOW)
            elif kind == CREDIT and len(payload) == 4:
                granted[number] = granted.get(number, 0) + struct.unpack(">I", payload)[0]
            try:
                init.bulk.hear(kind, number, payload)
            except struct.error:
                continue  # PID 1 reports it, and goes on
            for _ in range(ROUNDS):
                init.turn()
                agrees(init)
        sent = dict.fromkeys(granted, 0)
        for kind, number, payload in Decoder().feed(bytes(init.out)):
            if kind == STREAM:
                sent[number] += len(payload)
        assert all(sent[number] <= granted[number] for number in sent)
    finally:
        init.bulk.begin()
        assert not init.bulk.all
        assert not init.select.get_map()
        init.select.close()
        for program, caught in programs:
            assert caught.fileno() < 0
            program.close()
        emptied()


def heard(data: bytes) -> list[tuple[int, int, bytes]]:
    """Frames, of streams; what the pipe itself would not take is left out."""
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while at + 9 <= len(data) and len(found) < FRAMES:
        size, kind, number = struct.unpack_from(">IBI", data, at)
        size = min(max(size - 5, 0), 65536)
        kind = kind if OPEN <= kind <= CREDIT else OPEN + kind % 6
        payload = data[at + 9 : at + 9 + size]
        at += 9 + size
        if kind in (OPEN, STREAM) and number == 0:
            continue
        if kind == OPEN and len(payload) == 2:
            payload = struct.pack(">H", PORTS[payload[-1] % 2])
        found.append((kind, number, payload))
    return found


def agrees(init: Init) -> None:
    """What is watched is what there is."""
    watched = {key.fd for key in init.select.get_map().values()}
    for number, stream in init.bulk.all.items():
        assert stream.number == number
        assert stream.sock.fileno() >= 0
        assert (stream.sock.fileno() in watched) == bool(stream.watched)
        watched.discard(stream.sock.fileno())
    assert not watched
    assert init.bulk.grown == sum(
        stream.size - streams.FIRST_WINDOW for stream in init.bulk.all.values()
    )


def emptied() -> None:
    """Take and end what was connected to the listener meanwhile."""
    LISTENER.settimeout(0)
    try:
        while True:
            LISTENER.accept()[0].close()
    except BlockingIOError:
        LISTENER.settimeout(None)
