"""The language-model API of the world: what a copy of the agent thinks through.

An OpenAI-compatible service with customers, keys and prepaid credit. Each request is made anew from
an allow-list before it goes to a model, paid twice (in the world by the customer, outside by the
account of whoever answers), and on record before its reply is delivered.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agent_eval.basics.conversation import Reply, assistant
from agent_eval.basics.echo import sendable, sendable_text
from agent_eval.errors import LimitReached, ModelUnavailable, Overspent, RequestRefused
from agent_eval.events.services import LmAnswered, LmCalled, LmKey, LmRefused
from agent_eval.models.base import ContextOverflow
from agent_eval.models.control import tokens_in
from agent_eval.models.paying import Bill
from agent_eval.record.budget import Amounts
from agent_eval.scenario.folk import Name
from agent_eval.scenario.market import Lm
from agent_eval.world.base import HTTP_PORTS, Around
from agent_eval.world.services.answers import Asked, Quota, asked, body_of, origin_of, page
from agent_eval.world.services.chat import Call, NotOffered, rebuilt
from agent_eval.world.services.credit import Credit
from agent_eval.world.services.lm_keys import Keys
from agent_eval.world.services.lm_wire import DOCS, Completion, counted, error, json_text
from agent_eval.world.services.thinking import Thinking, Wanted

MAX_BODY_BYTES = 8 * 1024 * 1024
REVENUE = "lm"
"""The provider's own account in the ledger."""
_ENDS = {"stop", "length", "content_filter"}


class _NewKey(Asked):
    name: Name


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    account: str
    key: str
    request: Request


@dataclass(frozen=True)
class _Admitted:
    """A call that was let in."""

    number: int
    caller: Caller
    call: Call
    wanted: Wanted
    held_microusd: int


