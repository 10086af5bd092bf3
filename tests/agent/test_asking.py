"""Asking the model: reserved before, recorded before, settled on every path."""

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.agent.asking import Asking
from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Reply, ToolCall, Usage
from agent_eval.errors import (
    AgentEvalError,
    LimitReached,
    ModelUnavailable,
    RequestRefused,
    ScenarioError,
    TranscriptBroken,
)
from agent_eval.events.kinds import MessageAdded
from agent_eval.models.base import AttemptFailed
from agent_eval.models.paying import SMALLEST_REPLY_TOKENS
from agent_eval.record.budget import Account, Amounts, limits_of
from agent_eval.record.prices import PriceCard
from agent_eval.record.reading import read_events, rebuild_request
from agent_eval.record.transcript import Transcript
from agent_eval.scenario.model import ModelArguments
from tests.helpers import ModelInMemory, folder, kinds_on_disk

pytestmark = pytest.mark.anyio

TOOLS = [{"type": "function", "function": {"name": "bash"}}]
CARD = PriceCard(Decimal(1000), Decimal(100), Decimal(4000), "d", "s")
USED = Usage(input_tokens=100, output_tokens=20, cached_input_tokens=40, reasoning_tokens=5)


def asking_of(model: Any, transcript: Transcript, **changes: Any) -> Asking:
    """An agent's asking; `budget` and `wanted` as in a scenario."""
    budget = {"usd": 100.0, "tokens": 10**6, "steps": 50} | changes.pop("budget", {})
    wanted = ModelArguments(**changes.pop("wanted", {}))
    asking = Asking(
        name="0",
        model=model,
        tools=changes.pop("tools", TOOLS),
        wanted=wanted,
        account=Account("0", limits_of(budget)),
        transcript=transcript,
        **changes,
    )
    for text in ("frame", "task é"):
        asking.conversation.add(words.user(text))
    return asking


def summed(run: Path) -> dict[str, float]:
    """All that events say was settled."""
    total: dict[str, float] = {}
    for event in read_events(run):
        for name, amount in event.get("settled", {}).items():
            total[name] = total.get(name, 0) + amount
    return total


def check_books(asking: Asking, run: Path) -> None:
    """Nothing is left set aside, and the record adds up to what was spent."""
    assert asking.account.reserved == Amounts()
    spent = {name: value for name, value in asking.account.spent.record().items() if value}
    assert summed(run) == pytest.approx(spent)


async def test_a_call_is_on_record_before_it_leaves_and_its_reply_after(tmp_path: Path) -> None:
    run = tmp_path / "run"
    on_disk: list[list[str]] = []
    model = ModelInMemory([Reply("hello", usage=USED, model="m-1", fingerprint="fp")], CARD)
    with Transcript.create(run) as transcript:
        asking = asking_of(model, transcript)
        model.at_call = lambda: on_disk.append(kinds_on_disk(run))
        reply = await asking.ask()
        assert reply.text == "hello"
        await asking.ask()
        assert asking.conversation.messages[2].text == "hello"
    assert on_disk[0] == ["model.request", "model.called"]
    assert on_disk[1] == ["model.request", "model.called", "model.replied", "model.called"]
    _, called, replied, again, _ = read_events(run)
    assert (called["call"], called["attempt"], called["sees"]) == (1, 1, [[0, 1]])
    assert (again["call"], again["sees"]) == (2, [[0, 2]])
    assert (replied["call"], replied["index"], replied["model"]) == (1, 2, "m-1")
    assert replied["message"] == {"role": "assistant", "content": "hello"}
    usd = float(CARD.cost(USED))
    counted = {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 40}
    assert replied["settled"] == {**counted, "reasoning_tokens": 5, "usd": usd, "steps": 1}
    assert not replied["usage"]["estimated"]
    check_books(asking, run)


async def test_what_was_sent_can_be_rebuilt_from_the_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    failure = AttemptFailed("no", may_be_billed=False, retry_after_s=0)
    called = Reply("b", (ToolCall("c", "x", "{"),), usage=USED)
    model = ModelInMemory([failure, Reply("a", usage=USED), called])
    with Transcript.create(run) as transcript:
        asking = asking_of(model, transcript)
        for index in range(2):
            transcript.write(MessageAdded(index, asking.conversation.messages[index].content))
        for _ in range(3):
            await asking.ask()
    sent = [request.body() for request in model.seen]
    places = [(1, 1), (1, 2), (2, 1), (3, 1)]
    assert [rebuild_request(run, call, attempt) for call, attempt in places] == sent
    leaving = [event for event in read_events(run) if event["kind"] == "model.called"]
    assert [event["request_sha256"] for event in leaving] == [
        hashlib.sha256(body).hexdigest() for body in sent
    ]
    assert kinds_on_disk(run).count("model.request") == 1, "written when it changes"


