"""Every exchange with a service on record, and what becomes of one whose service fails.

    first bytes of the request ─► service ─► event ─► the end of the answer goes out

An answer in one piece is on record before any of it goes out; of one that comes bit by bit there
is an event before its first bit, and the whole before its last. A service that raises, or is silent
for too long, is the infrastructure's fault: the program inside meets a plain 5xx.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_eval.basics.clock import SHORTEST_S, WorkingClock
from agent_eval.basics.tasks import beside
from agent_eval.errors import LimitReached, Overspent, TranscriptBroken
from agent_eval.events.world import AnswerBegun, Exchanged, WorldTrouble
from agent_eval.scenario.world import Gateway
from agent_eval.world.clock import WorldClock
from agent_eval.world.recording import Kept, Record
from agent_eval.world.serving import Call
from agent_eval.world.stalls import Stalled, answering

PATH_CHARACTERS = 2048
"""How much of a path is on record."""
PLAIN_HEADERS = frozenset({
    "host", "accept", "accept-encoding", "accept-language", "connection", "content-length",
    "content-type", "transfer-encoding", "expect", "cache-control", "pragma", "date",
})  # fmt: skip
"""Headers that are not on record: they say how to speak, not who speaks or what."""
MOST_HEADERS, HEADER_NAME, HEADER_TEXT = 16, 100, 1024
ENDS_THE_RUN = (TranscriptBroken, LimitReached, Overspent)


@dataclass(frozen=True)
class Manner:
    """What is the same for all services of a world."""

    record: Record
    clock: WorldClock
    working: WorkingClock
    """What patience goes by."""
    fail: Callable[[Exception], None]
    """Told of what ends the run."""
    bounds: Gateway
    held_bytes: Counter[str] = field(default_factory=Counter)
    """What of requests that are not answered yet has come, by sandbox."""


class Exchanges:
    """An application around that of a service."""

    def __init__(self, service: str, app: ASGIApp, manner: Manner) -> None:
        self.service, self.manner = service, manner
        self.closed = False
        """True where the service has ended by itself."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have one request answered."""
        answering(self.service, self.manner.record)
        one = _Exchange(self, scope, receive, send)
        if self.closed:
            return await one.answer(503)
        if one.too_long():
            return await one.answer(413)
        try:
            await one.read_on()
            await self._patiently(one)
        except _TooLong:
            await one.answer(413)
        except _TooMuch:
            await one.answer(503)
        except ClientDisconnect:
            pass
        except ENDS_THE_RUN as error:
            self.manner.fail(error)
            await one.answer(503)
        except Stalled:  # which is told of as soon as the loop turns again
            await one.answer(504)
        except Exception as error:  # noqa: BLE001 - a service may raise anything
            self.trouble("crashed", repr(error), one.number, traceback.format_exc())
            await one.answer(500)
        finally:
            one.over()

    async def _patiently(self, one: "_Exchange") -> None:
        async with beside() as tasks:
            tasks.start_soon(self._lose_patience, one, tasks.cancel_scope)
            await self._app(one.scope, one.receive, one.send)
        if one.hung:
            waited = f"no answer within {self.manner.bounds.patience_s:g} s"
            self.trouble("hung", waited, one.number)
            await one.answer(504)
        elif not one.complete and not one.gone:
            self.trouble("crashed", "it returned without a complete answer", one.number)
            await one.answer(500)

    async def _lose_patience(self, one: "_Exchange", scope: anyio.CancelScope) -> None:
        now_s = self.manner.working.now_s
        while not one.begun:
            left_s = self.manner.bounds.patience_s - one.silent_s(now_s())
            if left_s <= 0:
                one.hung = True
                scope.cancel()
            await anyio.sleep(max(left_s, SHORTEST_S))

    def trouble(
        self, what: str, message: str, exchange: int | None = None, detail: str | None = None
    ) -> None:
        """Put it on record that the service failed."""
        self.manner.record.count("troubles")
        event = WorldTrouble(
            blame="infrastructure",
            service=self.service,
            what=what,
            message=message,
            exchange=exchange,
            detail=detail,
        )
        self.manner.record.write(event)


class _TooLong(Exception):
    """The body is longer than services are given."""


class _TooMuch(Exception):
    """The bodies of all requests that a sandbox has under way are more than are held."""


