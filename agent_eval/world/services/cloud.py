"""The cloud: AWS's names in front of an emulator, and machines that really run.

A request is read and held against the list of what there is (`cloud_calls`), then put to the run's
emulator, a process without a way out (`cloud_emulator`); what it changed about machines is made
true (`cloud_machines`). Everything else is refused before the emulator sees it.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_eval.events.cloud import CloudCalled
from agent_eval.events.world import WorldTrouble
from agent_eval.scenario.cloud import Cloud
from agent_eval.world.base import HTTP_PORTS, Around, Instances, Origin
from agent_eval.world.ledger import Bank, NoSuchAccount
from agent_eval.world.services.cloud_answers import Answer, refusal
from agent_eval.world.services.cloud_calls import (
    EC2_ACTIONS,
    S3_ACTIONS,
    STORING,
    STS_ACTIONS,
    Call,
    Names,
    Refused,
    Request,
    read,
)
from agent_eval.world.services.cloud_docs import pages_of
from agent_eval.world.services.cloud_emulator import Account, Emulator, EmulatorBroken, Emulators
from agent_eval.world.services.cloud_landlord import Landlord
from agent_eval.world.services.cloud_machines import Machines, Surroundings

PROVIDER = "cloud"
"""The account at the bank that is paid for machines."""
ENDLESS_CENTS = 10**15
OWN_HEADERS = frozenset({"status", "content-length", "connection", "transfer-encoding", "date"})
"""What the server of this answer sets itself."""


@dataclass(frozen=True)
class BankPurse:
    """An account at the world's bank, as the one who pays for machines."""

    bank: Bank
    account: str

    def balance_cents(self) -> int:
        """What it can pay; nothing, if there is no such account."""
        try:
            available = self.bank.available(self.account)
        except NoSuchAccount:
            return 0
        return ENDLESS_CENTS if available is None else max(available, 0)

    def pay(self, cents: int, why: str) -> None:
        """Pay the cloud."""
        if PROVIDER not in self.bank.accounts:
            self.bank.open("Cloud services", PROVIDER)
        self.bank.transfer(self.account, PROVIDER, cents, why, source="cloud")