async def test_nothing_of_a_request_that_stays_here_is_hashed(tmp_path: Path) -> None:
    model = ModelInMemory([Reply("x", usage=USED)], remote=False)
    with Transcript.create(tmp_path / "run") as transcript:
        await asking_of(model, transcript).ask()
    called = [event for event in read_events(tmp_path / "run") if event["kind"] == "model.called"]
    assert "request_sha256" not in called[0]


@pytest.mark.parametrize(("billed", "spent_steps"), [(True, 2), (False, 0)])
async def test_an_attempt_of_unknown_billing_is_settled_in_full(
    tmp_path: Path, billed: bool, spent_steps: int
) -> None:
    run = tmp_path / "run"
    failure = AttemptFailed("cut", may_be_billed=billed, status=500, retry_after_s=0)
    model = ModelInMemory([failure, failure, Reply("x", usage=USED)], CARD)
    with Transcript.create(run) as transcript:
        asking = asking_of(model, transcript)
        await asking.ask()
        assert asking.account.spent.steps == spent_steps + 1
        check_books(asking, run)
    kinds = kinds_on_disk(run)
    assert kinds[1:] == ["model.called", "model.failed"] * 2 + ["model.called", "model.replied"]
    events = list(read_events(run))
    for called, failed in ((events[1], events[2]), (events[3], events[4])):
        assert failed["attempt"] == called["attempt"]
        assert failed["settled"] == (called["reserved"] if billed else {})
        assert (failed["status"], failed["error"], failed["retry_in_s"]) == (500, "cut", 0)


async def test_attempts_stop_when_the_budget_is_gone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    failure = AttemptFailed("cut", may_be_billed=True, retry_after_s=0)
    with Transcript.create(run) as transcript:
        asking = asking_of(ModelInMemory([failure]), transcript, budget={"steps": 2})
        with pytest.raises(LimitReached) as caught:
            await asking.ask()
        assert caught.value.limit == "steps"
        assert kinds_on_disk(run).count("model.called") == 2
        check_books(asking, run)


async def test_the_last_failure_is_the_servers(tmp_path: Path) -> None:
    run = tmp_path / "run"
    failure = AttemptFailed("down", may_be_billed=False, retry_after_s=0)
    with Transcript.create(run) as transcript:
        asking = asking_of(ModelInMemory([failure]), transcript, wanted={"attempts": 3})
        with pytest.raises(ModelUnavailable, match="failed 3 times"):
            await asking.ask()
        assert asking.account.spent == Amounts()
        check_books(asking, run)
    failed = [event for event in read_events(run) if event["kind"] == "model.failed"]
    assert [event.get("retry_in_s") for event in failed] == [0, 0, None]


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (RequestRefused("no"), True),
        (ModelUnavailable("no more"), True),
        (ScenarioError("control failed"), True),
        (ValueError("a fault"), False),
        (KeyboardInterrupt(), False),
        (TranscriptBroken("disk"), False),
    ],
)
async def test_every_other_end_is_settled_and_on_record(
    tmp_path: Path, error: BaseException, free: bool
) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        asking = asking_of(ModelInMemory([error]), transcript)
        with pytest.raises(type(error)):
            await asking.ask()
        assert (asking.account.spent == Amounts()) == free
        check_books(asking, run)
    *_, called, failed = read_events(run)
    assert (failed["kind"], failed["call"], failed["attempt"]) == ("model.failed", 1, 1)
    assert failed["settled"] == ({} if free else called["reserved"])
    assert failed["error"] in (str(error), type(error).__name__)


async def test_a_call_that_is_cancelled_is_settled_in_full(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        asking = asking_of(ModelInMemory([]), transcript)
        with anyio.move_on_after(0.05) as scope:
            await asking.ask()
        assert scope.cancelled_caught
        assert asking.account.spent.steps == 1
        check_books(asking, run)
    assert kinds_on_disk(run)[-2:] == ["model.called", "model.failed"]


async def test_a_record_that_breaks_stops_the_call_before_it_leaves(tmp_path: Path) -> None:
    model = ModelInMemory([Reply("x", usage=USED)])
    transcript = Transcript.create(tmp_path / "run")
    transcript.close()
    asking = asking_of(model, transcript)
    with pytest.raises(TranscriptBroken):
        await asking.ask()
    assert model.seen == [], "nothing is sent that is not on record"
    assert asking.account.reserved == Amounts()


@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        ({"steps": 0}, "steps"),
        ({"tokens": 100}, "tokens"),
        ({"output_tokens": 100}, "output_tokens"),
        ({"usd": 0.1}, "usd"),
        ({"usd": 0.0}, "usd"),
    ],
)
async def test_a_call_whose_worst_cost_does_not_fit_is_not_made(
    tmp_path: Path, budget: dict[str, float], limit: str
) -> None:
    run = tmp_path / "run"
    model = ModelInMemory([Reply("x", usage=USED)], CARD)
    with Transcript.create(run) as transcript:
        asking = asking_of(model, transcript, budget=budget)
        with pytest.raises(LimitReached) as caught:
            await asking.ask()
        assert caught.value.limit == limit
        assert (model.seen, kinds_on_disk(run)) == ([], [])
        check_books(asking, run)


