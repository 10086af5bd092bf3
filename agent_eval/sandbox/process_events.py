"""The kernel's own account of forks, executions and exits, over its process events connector.

An event is in the socket's queue before the process that it is about goes on: a fork's before the
child runs. So whoever empties the queue before looking at a process knows its parents, whatever
has become of them. The events are those of the whole host, since the kernel has no others; they are
numbered per processor, so that losses show.
"""

import contextlib
import errno
import os
import socket
import struct
import time
from typing import NamedTuple

from agent_eval.errors import NotAsAsked

_CONNECTOR, _PROCESSES = 11, 1
_SO_RCVBUFFORCE = 33
QUEUE_BYTES = 32 * 1024 * 1024
"""Room for about 40,000 events that nobody has read yet."""

_NETLINK = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=IIIIHH")
_WHOLE = struct.Struct("=16x8xI8xIIQ4I")
"""Both heads and an event: its number, kind, processor, time, and what it is about."""
_LISTEN = struct.pack("=I", 1)
_DONE = 3

_FORK, _EXEC, _EXIT = 0x1, 0x2, 0x80000000


class Event(NamedTuple):
    """One event. Processes and threads as the host numbers them.

    A tuple, for every run is told of every process of the host, and a tuple is made fastest.
    """

    what: str
    """`fork`, `exec`, `exit` or `acknowledged`; `other` for what is of no interest here."""
    thread: int
    """The thread it is about; for a fork, the new one."""
    process: int
    parent: int
    """For a fork, the parent's process."""
    status: int
    """For an exit, as `wait` has it; for an acknowledgement, an error number."""
    monotonic_ns: int
    processor: int
    number: int
    """Counts the events of that processor."""


def decoded(raw: bytes) -> Event:
    """One datagram of the kernel; raises `struct.error` if it is too short to be an event."""
    number, what, processor, monotonic_ns, *numbers = _WHOLE.unpack_from(raw)
    first, second, third, fourth = numbers
    if what == _FORK:
        return Event("fork", third, fourth, second, 0, monotonic_ns, processor, number)
    if what == _EXEC:
        return Event("exec", first, second, 0, 0, monotonic_ns, processor, number)
    if what == _EXIT:
        return Event("exit", first, second, 0, third, monotonic_ns, processor, number)
    name = "other" if what else "acknowledged"
    return Event(name, 0, 0, 0, first, monotonic_ns, processor, number)


class ProcessEvents:
    """A subscription; raises `NotAsAsked` with the reason where there is none to be had."""

    def __init__(self, queue_bytes: int = QUEUE_BYTES) -> None:
        self.lost = 0
        """Events of the host that never got here."""
        self._last: dict[int, int] = {}
        self._wall_ns = time.time_ns() - time.monotonic_ns()
        try:
            self._socket = _subscribed(queue_bytes)
        except OSError as error:
            raise NotAsAsked(
                "the kernel record needs the process events of this host's kernel, and they are "
                f"refused: {error.strerror}. It takes root outside any container, and a kernel "
                "with CONFIG_PROC_EVENTS"
            ) from error

    def fileno(self) -> int:
        """For `poll`."""
        return self._socket.fileno()

    def waiting(self) -> list[Event]:
        """Every event that happened before this call, in order."""
        events: list[Event] = []
        while True:
            try:
                event = decoded(self._socket.recv(1024))
            except BlockingIOError:
                return events
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue  # the gap in the numbers will say how many
                raise
            self._count(event)
            events.append(event)

    def _count(self, event: Event) -> None:
        last = self._last.get(event.processor)
        self._last[event.processor] = event.number
        if last is not None and event.number > last:
            self.lost += event.number - last - 1

    def when_ns(self, event: Event) -> int:
        """Nanoseconds since 1970."""
        return self._wall_ns + event.monotonic_ns

    def close(self) -> None:
        """Unsubscribe."""
        self._socket.close()


def _subscribed(queue_bytes: int) -> socket.socket:
    flags = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_NETLINK, flags, _CONNECTOR)
    with contextlib.ExitStack() as stack:
        stack.callback(made.close)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, queue_bytes)
        made.bind((0, _PROCESSES))
        message = _MESSAGE.pack(_PROCESSES, 1, 1, 0, len(_LISTEN), 0) + _LISTEN
        head = _NETLINK.pack(_NETLINK.size + len(message), _DONE, 0, 0, os.getpid())
        made.send(head + message)
        _expect_acknowledgement(made)
        stack.pop_all()
    return made


def _expect_acknowledgement(made: socket.socket) -> None:
    """The kernel answers at once, or, in a container, not at all."""
    while True:
        event = decoded(made.recv(1024))  # BlockingIOError: no answer
        if event.what == "acknowledged":
            if event.status:
                raise OSError(event.status, os.strerror(event.status))
            return
