"""The language-model API as the unmodified `openai` package and a plain client meet it."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx2
import openai
import pytest

from agent_eval.basics.conversation import Message, Reply, Request, ToolCall, Usage
from agent_eval.errors import Overspent
from agent_eval.models.base import AttemptFailed, Model
from agent_eval.models.control import Control, Turn, bash, submit
from agent_eval.record.budget import Account, limits_of
from agent_eval.record.prices import PriceCard
from agent_eval.record.redact import Redactor
from agent_eval.scenario.market import Lm
from agent_eval.scenario.model import ModelArguments
from agent_eval.world.services.lm_api import LmApi, open_lm_api
from agent_eval.world.services.thinking import Thinking
from tests.helpers import ModelInMemory
from tests.world.services.serving import Surroundings, on_loopback, surroundings

KEY = "sk-first-key-0001"
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
]
ANSWER = Reply("Hello to you. " * 20, usage=Usage(100, 50), finish_reason="stop", model="real")
DEAR = PriceCard(Decimal(10), Decimal(10), Decimal(30), "2030-01-01", "a test")


class Memory(ModelInMemory):
    """A server, which does not care which of its answers a conversation holds already."""

    def take_up(self, said: Sequence[Message], answered: int) -> None:
        """It is told everything at every call."""


@dataclass
class There:
    """An API that is being served."""

    address: str
    api: LmApi
    world: Surroundings
    account: Account
    client: openai.OpenAI
    http: httpx2.Client

    def ask(self, **fields: Any) -> Any:
        asked = {"model": "chat-1", "messages": HELLO} | fields
        return self.client.chat.completions.create(**asked)

    def post(self, key: str = KEY, **fields: Any) -> httpx2.Response:
        body = {"model": "chat-1", "messages": HELLO} | fields
        headers = {b"Authorization": b"Bearer " + key.encode()}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)


@contextmanager
def api(
    folder: Path,
    model: Model,
    limits: dict[str, float | int | None] | None = None,
    **settings: Any,
) -> Iterator[There]:
    wanted = {"accounts": {"main": {"keys": {"first": KEY}, "credit_cents": 500}}} | settings
    account = Account("0", limits_of(limits or {}))
    with surroundings(folder) as world:
        arguments = ModelArguments(attempts=2)
        thinking = Thinking(
            "subject", model, arguments, account, Redactor({"KEY": "sk-of-the-host-1234567890"})
        )
        made = open_lm_api(Lm.model_validate(wanted), world.around, thinking)
        with on_loopback(made.app) as address:
            client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
            with client, httpx2.Client(base_url=address, timeout=60) as http:
                yield There(address, made, world, account, client, http)
        world.around.bank.check()


def test_a_reply_comes_whole_and_in_pieces(tmp_path: Path) -> None:
    model = Memory([ANSWER])
    with api(tmp_path, model) as there:
        whole = there.ask(temperature=0.5, stop=["END"], max_tokens=64)
        assert whole.choices[0].message.content == ANSWER.text
        assert (whole.model, whole.usage.total_tokens) == ("chat-1", 150)
        pieces = list(there.ask(stream=True, stream_options={"include_usage": True}))
        said = "".join(each.choices[0].delta.content or "" for each in pieces if each.choices)
        assert said == ANSWER.text
        assert len(pieces) > 4
        assert pieces[-1].usage.completion_tokens == 50
        asked = model.seen[0].arguments
        assert asked == {"model": "m", "max_tokens": 64, "temperature": 0.5, "stop": ["END"]}
        first = there.world.facts("lm.answered")[0]
        assert (first["sandbox"], first["account"], first["key"]) == ("i-0abc", "main", "first")
        assert json.loads(first["messages"]["text"]) == HELLO
        assert KEY not in there.world.run.joinpath("events.jsonl").read_text()
    assert there.account.spent.tokens == 300
    assert first["settled"] == {"input_tokens": 100, "output_tokens": 50, "steps": 1}


def test_an_answer_is_on_record_before_it_is_delivered(tmp_path: Path) -> None:
    with api(tmp_path, Memory([ANSWER])) as there:

        def full(_: object, __: object) -> None:
            raise OSError("no space left")

        there.ask()
        object.__setattr__(there.world.around, "record", full)
        assert there.post().status_code == 500
        assert len(there.world.facts("lm.answered")) == 1


def test_actions_keep_the_ids_that_tie_a_result_to_its_reply(tmp_path: Path) -> None:
    calls = (ToolCall("x", "bash", '{"command": "ls"}'), ToolCall("x", "bash", "no json"))
    model = Memory([Reply("", calls, usage=Usage(10, 5)), ANSWER])
    with api(tmp_path, model) as there:
        first = there.ask(tools=TOOLS).choices[0]
        assert first.finish_reason == "tool_calls"
        message = first.message
        results: list[Any] = [
            {"role": "tool", "tool_call_id": each.id, "content": "x.py"}
            for each in message.tool_calls
        ]
        there.ask(tools=TOOLS, messages=[*HELLO, message, *results])
        proposed, told = there.world.facts("lm.answered")
        assert proposed["proposed"] == [each.id for each in message.tool_calls] == told["results"]
        assert len(set(told["results"])) == 2
        in_pieces = list(there.ask(tools=TOOLS, stream=True))
        assert in_pieces[-1].choices[0].finish_reason == "stop"


def test_actions_come_in_pieces_too(tmp_path: Path) -> None:
    model = Memory([Reply("", (ToolCall("x", "bash", '{"command": "ls"}'),))])
    with api(tmp_path, model) as there:
        found = [each.choices[0].delta.tool_calls for each in there.ask(tools=TOOLS, stream=True)]
        pieces = [each[0] for each in found if each]
        assert pieces[0].function.name == "bash"
        assert "".join(each.function.arguments for each in pieces) == '{"command": "ls"}'


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"store": True},
        {"metadata": {"a": "b"}},
        {"tools": [{"type": "web_search_preview"}]},
        {"tools": [{"type": "mcp", "server_url": "https://example.com", "server_label": "x"}]},
        {"web_search_options": {}},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://example.com"}}],
                }
            ]
        },
    ],
)
def test_what_would_be_a_way_out_is_refused_and_on_record(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    model = Memory([ANSWER])
    with api(tmp_path, model) as there:
        with pytest.raises(openai.BadRequestError) as refused:
            there.ask(**fields)
        assert refused.value.param
        (fact,) = there.world.facts("lm.refused")
        assert fact["status"] == 400
        assert set(fields) <= set(json.loads(fact["asked"]["text"]))
    assert not model.seen
    assert there.account.spent.steps == 0


def test_a_wrong_key_a_wrong_model_and_a_wrong_path(tmp_path: Path) -> None:
    with api(tmp_path, Memory([ANSWER])) as there:
        with pytest.raises(openai.AuthenticationError):
            there.client.with_options(api_key="sk-wrong").models.list()
        assert there.post(key="ключ").status_code == 401
        with pytest.raises(openai.NotFoundError):
            there.ask(model="gpt-99")
        with pytest.raises(openai.NotFoundError):
            there.client.responses.create(model="chat-1", input="hello")
        with pytest.raises(openai.NotFoundError):
            there.client.files.list()
        assert [each.id for each in there.client.models.list()] == ["chat-1"]
        statuses = [each["status"] for each in there.world.facts("lm.refused")]
        assert statuses == [401, 401, 404, 404, 404]


def test_no_credit_no_answer_until_more_is_paid_in(tmp_path: Path) -> None:
    accounts = {"main": {"keys": {"first": KEY}, "credit_cents": 1}}
    prices: dict[str, Any] = {"input_microusd": 10, "output_microusd": 100, "max_output_tokens": 64}
    with api(tmp_path, Memory([ANSWER]), accounts=accounts, **prices) as there:
        bank = there.world.around.bank
        there.ask()  # 100 * 10 + 50 * 100 = 6000 of the 10000 millionths that a cent is
        with pytest.raises(openai.APIStatusError) as refused:
            there.ask()
        assert refused.value.status_code == 402
        assert "lm:main" in str(refused.value)
        mine = bank.open("me", cents=100)
        bank.transfer(mine, "lm:main", 100, "more credit")
        there.ask()
        assert bank.balance("lm:main") == 101 - 1
        left = there.http.get("/v1/credit", headers={"Authorization": f"Bearer {KEY}"})
        assert left.json() == {
            "account": "main",
            "credit_usd": "0.998000",
            "pay_in_at_the_bank_to": "lm:main",
        }


def test_more_than_the_quota_is_refused(tmp_path: Path) -> None:
    with api(tmp_path, Memory([ANSWER]), requests_per_minute=3) as there:
        for _ in range(3):
            there.ask()
        with pytest.raises(openai.RateLimitError) as refused:
            there.ask()
        assert int(refused.value.response.headers["retry-after"]) >= 1
        assert there.world.facts("lm.refused")[0]["status"] == 429


def test_keys_are_made_and_stop_working(tmp_path: Path) -> None:
    with api(tmp_path, Memory([ANSWER])) as there:
        mine = {"Authorization": f"Bearer {KEY}"}
        made = there.http.post("/v1/keys", json={"name": "second"}, headers=mine)
        assert made.status_code == 201
        second = made.json()["key"]
        assert there.post(key=second).status_code == 200
        keys = there.http.get("/v1/keys", headers=mine).json()
        assert keys == {"keys": ["first", "second"]}
        gone = there.http.delete("/v1/keys/first", headers=mine)
        assert gone.status_code == 204
        assert there.post().status_code == 401
        assert there.api.revoke_all("main") == ("second",)
        assert there.post(key=second).status_code == 401
        states = [each["state"] for each in there.world.facts("lm.key")]
        assert states == ["made", "revoked", "revoked"]


def test_the_hosts_secrets_go_neither_to_the_model_nor_back(tmp_path: Path) -> None:
    model = Memory([Reply("it is sk-of-the-host-1234567890", usage=Usage(10, 5))])
    with api(tmp_path, model) as there:
        said = there.ask(messages=[{"role": "user", "content": "is it sk-of-the-host-1234567890?"}])
        assert "sk-of-the-host-1234567890" not in said.choices[0].message.content
        assert "sk-of-the-host-1234567890" not in model.seen[0].messages[0].text


@dataclass
class Slow(Memory):
    """Answers after a while, so that calls overlap; uses all it was allowed to."""

    busy: int = 0
    most_busy: int = 0
    worst: list[int] = field(default_factory=list)

    async def complete(self, request: Request) -> Reply:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await anyio.sleep(0.05)
        finally:
            self.busy -= 1
        room = int(request.arguments["max_tokens"])
        return Reply("much", usage=Usage(request.size_bytes, room))


@pytest.mark.slow
@pytest.mark.parametrize(
    "limits", [{"usd": 0.05}, {"tokens": 3_000}, {"output_tokens": 2_000}, {"steps": 13}]
)
def test_the_budget_holds_with_eight_callers(
    tmp_path: Path, limits: dict[str, float | int | None]
) -> None:
    model = Slow([], price=DEAR)
    with api(tmp_path, model, limits, requests_per_minute=1000, max_output_tokens=300) as there:
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _: there.post().status_code, range(24)))
        assert set(statuses) == {200, 429}
        assert model.most_busy > 1
        (name, limit) = next(iter(limits.items()))
        assert limit is not None
        spent = Decimal(getattr(there.account.spent, name))
        assert Decimal(str(limit)) / 2 < spent <= Decimal(str(limit))
        assert there.account.reserved.record() == {}
        answered = there.world.facts("lm.answered")
        assert len(answered) == statuses.count(200)
        if name != "tokens":
            assert spent == sum(Decimal(str(each["settled"][name])) for each in answered)


def test_credit_holds_with_eight_callers(tmp_path: Path) -> None:
    accounts = {"main": {"keys": {"first": KEY}, "credit_cents": 3}}
    model = Slow([])
    settings: dict[str, Any] = {
        "requests_per_minute": 1000,
        "max_output_tokens": 300,
        "output_microusd": 10,
    }
    with api(tmp_path, model, accounts=accounts, **settings) as there:
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _: there.post().status_code, range(24)))
        assert set(statuses) == {200, 402}
        assert 0 <= there.world.around.bank.balance("lm:main") <= 1
        charged = sum(each["charged_microusd"] for each in there.world.facts("lm.answered"))
        assert charged <= 3 * 10_000 + 300  # a prompt can have more tokens than was held for it


def test_a_model_that_fails_is_paid_for_and_said_to_be_away(tmp_path: Path) -> None:
    lost = AttemptFailed("cut off", may_be_billed=True, retry_after_s=0.0)
    with api(tmp_path, Memory([lost], price=DEAR), {"usd": 5}) as there:
        with pytest.raises(openai.InternalServerError) as refused:
            there.ask(max_tokens=20)
        assert refused.value.status_code == 503
        (called,), (fact,) = there.world.facts("lm.called"), there.world.facts("lm.refused")
        assert fact["settled"]["output_tokens"] == 2 * called["reserved"]["output_tokens"] == 40
        assert there.account.spent.output_tokens == 40
        assert there.world.around.bank.balance("lm:main") == 500


def test_a_server_that_bills_more_than_it_was_asked_for_ends_the_run(tmp_path: Path) -> None:
    greedy = Reply("much", usage=Usage(100, 10_000))
    with api(tmp_path, Memory([greedy], price=DEAR), {"output_tokens": 500}) as there:
        ended: list[BaseException] = []
        app = there.api.app

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except Overspent as error:
                ended.append(error)

        with on_loopback(watched) as address:
            headers = {"Authorization": f"Bearer {KEY}"}
            body = {"model": "chat-1", "messages": HELLO}
            url = f"{address}/v1/chat/completions"
            assert httpx2.post(url, json=body, headers=headers).status_code == 500
        assert len(ended) == 1
        (fact,) = there.world.facts("lm.refused")
        assert fact["settled"]["output_tokens"] == 10_000
        assert there.post().status_code == 429, "nothing is left of the budget"


def script(task: str) -> Any:
    """Looks, then hands in what it saw, with its task."""
    seen = yield bash("ls")
    yield submit(f"{task}: {seen}")


def test_a_scripted_model_plays_every_conversation_from_its_beginning(tmp_path: Path) -> None:
    with api(tmp_path, Control("script", script)) as there:

        def play(task: str) -> str:
            messages: list[Any] = [{"role": "user", "content": task}]
            while True:
                again = there.ask(tools=TOOLS, messages=messages).choices[0].message
                said = there.ask(tools=TOOLS, messages=messages).choices[0].message
                names = [[each.function.name for each in one.tool_calls] for one in (again, said)]
                assert names[0] == names[1], "asked twice, it says the same"
                (only,) = said.tool_calls
                if only.function.name == "submit":
                    return str(json.loads(only.function.arguments)["answer"])
                seen = {"role": "tool", "tool_call_id": only.id, "content": f"{task}.txt"}
                messages += [said, seen]

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(play, ["one", "two", "three", "four"]))
        assert answers == [f"{each}: {each}.txt" for each in ("one", "two", "three", "four")]
        assert isinstance(bash("x"), Turn)


def test_the_documentation_reads_well(tmp_path: Path) -> None:
    with api(tmp_path, Memory([ANSWER])) as there:
        docs = there.http.get("/").text
        assert "https://llm.internal/v1" in docs
        assert "402" in docs
        assert "{" not in docs.replace('{"', "").replace("[{", "").replace("{url}", "?")
