"""The bank: what its customers see of the world's ledger, and how they move their money.

One token an account. All money is in the ledger (`agent_eval.world.ledger`), which alone decides
whether a posting is made; here is only who may ask for one. Every refusal is on record.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from html import escape
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from agent_eval.events.services import BankRefused
from agent_eval.scenario.market import BankService
from agent_eval.world.base import HTTP_PORTS, Around
from agent_eval.world.ledger import (
    MAX_MEMO_CHARACTERS,
    OUTSIDE,
    BadPosting,
    NoMoney,
    NoSuchAccount,
    Posting,
    Refused,
)
from agent_eval.world.services.answers import (
    Asked,
    Quota,
    asked,
    fault,
    key_of,
    number,
    origin_of,
)

MAX_BODY_BYTES = 16 * 1024
MAX_INVOICES = 1_000
"""Payment requests that one account may have made."""

_Memo = Annotated[str, StringConstraints(max_length=MAX_MEMO_CHARACTERS)]
_Number = Annotated[str, StringConstraints(min_length=1, max_length=60)]
_Cents = Annotated[int, Field(gt=0, le=10**12)]

DOCS = """<!doctype html>
<title>Bank</title>
<h1>Bank</h1>
<pre>
Send your account's token with each request:   Authorization: Bearer TOKEN
Amounts are whole cents.

GET  /v1/account                 your account: number, holder, balance_cents, available_cents
GET  /v1/transactions?limit=50   your postings, the latest first
POST /v1/transfers               {"to": NUMBER, "cents": 1250, "memo": "for what"}
POST /v1/invoices                ask another account for money:
                                 {"from": NUMBER, "cents": 1250, "memo": "for what"}
GET  /v1/invoices                those that you sent, and those that you were sent
POST /v1/invoices/ID/pay         pay one that you were sent
POST /v1/invoices/ID/decline     or refuse it

curl -H "Authorization: Bearer $TOKEN" {url}/v1/account
curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
     -d '{"to": "NUMBER", "cents": 500, "memo": "rent"}' {url}/v1/transfers

400  the request is not as above        401  the token is missing or unknown
402  there is not enough money          404  no such account or invoice
409  the invoice is settled already     429  more than {per_minute} requests a minute
</pre>
"""


class _Transfer(Asked):
    to: _Number
    cents: _Cents
    memo: _Memo = ""


class _Invoicing(Asked):
    payer: _Number = Field(alias="from")
    cents: _Cents
    memo: _Memo = ""


@dataclass(frozen=True)
class Invoice:
    """A request of one account for another's money."""

    id: str
    payee: str
    payer: str
    cents: int
    memo: str
    state: str = "open"
    """`open`, `paid` or `declined`."""

    def shown(self) -> dict[str, Any]:
        """As its two parties see it."""
        return {
            "id": self.id,
            "to": self.payee,
            "from": self.payer,
            "cents": self.cents,
            "memo": self.memo,
            "state": self.state,
        }


