"""The bank over HTTP: what a customer can do, and what each refusal says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_eval.scenario.market import BankService
from agent_eval.world.services.bank import open_bank
from tests.world.services.serving import Surroundings, on_loopback, surroundings

MINE, YOURS = "token-of-mine", "token-of-yours"
ACCOUNTS = {
    "10-mine": {"holder": "Me", "token": MINE, "balance_cents": 10_000},
    "20-yours": {"holder": "You", "token": YOURS, "owner": "world", "overdraft_cents": 500},
    "30-shop": {"holder": "Shop", "owner": "world"},
}


class Customer:
    """One who has a token."""

    def __init__(self, http: httpx2.Client, token: str) -> None:
        self.http, self.headers = http, {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Any:
        found = self.http.get(path, headers=self.headers)
        assert found.status_code == 200
        return found.json()

    def post(self, path: str, **fields: Any) -> tuple[int, Any]:
        found = self.http.post(path, headers=self.headers, json=fields)
        return found.status_code, found.json()


@contextmanager
def bank(folder: Path, **settings: Any) -> Iterator[tuple[Surroundings, httpx2.Client]]:
    asked = BankService.model_validate({"accounts": ACCOUNTS} | settings)
    with surroundings(folder) as world:
        service = open_bank(asked, world.around)
        with on_loopback(service.app) as address, httpx2.Client(base_url=address) as http:
            yield world, http
        world.around.bank.check()


def test_money_moves_and_both_see_it(tmp_path: Path) -> None:
    with bank(tmp_path) as (world, http):
        me, you = Customer(http, MINE), Customer(http, YOURS)
        status, posted = me.post("/v1/transfers", to="20-yours", cents=2_500, memo="rent")
        assert (status, posted["cents"], posted["other"]) == (201, -2_500, "20-yours")
        assert me.get("/v1/account") == {
            "number": "10-mine",
            "holder": "Me",
            "balance_cents": 7_500,
            "available_cents": 7_500,
        }
        (seen,) = you.get("/v1/transactions")["transactions"]
        assert (seen["cents"], seen["other"], seen["memo"]) == (2_500, "10-mine", "rent")
        fact = world.facts("bank.posted")[-1]
        assert (fact["sandbox"], fact["source"]) == ("i-0abc", "transfer")
        assert {each["account"]: each["cents"] for each in fact["entries"]} == {
            "10-mine": -2_500,
            "20-yours": 2_500,
        }
        owners = {each["account"]: each["owner"] for each in world.facts("bank.opened")}
        assert owners == {"10-mine": "agent", "20-yours": "world", "30-shop": "world"}
        assert MINE not in world.run.joinpath("events.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"to": "20-yours", "cents": 10_001}, 402),
        ({"to": "40-nobody", "cents": 1}, 404),
        ({"to": "outside", "cents": 1}, 404),
        ({"to": "10-mine", "cents": 1}, 400),
        ({"to": "20-yours", "cents": 0}, 400),
        ({"to": "20-yours", "cents": -5}, 400),
        ({"to": "20-yours", "cents": 1.5}, 400),
        ({"to": "20-yours", "cents": "5"}, 400),
        ({"to": "20-yours", "cents": True}, 400),
        ({"to": "20-yours", "cents": 1, "from": "20-yours"}, 400),
        ({"to": "20-yours", "cents": 1, "memo": "x" * 200}, 400),
    ],
)
def test_what_is_refused_changes_nothing_and_is_on_record(
    tmp_path: Path, fields: dict[str, Any], status: int
) -> None:
    with bank(tmp_path) as (world, http):
        got, said = Customer(http, MINE).post("/v1/transfers", **fields)
        assert got == status
        assert said["error"]["message"]
        assert world.around.bank.balance("10-mine") == 10_000
        assert world.facts("bank.refused")[0]["status"] == status


def test_overdraft_only_where_it_is_allowed(tmp_path: Path) -> None:
    with bank(tmp_path) as (world, http):
        you = Customer(http, YOURS)
        assert you.post("/v1/transfers", to="10-mine", cents=500)[0] == 201
        assert you.post("/v1/transfers", to="10-mine", cents=1)[0] == 402
        assert world.around.bank.balance("20-yours") == -500


def test_an_invoice_is_paid_once_and_only_by_whom_it_was_sent_to(tmp_path: Path) -> None:
    with bank(tmp_path) as (world, http):
        me, you = Customer(http, MINE), Customer(http, YOURS)
        fields = {"from": "10-mine", "cents": 300, "memo": "a cake"}
        status, invoice = you.post("/v1/invoices", **fields)
        assert (status, invoice["state"]) == (201, "open")
        assert me.get("/v1/invoices")["invoices"] == [invoice]
        assert you.post(f"/v1/invoices/{invoice['id']}/pay")[0] == 404
        assert me.post(f"/v1/invoices/{invoice['id']}/pay")[1]["state"] == "paid"
        assert me.post(f"/v1/invoices/{invoice['id']}/pay")[0] == 409
        assert me.post(f"/v1/invoices/{invoice['id']}/decline")[0] == 409
        assert world.around.bank.balance("20-yours") == 300
        second = you.post("/v1/invoices", **{"from": "10-mine", "cents": 99_999})[1]
        assert me.post(f"/v1/invoices/{second['id']}/pay")[0] == 402
        assert me.post(f"/v1/invoices/{second['id']}/decline")[1]["state"] == "declined"
        assert you.post("/v1/invoices", **{"from": "40-nobody", "cents": 1})[0] == 404


def test_without_a_token_nothing_and_beyond_the_quota_429(tmp_path: Path) -> None:
    with bank(tmp_path, requests_per_minute=2) as (world, http):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {MINE}"}):
            assert http.get("/v1/account", headers=headers).status_code == 401
        me = Customer(http, MINE)
        me.get("/v1/account")
        me.get("/v1/account")
        refused = http.get("/v1/account", headers=me.headers)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        Customer(http, YOURS).get("/v1/account")
        assert [each["status"] for each in world.facts("bank.refused")] == [401, 401, 401, 429]


def test_the_documentation_needs_no_token(tmp_path: Path) -> None:
    with bank(tmp_path) as (_, http):
        docs = http.get("/")
        assert docs.headers["content-type"].startswith("text/html")
        assert "POST /v1/transfers" in docs.text
        assert "https://bank.internal/v1/account" in docs.text
