"""HTTP and TLS for the services of a world: uvicorn's protocol class on one end of a socket pair.

There is no port on the host: a stream of a sandbox is joined to the other end of the pair.
"""

import asyncio
import hashlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trustme
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from agent_eval.world.base import Origin
from agent_eval.world.recording import Kept

TLS_PORT = 443
HEAD_BYTES = 64 * 1024
"""What the head of one request may come to, about, and what follows its body."""
MOST_PIPELINED = 16
"""Requests of one connection that wait while another one is answered."""
BAD_BYTES = 1024
"""How much is kept of what is no HTTP."""
KEEP_ALIVE_S = 600
HANDSHAKE_S = 60.0
OWNER, UNIT = "Internal", "Certificates"


class Authority:
    """Signs the certificates of one world; its sandboxes trust it, and nobody else does."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name=OWNER, organization_unit_name=UNIT)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.pem = self._ca.cert_pem.bytes()
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem.decode())).hexdigest()

    def context(self, name: str) -> ssl.SSLContext:
        """What a server of this name and of those one level below presents itself with."""
        if name not in self._contexts:
            bare = name.removeprefix("*.")
            leaf = self._ca.issue_cert(
                bare, f"*.{bare}", organization_name=OWNER, organization_unit_name=UNIT
            )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf.configure_cert(context)
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[name] = context
        return self._contexts[name]


@dataclass(frozen=True)
class Call:
    """One connection to a service: who it is from, and where it goes."""

    origin: Origin
    name: str
    """The name of the place that its address belongs to."""
    port: int
    not_http: Callable[["Call", Kept], None]
    """Told of what came where that is no HTTP."""
    covers: Callable[[str], bool]
    """Whether a name is one of the place's."""

    @property
    def state(self) -> dict[str, Any]:
        """What applications find in `scope["state"]`."""
        return {"origin": self.origin, "call": self}


class Door:
    """Where a service is entered."""

    def __init__(self, app: ASGIApp) -> None:
        logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            access_log=False,
            log_config=None,
            log_level="critical",
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._config.load()
        self._state = ServerState()

    async def serve(self, call: Call, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Serve one connection to its end; raises `OSError` where TLS does not come to stand."""
        loop = asyncio.get_running_loop()
        gone = loop.create_future()

        def protocol() -> _Protocol:
            return _Protocol(self._config, self._state, call, gone)

        transport, _ = await loop.connect_accepted_socket(
            protocol,
            sock,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_S if context else None,
        )
        try:
            await gone
        finally:
            transport.abort()

    async def close(self) -> None:
        """End what is still being answered."""
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Protocol(HttpToolsProtocol):
    """uvicorn's own, which bounds the heads of requests and tells of what is no HTTP."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        call: Call,
        gone: "asyncio.Future[None]",
    ) -> None:
        super().__init__(config, server_state, call.state)
        self._call, self._gone = call, gone
        self._came = Kept(BAD_BYTES)
        self._in_head = True
        """Whether the head of a request is not complete."""
        self._unheard_bytes = 0
        """What came since the parser last told of anything, a head or a bit of a body."""
        self._heard = self._refused = False

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is an endless head, or what stands around and after a body."""
        if self._refused:
            return
        self._came.add(data)
        self._heard = False
        super().data_received(data)
        self._unheard_bytes = 0 if self._heard else self._unheard_bytes + len(data)
        if self._unheard_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """A request begins; one that cannot be answered for long is as good as no HTTP."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("too many requests at once")  # which the parser makes its own error
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head, self._heard = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A bit of its body is there."""
        self._heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there; the next thing that comes is a head again."""
        super().on_message_complete()
        self._in_head = self._heard = True
        self._came = Kept(BAD_BYTES)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or not this server's."""
        self._refused = True
        self._call.not_http(self._call, self._came)
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        unfinished = self._in_head and self._came.size
        if unfinished and not self._refused:
            self._call.not_http(self._call, self._came)
        super().connection_lost(exc)
        if not self._gone.done():
            self._gone.set_result(None)