class LmApi:
    """The service."""

    ports = HTTP_PORTS

    def __init__(self, settings: Lm, around: Around, thinking: Thinking) -> None:
        self.hosts = (settings.host,)
        self._settings, self._around = settings, around
        self.thinking, self._content = thinking, around.content
        bank = around.bank
        if REVENUE not in bank.accounts:
            bank.open("Language-model API", REVENUE)
        self._accounts = {
            name: bank.open(
                f"credit of {name}", f"lm:{name}", owner=each.owner, cents=each.credit_cents
            )
            for name, each in settings.accounts.items()
        }
        given = {name: each.keys for name, each in settings.accounts.items()}
        self._keys = Keys(given, around.random)
        self._credit = Credit(bank, REVENUE)
        self._quota = Quota(settings.requests_per_minute, 60)
        self._under_way = dict.fromkeys(settings.accounts, 0)
        self._calls = 0
        self.app = Starlette(
            routes=[
                Route("/", self._docs),
                Route("/v1/models", self._models),
                Route("/v1/models/{model:path}", self._model),
                Route("/v1/credit", self._left),
                Route("/v1/keys", self._list_keys),
                Route("/v1/keys", self._new_key, methods=["POST"]),
                Route("/v1/keys/{name}", self._delete_key, methods=["DELETE"]),
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/{path:path}", self._elsewhere, methods=["GET", "POST", "PUT", "DELETE"]),
            ],
            exception_handlers={HTTPException: _fault},
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Nothing goes on in the background."""
        return _nothing()

    def revoke_all(self, account: str) -> tuple[str, ...]:
        """Have all keys of a customer answer 401 from now on; returns their names."""
        names = tuple(self._keys.of(account))
        for name in names:
            self._around.record(LmKey(name, account, "revoked", ""), None)
            self._keys.remove(account, name)
        return names

    # --- what is told about ----------------------------------------------------------------------

    async def _docs(self, _request: Request) -> Response:
        settings = self._settings
        text = DOCS.format(
            url=f"https://{settings.host}",
            model=settings.models[0],
            models=", ".join(settings.models),
            most=settings.max_output_tokens,
            read=f"${settings.input_microusd}",
            written=f"${settings.output_microusd}",
            per_minute=settings.requests_per_minute,
            at_once=settings.at_once,
        )
        return page(text)

    async def _models(self, request: Request) -> Response:
        self._caller(request)
        data = [self._described(name) for name in self._settings.models]
        return JSONResponse({"object": "list", "data": data})

    async def _model(self, request: Request) -> Response:
        caller = self._caller(request)
        name = request.path_params["model"]
        if name not in self._settings.models:
            raise self._refused(caller, 404, f"There is no model '{name[:100]}'.")
        return JSONResponse(self._described(name))

    def _described(self, name: str) -> dict[str, Any]:
        created = int(self._around.clock.start.timestamp())
        return {"id": name, "object": "model", "created": created, "owned_by": "system"}

    async def _left(self, request: Request) -> Response:
        account = self._caller(request).account
        left = self._credit.left_microusd(account=self._accounts[account])
        return JSONResponse(
            {
                "account": account,
                "credit_usd": f"{left / 1_000_000:.6f}",
                "pay_in_at_the_bank_to": self._accounts[account],
            }
        )

    async def _elsewhere(self, request: Request) -> Response:
        caller = self._caller(request)
        path = request.url.path[:200]
        raise self._refused(caller, 404, f"There is no {request.method} {path}.")

    # --- keys ------------------------------------------------------------------------------------

    async def _list_keys(self, request: Request) -> Response:
        return JSONResponse({"keys": self._keys.of(self._caller(request).account)})

    async def _new_key(self, request: Request) -> Response:
        caller = self._caller(request)
        name = (await asked(request, _NewKey, 4096)).name
        mine = self._keys.of(caller.account)
        if name in mine:
            raise self._refused(caller, 409, "There is a key of that name.")
        if len(mine) >= self._settings.max_keys:
            raise self._refused(caller, 429, f"At most {self._settings.max_keys} keys.")
        secret, origin = self._keys.new_secret(), origin_of(request)
        self._around.record(LmKey(name, caller.account, "made", origin.sandbox), origin)
        self._keys.add(caller.account, name, secret)
        return JSONResponse({"name": name, "key": secret}, status_code=201)

    async def _delete_key(self, request: Request) -> Response:
        caller = self._caller(request)
        name = request.path_params["name"]
        if name not in self._keys.of(caller.account):
            raise self._refused(caller, 404, "There is no key of that name.")
        origin = origin_of(request)
        self._around.record(LmKey(name, caller.account, "revoked", origin.sandbox), origin)
        self._keys.remove(caller.account, name)
        return Response(status_code=204)

    def _caller(self, request: Request) -> Caller:
        """Whose key a request carries, within its quota; 401 or 429 otherwise."""
        found = self._keys.sent_with(request)
        if found is None:
            fact = LmRefused(origin_of(request).sandbox, None, 401, "no such key")
            self._around.record(fact, origin_of(request))
            said = "Incorrect API key provided. Send it as `Authorization: Bearer KEY`."
            raise HTTPException(401, said)
        caller = Caller(*found, request)
        try:
            self._quota.take(caller.account, self._around.clock.now_s())
        except HTTPException as refusal:
            self._refused(caller, 429, refusal.detail)
            raise
        return caller

    def _refused(
        self,
        caller: Caller,
        status: int,
        reason: str,
        number: int | None = None,
        settled: Amounts | None = None,
    ) -> HTTPException:
        """A refusal that is on record, to be raised."""
        origin = origin_of(caller.request)
        fact = LmRefused(
            sandbox=origin.sandbox,
            account=caller.account,
            status=status,
            reason=reason,
            call=number,
            settled=(settled or Amounts()).record(),
            role=self.thinking.role,
        )
        self._around.record(fact, origin)
        return HTTPException(status, reason)

    # --- a completion ----------------------------------------------------------------------------

    async def _complete(self, request: Request) -> Response:
        caller = self._caller(request)
        body = await body_of(request, MAX_BODY_BYTES)
        try:
            call = rebuilt(body)
        except NotOffered as refusal:
            return self._not_offered(caller, body, refusal)
        if call.model not in self._settings.models:
            raise self._refused(caller, 404, f"The model '{call.model[:100]}' does not exist.")
        if self._under_way[caller.account] >= self._settings.at_once:
            raise self._refused(caller, 429, f"At most {self._settings.at_once} calls at once.")
        wanted = self.thinking.ready(call, self._settings.max_output_tokens)
        self._under_way[caller.account] += 1
        try:
            completion = await self._answered(self._admitted(caller, call, wanted))
        finally:
            self._under_way[caller.account] -= 1
        if not call.stream:
            return JSONResponse(completion.whole())
        pieces = completion.pieces(usage_at_end=call.usage_at_end)
        return StreamingResponse(_each(list(pieces)), media_type="text/event-stream")

    def _not_offered(self, caller: Caller, body: bytes, refusal: NotOffered) -> Response:
        origin = origin_of(caller.request)
        fact = LmRefused(
            sandbox=origin.sandbox,
            account=caller.account,
            status=400,
            reason=str(refusal),
            asked=self._content(body),
        )
        self._around.record(fact, origin)
        return JSONResponse(error(400, str(refusal), refusal.param), status_code=400)

    def _admitted(self, caller: Caller, call: Call, wanted: Wanted) -> _Admitted:
        """The call with its credit held, on record; 402 where there is too little."""
        room = wanted.worst.output_tokens
        held = self._price(tokens_in(wanted.request.size_bytes), room)
        account = self._accounts[caller.account]
        if not self._credit.hold(account, held):
            left = self._credit.left_microusd(account) / 1_000_000
            raise self._refused(
                caller,
                402,
                f"Not enough credit: this call may cost ${held / 1_000_000:.6f} and ${left:.6f} "
                f"is left. Transfer money at the bank to account {account}.",
            )
        self._calls += 1
        origin = origin_of(caller.request)
        fact = LmCalled(
            sandbox=origin.sandbox,
            account=caller.account,
            key=caller.key,
            call=self._calls,
            model=call.model,
            served_by=self.thinking.served_by,
            reserved=wanted.worst.record(),
            held_microusd=held,
            arguments=wanted.request.arguments,
            tools=self._content(json_text(list(wanted.request.tools))),
        )
        admitted = _Admitted(self._calls, caller, call, wanted, held)
        try:
            self._around.record(fact, origin)
        except BaseException:
            self._credit.settle(account, held, 0, origin.sandbox)
            raise
        return admitted

    async def _answered(self, admitted: _Admitted) -> Completion:
        """The reply, paid for and on record; or a refusal that is."""
        caller, bill = admitted.caller, Bill(Amounts())
        charged = 0

        def refused(status: int, reason: str) -> HTTPException:
            return self._refused(caller, status, reason, admitted.number, bill.spent)

        try:
            reply = await self.thinking.answer(admitted.wanted, bill)
            usage = bill.usage
            assert usage is not None
            charged = self._price(usage.input_tokens, usage.output_tokens)
            return self._recorded(admitted, reply, bill, charged)
        except Overspent as fault:  # ends the run, like any call of which a server bills too much
            refused(503, str(fault))
            raise
        except LimitReached as limit:
            raise refused(429, "No capacity is left for now.") from limit
        except ContextOverflow as fault:
            raise refused(400, "The messages are too long for this model.") from fault
        except RequestRefused as fault:
            raise refused(400, "The model does not take this request.") from fault
        except ModelUnavailable as fault:
            raise refused(503, "The model does not answer. Try again later.") from fault
        except HTTPException:
            raise
        except BaseException as fault:
            refused(500, type(fault).__name__)
            raise
        finally:
            account, sandbox = self._accounts[caller.account], origin_of(caller.request).sandbox
            self._credit.settle(account, admitted.held_microusd, charged, sandbox)

    def _recorded(self, admitted: _Admitted, reply: Reply, bill: Bill, charged: int) -> Completion:
        """The completion, which is on record when this returns."""
        caller, usage = admitted.caller, bill.usage
        assert usage is not None
        # Ids of ours, unique in the world, so that a result tells to which reply it belongs.
        calls = [sendable(replace(call, id=self._id("call"))) for call in reply.calls]
        message = assistant(sendable_text(reply.text, calls), calls).content
        ended = reply.finish_reason if reply.finish_reason in _ENDS else "stop"
        now = int(self._around.clock.now().timestamp())
        finish = "tool_calls" if calls else ended
        completion = Completion(
            self._id("chatcmpl"), now, admitted.call.model, message, finish, usage
        )
        origin = origin_of(caller.request)
        messages = [each.content for each in admitted.wanted.request.messages]
        fact = LmAnswered(
            sandbox=origin.sandbox,
            account=caller.account,
            key=caller.key,
            call=admitted.number,
            model=admitted.call.model,
            served_by=self.thinking.served_by,
            status=200,
            messages=self._content(json_text(messages)),
            reply=self._content(json_text(message)),
            results=admitted.call.results,
            proposed=[call.id for call in calls],
            usage=counted(usage),
            charged_microusd=charged,
            settled=bill.spent.record(),
            stream=admitted.call.stream,
            finish_reason=finish,
            role=self.thinking.role,
        )
        self._around.record(fact, origin)
        return completion

    def _id(self, what: str) -> str:
        return f"{what}-{self._around.random.getrandbits(96):024x}"

    def _price(self, read: int, written: int) -> int:
        return read * self._settings.input_microusd + written * self._settings.output_microusd


async def _fault(_request: Request, fault: Exception) -> Response:
    """A refusal as clients of this API expect it."""
    assert isinstance(fault, HTTPException)
    said = error(fault.status_code, fault.detail)
    return JSONResponse(said, status_code=fault.status_code, headers=fault.headers)


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


def open_lm_api(settings: Lm, around: Around, thinking: Thinking) -> LmApi:
    """The API as a scenario sets it; `thinking` answers."""
    return LmApi(settings, around, thinking)