async def test_a_reply_gets_less_room_when_the_budget_is_short(tmp_path: Path) -> None:
    model = ModelInMemory([Reply("x", usage=USED)], CARD)
    with Transcript.create(tmp_path / "run") as transcript:
        whole = asking_of(model, transcript)
        await whole.ask()
        assert model.seen[0].arguments["max_tokens"] == 4096
        size = model.seen[0].size_bytes
        for budget, room in (
            ({"tokens": size + 1000}, 1000),
            ({"output_tokens": 700}, 700),
            ({"usd": float(CARD.worst(size, 300))}, 300),
            ({"tokens": size + 1000, "output_tokens": 900, "usd": 50.0}, 900),
            ({"tokens": size + SMALLEST_REPLY_TOKENS}, SMALLEST_REPLY_TOKENS),
        ):
            asking = asking_of(model, transcript, budget=budget)
            await asking.ask()
            assert model.seen[-1].arguments["max_tokens"] == room, budget
        small = asking_of(model, transcript, wanted={"max_output_tokens": 16})
        await small.ask()
        assert model.seen[-1].arguments["max_tokens"] == 16


@given(
    tokens=st.integers(1, 6000) | st.none(),
    output_tokens=st.integers(1, 3000) | st.none(),
    usd=st.decimals("0.001", 5, places=3) | st.none(),
    card=st.builds(
        PriceCard,
        *[st.decimals(0, 2000, places=2)] * 3,
        as_of=st.just("d"),
        source=st.just("s"),
    ),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    wish=st.integers(16, 5000),
)
def test_no_budget_is_passed_while_a_server_keeps_to_its_cap(
    tokens: int | None,
    output_tokens: int | None,
    usd: Decimal | None,
    card: PriceCard,
    shares: list[tuple[float, float]],
    wish: int,
) -> None:
    async def main(parent: Path) -> None:
        with Transcript.create(parent / "run") as transcript:
            budget = {"tokens": tokens, "output_tokens": output_tokens, "steps": 6}
            budget["usd"] = float(usd) if usd is not None else None  # type: ignore[assignment]
            model = ModelInMemory([], card)
            asking = asking_of(model, transcript, budget=budget, wanted={"max_output_tokens": wish})
            try:
                for read, written in shares:
                    request, worst = asking._prepare()
                    cap = request.arguments["max_tokens"]
                    used = Usage(int(read * worst.input_tokens), int(written * cap))
                    model.answers = [Reply("y" * 50, usage=used)]
                    await asking.ask()
            except LimitReached as error:
                assert asking.account.limits[error.limit] >= 0
            for name, limit in asking.account.limits.items():
                assert getattr(asking.account.spent, name) <= limit
            assert asking.account.spent.steps <= 6
            assert asking.account.reserved == Amounts()

    with folder() as parent:
        anyio.run(main, parent)


async def test_a_prompt_that_was_counted_is_reserved_by_its_count(tmp_path: Path) -> None:
    run = tmp_path / "run"
    model = ModelInMemory([Reply("x" * 400, usage=USED), Reply("y", usage=None)])
    with Transcript.create(run) as transcript:
        asking = asking_of(model, transcript)
        for _ in range(3):
            await asking.ask()
    called = [event for event in read_events(run) if event["kind"] == "model.called"]
    first, second, _ = (event["reserved"]["input_tokens"] for event in called)
    assert first == model.seen[0].size_bytes, "a token a byte at most"
    grown = model.seen[1].size_bytes - model.seen[0].size_bytes
    assert second == USED.input_tokens + grown
    for request in model.seen:
        assert abs(request.size_bytes - len(request.body())) < 40


async def test_missing_usage_is_estimated_and_marked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    calls = (ToolCall("c", "bash", "z" * 400),)
    model = ModelInMemory([Reply("x" * 400, calls, "r" * 400, usage=None)], CARD)
    with Transcript.create(run) as transcript:
        asking = asking_of(model, transcript)
        reply = await asking.ask()
        assert reply.usage is not None
        check_books(asking, run)
    replied = list(read_events(run))[-1]
    assert replied["usage"]["estimated"]
    assert replied["usage"]["output_tokens"] == 301
    assert replied["settled"]["usd"] > 0


async def test_calls_that_were_not_offered_do_not_enter_the_conversation(tmp_path: Path) -> None:
    model = ModelInMemory([Reply("text", (ToolCall("c", "bash", "{}"),), usage=USED)])
    with Transcript.create(tmp_path / "run") as transcript:
        asking = asking_of(model, transcript, tools=())
        assert (await asking.ask()).calls == ()
        assert asking.conversation.messages[-1].content == {"role": "assistant", "content": "text"}


def test_errors_of_ours_are_what_they_are_said_to_be() -> None:
    assert issubclass(ModelUnavailable, AgentEvalError)
    assert not issubclass(AttemptFailed, AgentEvalError), "it never leaves the models"