class CloudService:
    """The cloud of one world."""

    ports = HTTP_PORTS

    def __init__(
        self,
        settings: Cloud,
        around: Around,
        emulator: Emulator,
        machines: Machines,
        landlord: Landlord,
    ) -> None:
        self._settings, self._around = settings, around
        self._emulator, self._machines, self._landlord = emulator, machines, landlord
        self._names = Names(settings.region)
        self.hosts = (*self._names.hosts, settings.docs_host)
        actions = {"ec2": EC2_ACTIONS, "s3": S3_ACTIONS, "sts": STS_ACTIONS}
        self._pages: ASGIApp = pages_of(settings, actions)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Machines live in this block, and the emulator."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._emulator.close)
            await stack.enter_async_context(self._landlord.running())
            await stack.enter_async_context(self._machines.running())
            yield

    def reboot_all(self) -> tuple[str, ...]:
        """Have all machines that run reboot; returns their ids, before it has happened."""
        return self._machines.reboot_all()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        pairs = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in scope["headers"]
        )
        request = Request(
            method=scope["method"],
            path=scope.get("raw_path", b"/").decode("latin-1").partition("?")[0],
            query=scope["query_string"].decode("latin-1"),
            headers=pairs,
        )
        host = (request.header("host") or "").lower().partition(":")[0]
        if host == self._settings.docs_host:
            await self._pages(scope, receive, send)
            return
        origin: Origin = scope["state"]["origin"]
        answer = await self._answered(request, receive, origin)
        await _send(send, answer, head=request.method == "HEAD")

    async def _answered(self, request: Request, receive: Receive, origin: Origin) -> Answer:
        """The answer, with the fact that it was given on record."""
        names: tuple[str, ...] = ()
        service, _ = self._names.service_at(request.header("host") or "")
        call = Call(service, f"{request.method} {request.path}"[:100])
        try:
            body = await _body(receive, int(self._settings.request_bytes), call)
            request = Request(**{**vars(request), "body": body})
            call = read(request, self._names)
            answer, names = await self._carried_out(call, request)
            error = _code_in(answer) if answer.status >= 400 else None
        except Refused as refused:
            call, error = refused.call, refused.code
            answer = refusal(refused, UUID(int=self._around.random.getrandbits(128), version=4))
        called = CloudCalled(
            sandbox=origin.sandbox,
            service=call.service,
            action=call.action[:100],
            status=answer.status,
            error=error,
            names=names or ((call.bucket,) if call.bucket else ()),
        )
        self._around.record(called, origin)
        return answer

    async def _carried_out(self, call: Call, request: Request) -> tuple[Answer, tuple[str, ...]]:
        """Ask the emulator, and have what it says of machines made true; raises `Refused`."""
        try:
            if call.service != "ec2":
                self._refuse_full(call)
                return self._sound(await self._emulator.call(call, request), call), ()
            async with self._machines.one_at_a_time:
                self._machines.refuse_too_much(call)
                reserved = self._machines.reserve(call)
                # What is begun is finished, though whoever asked be gone.
                with anyio.CancelScope(shield=True):
                    answer = await self._emulator.call(call, request)
                    good = answer.status < 300
                    names = await self._machines.follow(call, reserved, answered=good)
            return self._sound(answer, call), names
        except EmulatorBroken as error:
            self._trouble("ended", str(error))
            words = "The service is currently unavailable."
            raise Refused(503, "ServiceUnavailable", words, call) from error

    def _refuse_full(self, call: Call) -> None:
        if call.action in STORING and self._emulator.stored_bytes >= self._settings.stored_bytes:
            words = "You have reached the limit of what your buckets may hold."
            raise Refused(403, "QuotaExceeded", words, call)

    def _sound(self, answer: Answer, call: Call) -> Answer:
        fault = dict(answer.headers).get("x-emulator-fault")
        if fault is None:
            return answer
        self._trouble("crashed", f"{call.action}: {fault}")
        raise Refused(500, "InternalError", "An internal error has occurred.", call)

    def _trouble(self, what: str, message: str) -> None:
        said = WorldTrouble(
            blame="infrastructure", service="cloud", what=what, message=message[-1000:]
        )
        self._around.record(said, None)


async def _body(receive: Receive, limit: int, call: Call) -> bytes:
    """All of it; what is too large is read to its end, but not kept."""
    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "IncompleteBody", "The request ended early.", call)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            body += chunk
        if not message.get("more_body"):
            break
    if size > limit:
        words = "Your proposed upload exceeds the maximum allowed size"
        raise Refused(413, "EntityTooLarge", words, call)
    return bytes(body)


async def _send(send: Send, answer: Answer, *, head: bool) -> None:
    headers = [(name, value) for name, value in answer.headers if name not in OWN_HEADERS]
    size = dict(answer.headers).get("content-length") if head else None
    headers.append(("content-length", size or str(0 if head else len(answer.body))))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


def _code_in(answer: Answer) -> str | None:
    """The provider's word in an error of the emulator's."""
    _, found, rest = answer.body[:2000].partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode("ascii", "replace")[:100] if found else None


def open_cloud(
    settings: Cloud,
    around: Around,
    emulators: Emulators,
    landlord: Landlord,
    instances: Instances,
) -> CloudService:
    """The cloud of a world; its emulator begins to warm up at once."""
    account = Account(
        settings.account,
        settings.region,
        settings.access_key,
        settings.secret_key,
        around.random.getrandbits(32),
    )
    emulator = emulators.made(account)
    purse = BankPurse(around.bank, settings.bank_account)
    surroundings = Surroundings(around, emulator, landlord, instances, purse)
    return CloudService(settings, around, emulator, Machines(settings, surroundings), landlord)
