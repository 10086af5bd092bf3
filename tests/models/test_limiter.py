"""How much one server is asked at a time, by all runs of the process together."""

import time

import anyio
import pytest

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Request
from agent_eval.models.base import AttemptFailed
from agent_eval.models.endpoint import MAX_CONNECTIONS, Endpoint, from_environment
from agent_eval.models.limiter import Limiter, Limiters
from agent_eval.models.openai_chat import OpenAIChat
from agent_eval.scenario.model import ModelArguments
from tests.models.server import Answer, Server, completion, point_at, serving

pytestmark = pytest.mark.anyio

REQUEST = Request([words.user("hello")], (), {"model": "m"})


async def test_no_more_than_so_many_have_a_turn_at_once() -> None:
    limiter, busy, seen = Limiter(3), 0, []

    async def one() -> None:
        nonlocal busy
        async with limiter.turn():
            busy += 1
            seen.append(busy)
            await anyio.sleep(0.005)
            busy -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(one)
    assert (len(seen), max(seen)) == (30, 3)


async def test_a_place_is_given_back_by_whoever_is_cancelled_or_fails() -> None:
    limiter = Limiter(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="x"):
            async with limiter.turn():
                raise ValueError("x")
        with anyio.move_on_after(0):
            async with limiter.turn():
                await anyio.sleep_forever()
    async with limiter.turn():
        with anyio.move_on_after(0.02) as scope:
            async with limiter.turn():
                raise AssertionError("there was one place")
        assert scope.cancelled_caught
    with anyio.fail_after(60):
        async with limiter.turn():
            pass


async def test_everyone_waits_for_as_long_as_the_server_said() -> None:
    limiter = Limiter(8)
    limiter.refused(0.2)
    limiter.refused(0.1)
    started, waited = time.monotonic(), []

    async def one() -> None:
        async with limiter.turn():
            waited.append(time.monotonic() - started)
            limiter.answered()

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
    assert len(waited) == 5
    assert min(waited) >= 0.2 - 0.02


async def test_after_a_pause_the_server_is_asked_slowly() -> None:
    limiter, busy, seen = Limiter(100), 0, []

    async def one(refused: bool) -> None:
        nonlocal busy
        async with limiter.turn():
            busy += 1
            seen.append(busy)
            await anyio.sleep(0.01)
            busy -= 1
            if refused:
                limiter.refused(0.0)
            else:
                limiter.answered()

    async def many(count: int, refused: bool) -> list[int]:
        seen.clear()
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one, refused)
        return list(seen)

    assert max(await many(16, refused=True)) == 16
    limiter._safe = 12.0  # each refusal was a flood of its own, for the pause was of no time
    rising = await many(200, refused=False)
    assert rising[0] == 1, "first one alone"
    assert max(rising[:3]) <= 2, "then two"
    assert max(rising[:7]) <= 4, "then four"
    assert max(rising[:40]) <= 13, "quickly to a part of what was too much"
    assert 13 <= max(rising) <= 30, "and slowly on from there"


async def test_a_server_that_never_answered_is_asked_slowly_at_first() -> None:
    limiter, busy, seen = Limiters().of(Endpoint("a", "m1", "http://x/v1")), 0, []

    async def one() -> None:
        nonlocal busy
        async with limiter.turn():
            busy += 1
            seen.append(busy)
            await anyio.sleep(0.01)
            busy -= 1
            limiter.answered()

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one)
    assert max(seen[:2]) == 2, "first two"
    assert max(seen[:6]) <= 4, "then four"
    assert max(seen) == MAX_CONNECTIONS, "and soon as many as it may be asked"


async def test_answers_from_before_the_pause_do_not_end_it() -> None:
    limiter = Limiter(8)
    limiter.refused(5.0)
    for _ in range(9):
        limiter.answered()
    assert (limiter._room, limiter._refusals) == (1.0, 1)


def test_a_server_that_says_no_more_often_is_left_alone_longer() -> None:
    limiter, pauses = Limiter(4), []
    for _ in range(9):
        now = time.monotonic()
        limiter._again_at = 0  # the pause is over
        limiter.refused(None)
        limiter.refused(None)  # another of the same flood
        pauses.append(round(limiter._again_at - now))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    limiter._again_at = 0
    limiter.answered()
    now = time.monotonic()
    limiter.refused(None)
    assert round(limiter._again_at - now) == 1, "an answer makes good"


def test_models_of_one_account_share_a_limiter() -> None:
    limiters = Limiters()
    one = limiters.of(Endpoint("a", "m1", "http://x/v1"))
    assert limiters.of(Endpoint("b", "m2", "http://x/v1")) is one
    assert limiters.of(Endpoint("c", "m1", "http://y/v1")) is not one
    assert limiters.of(Endpoint("d", "m1", "http://x/v1", key_variable="OTHER")) is not one


async def test_a_limiter_outlives_an_event_loop() -> None:
    limiter = Limiter(1)

    async def two() -> None:
        async def one() -> None:
            async with limiter.turn():
                await anyio.sleep(0.001)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)

    for _ in range(2):
        await anyio.to_thread.run_sync(anyio.run, two)


@pytest.mark.slow
@pytest.mark.parametrize("limited", [True, False])
async def test_fifty_at_once_get_through_a_server_that_takes_few(
    monkeypatch: pytest.MonkeyPatch, limited: bool
) -> None:
    def takes_three(there: Server) -> Answer:
        if there.busy > 3:
            return Answer({"error": "too much"}, 429, {"Retry-After": "0.05"})
        return Answer(completion("ok"), delay_s=0.02)

    said: list[str] = []
    with serving(takes_three) as server:
        point_at(monkeypatch, server.address)
        limiter = Limiter(3 if limited else 50)
        model = OpenAIChat(from_environment("m"), ModelArguments(), None, limiter)

        async def one() -> None:
            for _ in range(30):
                async with model.turn():
                    try:
                        said.append((await model.complete(REQUEST)).text)
                    except AttemptFailed:
                        continue
                    return

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(one)
        await model.close()
    assert said == ["ok"] * 50
    refused = len(server.came) - 50
    if limited:
        assert (server.most_busy, refused) == (3, 0)
    else:
        assert 0 < refused < 200, "the first flood, and a few that feel their way"