class _Exchange:
    """One request on its way through."""

    def __init__(self, around: Exchanges, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.number = around.manner.record.count("exchanges")
        self.begun = self.complete = self.gone = self.hung = self._muted = False
        self._around, self._manner = around, around.manner
        self._receive, self._send = receive, send
        self._call: Call = scope["state"]["call"]
        self._headers = Headers(scope=scope)
        self._request = Kept(self._manner.bounds.kept_body_bytes)
        self._response = Kept(self._manner.bounds.kept_body_bytes)
        self._held: list[Message] = []
        """What of the request came before the service asked for it."""
        self._start: Message | None = None
        """The beginning of an answer of which nothing has gone out."""
        self._status: int | None = None
        self._type: str | None = None
        self._since_s: float | None = self._manner.working.now_s()
        """Since when the service has the word; None while it waits for the program."""
        self._at = self._manner.clock.now()
        self._began_s = time.monotonic()
        self._on_record = False

    def silent_s(self, now_s: float) -> float:
        """For how long the service has had the word."""
        return 0.0 if self._since_s is None else now_s - self._since_s

    def too_long(self) -> bool:
        """Whether the request says so itself."""
        said = self._headers.get("content-length", "")
        return said.isdigit() and int(said) > self._manner.bounds.max_request_bytes

    async def read_on(self) -> None:
        """Read what of the body is kept, also if the service does not want it."""
        more = True
        while more and self._request.size < self._manner.bounds.kept_body_bytes:
            message = await self._next()
            self._held.append(message)
            more = message["type"] == "http.request" and message.get("more_body", False)

    async def receive(self) -> Message:
        """The next of the request, for the service."""
        return self._held.pop(0) if self._held else await self._next()

    async def _next(self) -> Message:
        self._since_s = None
        message = await self._receive()
        self._since_s = self._manner.working.now_s()
        if message["type"] == "http.disconnect":
            self.gone = not self.complete
        else:
            body = message.get("body", b"")
            self._request.add(body)
            self._manner.held_bytes[self._sandbox] += len(body)
            if self._request.size > self._manner.bounds.max_request_bytes:
                raise self._refused(_TooLong())
            if self._manner.held_bytes[self._sandbox] > self._manner.bounds.held_request_bytes:
                raise self._refused(_TooMuch())
        return message

    def _refused(self, why: Exception) -> Exception:
        """What the service meets in place of more; what it makes of it is no answer."""
        self._muted = not self.begun
        return why

    async def send(self, message: Message) -> None:
        """A bit of the answer, from the service."""
        if self._muted:
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.setdefault("date", format_datetime(self._manner.clock.now(), usegmt=True))
            self._type = headers.get("content-type")
            self._start = message
            return
        if message["type"] != "http.response.body":
            return
        self._response.add(message.get("body", b""))
        more = message.get("more_body", False)
        if not more:
            self._write()
        elif not self.begun:
            self._write_beginning()
        self.begun, self.complete = True, not more
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        await self._send(message)

    async def answer(self, status: int) -> None:
        """Answer in place of the service, unless it has done so itself."""
        if self.complete:
            return
        if self.begun:
            raise ConnectionAbortedError("the answer cannot be finished")
        self._muted = False
        phrase = {413: "Request Entity Too Large", 500: "Internal Server Error"}
        phrase |= {503: "Service Unavailable", 504: "Gateway Timeout"}
        headers = {"connection": "close"} if status in (413, 503) else None
        response = PlainTextResponse(phrase[status] + "\n", status, headers)
        await response(self.scope, self.receive, self.send)

    def over(self) -> None:
        """See to it that it is on record, however it ended."""
        self._manner.held_bytes[self._sandbox] -= self._request.size
        if not self._on_record:
            self._write()

    @property
    def _sandbox(self) -> str:
        return self._call.origin.sandbox

    @property
    def _name(self) -> str:
        """The name it was asked under, if that is one of those that lead here."""
        said = self._headers.get("host", "").partition(":")[0].lower()
        return said if self._call.covers(said) else self._call.name

    @property
    def _path(self) -> str:
        query: bytes = self.scope["query_string"]
        path: bytes = self.scope["raw_path"] + (b"?" + query if query else b"")
        return path.decode("latin-1")[:PATH_CHARACTERS]

    @property
    def _told(self) -> dict[str, str]:
        """Headers that can carry a secret or say who asks."""
        some = [(name, text) for name, text in self._headers.items() if name not in PLAIN_HEADERS]
        return {name[:HEADER_NAME]: text[:HEADER_TEXT] for name, text in some[:MOST_HEADERS]}

    def _write_beginning(self) -> None:
        begun = AnswerBegun(
            exchange=self.number,
            sandbox=self._sandbox,
            name=self._name,
            method=self.scope["method"],
            path=self._path,
            status=self._status or 0,
        )
        self._manner.record.write(begun, self._call.origin)

    def _write(self) -> None:
        self._on_record = True
        record = self._manner.record
        event = Exchanged(
            exchange=self.number,
            sandbox=self._sandbox,
            name=self._name,
            service=self._around.service,
            port=self._call.port,
            method=self.scope["method"],
            path=self._path,
            status=self._status,
            request=self._request.of(record),
            response=self._response.of(record),
            request_headers=self._told or None,
            request_type=self._headers.get("content-type"),
            response_type=self._type,
            duration_s=round(time.monotonic() - self._began_s, 6),
            at=self._at.isoformat(timespec="milliseconds"),
            cut=True if self.gone else None,
        )
        record.write(event, self._call.origin)
