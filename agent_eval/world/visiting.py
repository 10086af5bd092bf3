"""How a simulated person opens a page: over HTTP, through the gateway of its own world only.

A person asks the same gateway as a sandbox does, under a name that no sandbox has; whatever that
does not lead to is not there. Redirects are not followed, and what comes back is not read beyond
its head and a few bytes.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import anyio
import httpcore2
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

from agent_eval.world.base import Origin

Connect = Callable[[Origin, str, int], Awaitable[socket.socket | None]]
Resolve = Callable[[Origin, str], str | None]
PERSON = Origin("person", "0")
PATIENCE_S = 20.0
AS_A_BROWSER: tuple[tuple[bytes | str, bytes | str], ...] = (("User-Agent", "Mozilla/5.0"),)


class _Stream(httpcore2.AsyncNetworkStream):
    """One connection, as the HTTP library wants it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109, ARG002
        try:
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002
        if buffer:
            await self._stream.send(buffer)

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
    ) -> httpcore2.AsyncNetworkStream:
        try:
            stream = await TLSStream.wrap(
                self._stream,
                ssl_context=ssl_context,
                hostname=server_hostname,
                standard_compatible=False,
                server_side=False,
            )
        except BaseException:
            await self.aclose()
            raise
        return _Stream(stream)

    def get_extra_info(self, info: str) -> object:  # noqa: ARG002 - a socket pair has none
        return None


@dataclass(frozen=True)
class Visiting(httpcore2.AsyncNetworkBackend):
    """Opens pages of one world."""

    connect: Connect
    resolve: Resolve
    authority_pem: str
    """The authority of this world, the only one that is trusted."""

    async def __call__(self, url: str, form: Mapping[str, str] | None) -> int | None:
        """The HTTP status of a page, or None where nothing answers as it should."""
        method, content, headers = "GET", b"", list(AS_A_BROWSER)
        if form is not None:
            method, content = "POST", urlencode(form).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        context = ssl.create_default_context(cadata=self.authority_pem)
        try:
            with anyio.fail_after(PATIENCE_S):
                async with (
                    httpcore2.AsyncConnectionPool(context, network_backend=self) as pool,
                    pool.stream(method, url, headers=headers, content=content) as response,
                ):
                    return response.status
        except (OSError, ValueError, anyio.BrokenResourceError, ssl.SSLError, *_HTTP):
            return None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[object] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to a name of the world; raises `ConnectError` for any other."""
        address = self.resolve(PERSON, host)
        joined = await self.connect(PERSON, address, port) if address else None
        if joined is None:
            raise httpcore2.ConnectError(f"{host}: nothing there")
        return _Stream(await SocketStream.from_socket(joined))


_HTTP = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
)
