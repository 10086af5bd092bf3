"""A connected socket as a stream that is read and written whenever it is ready.

anyio has such streams. But where a wait for its stream over a unix socket is cancelled in the very
instant in which something comes, the event loop is left with a callback that fails.
"""

import socket

import anyio
import anyio.lowlevel


class ReadySocket:
    """One socket; one task may read it while another one writes."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._sock = sock

    async def send(self, data: bytes) -> None:
        """Write all of it; raises `OSError` where nobody reads any more."""
        await anyio.lowlevel.checkpoint()
        left = memoryview(data)
        while left:
            try:
                left = left[self._sock.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sock)

    async def receive(self, max_bytes: int) -> bytes:
        """What has come; empty at the end. Raises `OSError` where the connection broke."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self._sock.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._sock)

    async def aclose(self) -> None:
        """Hang up; whoever waits gets `ClosedResourceError`."""
        anyio.notify_closing(self._sock)
        self._sock.close()