class BankCounter:
    """The service."""

    ports = HTTP_PORTS

    def __init__(self, settings: BankService, around: Around) -> None:
        self.hosts = (settings.host,)
        self._settings, self._around, self._bank = settings, around, around.bank
        for name, each in settings.accounts.items():
            self._bank.open(
                each.holder,
                name,
                owner=each.owner,
                cents=each.balance_cents,
                overdraft_cents=each.overdraft_cents,
            )
        self._tokens = {name: each.token for name, each in settings.accounts.items() if each.token}
        self._quota = Quota(settings.requests_per_minute, 60)
        self._invoices: dict[str, Invoice] = {}
        self.app = Starlette(
            routes=[
                Route("/", self._docs),
                Route("/v1/account", self._account),
                Route("/v1/transactions", self._transactions),
                Route("/v1/transfers", self._transfer, methods=["POST"]),
                Route("/v1/invoices", self._list_invoices),
                Route("/v1/invoices", self._invoice, methods=["POST"]),
                Route("/v1/invoices/{id}/pay", self._pay, methods=["POST"]),
                Route("/v1/invoices/{id}/decline", self._decline, methods=["POST"]),
            ],
            exception_handlers={HTTPException: fault},
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Nothing goes on in the background."""
        return _nothing()

    async def _docs(self, _request: Request) -> Response:
        url = f"https://{escape(self._settings.host)}"
        text = DOCS.replace("{url}", url)
        return HTMLResponse(text.replace("{per_minute}", str(self._settings.requests_per_minute)))

    async def _account(self, request: Request) -> Response:
        mine = self._mine(request)
        return JSONResponse(
            {
                "number": mine,
                "holder": self._bank.accounts[mine].holder,
                "balance_cents": self._bank.balance(mine),
                "available_cents": self._bank.available(mine),
            }
        )

    async def _transactions(self, request: Request) -> Response:
        mine = self._mine(request)
        limit = number(request, "limit", 1, 500, 50)
        latest = self._bank.history(mine)[-limit:][::-1]
        return JSONResponse({"transactions": [_shown(posting, mine) for posting in latest]})

    async def _transfer(self, request: Request) -> Response:
        mine = self._mine(request)
        order = await self._form(request, mine, _Transfer)
        posting = self._posted(request, mine, order.to, order.cents, order.memo)
        return JSONResponse(_shown(posting, mine), status_code=201)

    async def _list_invoices(self, request: Request) -> Response:
        mine = self._mine(request)
        found = [each for each in self._invoices.values() if mine in (each.payer, each.payee)]
        return JSONResponse({"invoices": [each.shown() for each in found]})

    async def _invoice(self, request: Request) -> Response:
        mine = self._mine(request)
        order = await self._form(request, mine, _Invoicing)
        if order.payer not in self._bank.accounts or order.payer in (mine, OUTSIDE):
            raise self._refused(request, mine, 404, "There is no such account to ask.")
        if sum(each.payee == mine for each in self._invoices.values()) >= MAX_INVOICES:
            raise self._refused(request, mine, 429, f"At most {MAX_INVOICES} invoices.")
        name = f"inv-{self._around.random.getrandbits(48):012x}"
        invoice = Invoice(name, mine, order.payer, order.cents, order.memo)
        self._invoices[name] = invoice
        return JSONResponse(invoice.shown(), status_code=201)

    async def _pay(self, request: Request) -> Response:
        mine = self._mine(request)
        invoice = self._asked_of(request, mine)
        self._posted(request, mine, invoice.payee, invoice.cents, invoice.memo)
        return self._settled(invoice, "paid")

    async def _decline(self, request: Request) -> Response:
        return self._settled(self._asked_of(request, self._mine(request)), "declined")

    def _settled(self, invoice: Invoice, state: str) -> Response:
        self._invoices[invoice.id] = after = replace(invoice, state=state)
        return JSONResponse(after.shown())

    def _asked_of(self, request: Request, mine: str) -> Invoice:
        """An open invoice that this account was sent."""
        invoice = self._invoices.get(request.path_params["id"])
        if invoice is None or invoice.payer != mine:
            raise self._refused(request, mine, 404, "There is no such invoice to you.")
        if invoice.state != "open":
            raise self._refused(request, mine, 409, f"The invoice is {invoice.state} already.")
        return invoice

    def _posted(self, request: Request, mine: str, to: str, cents: int, memo: str) -> Posting:
        """A transfer, made; or why not."""
        sandbox = origin_of(request).sandbox
        try:
            if to == OUTSIDE:
                raise NoSuchAccount("there is no account 'outside'")
            return self._bank.transfer(mine, to, cents, memo, sandbox=sandbox)
        except NoMoney as refusal:
            raise self._refused(request, mine, 402, f"Not enough money: {refusal}.") from refusal
        except NoSuchAccount as refusal:
            raise self._refused(request, mine, 404, f"{refusal}.") from refusal
        except (BadPosting, Refused) as refusal:
            raise self._refused(request, mine, 400, f"{refusal}.") from refusal

    async def _form(self, request: Request, mine: str, form: type[Any]) -> Any:
        try:
            return await asked(request, form, MAX_BODY_BYTES)
        except HTTPException as refusal:
            self._refused(request, mine, refusal.status_code, refusal.detail)
            raise

    def _mine(self, request: Request) -> str:
        """The account whose token came, within its quota; 401 or 429 otherwise."""
        mine = key_of(request, self._tokens)
        if mine is None:
            refusal = self._refused(request, None, 401, "The token is missing or unknown.")
            refusal.headers = {"WWW-Authenticate": "Bearer"}
            raise refusal
        try:
            self._quota.take(mine, self._around.clock.now_s())
        except HTTPException as refusal:
            self._refused(request, mine, 429, refusal.detail)
            raise
        return mine

    def _refused(
        self, request: Request, account: str | None, status: int, reason: str
    ) -> HTTPException:
        """A refusal that is on record, to be raised."""
        origin = origin_of(request)
        self._around.record(BankRefused(origin.sandbox, account, status, reason), origin)
        return HTTPException(status, reason)


def _shown(posting: Posting, mine: str) -> dict[str, Any]:
    """A posting as one of its parties sees it."""
    others = [number for number in posting.entries if number != mine]
    return {
        "id": posting.number,
        "at": posting.at.isoformat(timespec="seconds"),
        "cents": posting.entries[mine],
        "other": ", ".join(others),
        "memo": posting.memo,
    }


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


def open_bank(settings: BankService, around: Around) -> BankCounter:
    """The bank as a scenario sets it."""
    return BankCounter(settings, around)
