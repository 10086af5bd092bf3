"""The one place where an attempt is made again."""

import time
from collections.abc import Awaitable, Callable

import anyio
import pytest

from agent_eval.basics.conversation import Reply
from agent_eval.errors import Blame, LimitReached, ModelUnavailable, RequestRefused
from agent_eval.models.base import AttemptFailed
from agent_eval.models.retry import with_retries

pytestmark = pytest.mark.anyio

Failures = list[tuple[int, str, float | None]]


def attempts_of(
    *outcomes: Reply | BaseException,
) -> tuple[list[int], Callable[[int], Awaitable[Reply]]]:
    """An attempt that meets these in turn, and the numbers it was called with."""
    numbers: list[int] = []

    async def attempt(number: int) -> Reply:
        numbers.append(number)
        outcome = outcomes[min(len(numbers), len(outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return numbers, attempt


def failure(words: str = "no", wait_s: float | None = 0) -> AttemptFailed:
    return AttemptFailed(words, may_be_billed=False, retry_after_s=wait_s)


async def tried(
    attempts: int, *outcomes: Reply | BaseException
) -> tuple[Reply, list[int], Failures]:
    numbers, attempt = attempts_of(*outcomes)
    failures: Failures = []

    def failed(number: int, error: AttemptFailed, retry_in_s: float | None) -> None:
        assert len(numbers) == number, "told before the next attempt begins"
        failures.append((number, str(error), retry_in_s))

    reply = await with_retries(attempt, failed, attempts)
    return reply, numbers, failures


async def test_an_answer_at_once_is_one_attempt() -> None:
    assert await tried(5, Reply("x")) == (Reply("x"), [1], [])


async def test_attempts_are_numbered_and_each_failure_told() -> None:
    reply, numbers, failures = await tried(5, failure("a"), failure("b", 0.05), Reply("x"))
    assert (reply.text, numbers) == ("x", [1, 2, 3])
    assert failures == [(1, "a", 0), (2, "b", 0.05)]


async def test_the_last_failure_ends_it_with_what_it_said() -> None:
    for attempts in (1, 3):
        numbers, attempt = attempts_of(failure("still down"))
        failures: Failures = []
        with pytest.raises(ModelUnavailable, match=f"failed {attempts} times.*still down") as it:
            await with_retries(
                attempt,
                lambda *what: failures.append((what[0], str(what[1]), what[2])),  # noqa: B023
                attempts,
            )
        assert "-M attempts=N" in str(it.value)
        assert it.value.blame is Blame.INFRASTRUCTURE
        assert numbers == list(range(1, attempts + 1))
        assert [(number, wait) for number, _, wait in failures] == [
            *((number, 0) for number in range(1, attempts)),
            (attempts, None),
        ]


@pytest.mark.parametrize(
    "error",
    [RequestRefused("no"), LimitReached("usd", "no"), ValueError("no"), KeyboardInterrupt()],
)
async def test_what_no_retry_can_mend_is_not_tried_again(error: BaseException) -> None:
    numbers, attempt = attempts_of(failure(), error)
    failures: Failures = []
    with pytest.raises(type(error)) as caught:
        await with_retries(
            attempt,
            lambda *what: failures.append((what[0], str(what[1]), what[2])),
            5,
        )
    assert caught.value is error
    assert numbers == [1, 2]
    assert len(failures) == 1


async def test_without_a_word_of_the_server_the_wait_is_short_and_random() -> None:
    started = time.monotonic()
    _, _, failures = await tried(2, failure(wait_s=None), Reply("x"))
    waited_s = failures[0][2]
    assert waited_s is not None
    assert 0 <= waited_s <= 1
    assert time.monotonic() - started >= waited_s


async def test_a_wait_and_an_attempt_can_be_cancelled() -> None:
    async def forever(_number: int) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError

    _, waits = attempts_of(failure(wait_s=500))
    for attempt in (forever, waits):
        failures: Failures = []
        with anyio.move_on_after(0.05) as scope:
            await with_retries(
                attempt,
                lambda *what: failures.append((what[0], str(what[1]), what[2])),  # noqa: B023
                5,
            )
        assert scope.cancelled_caught
        assert len(failures) == (0 if attempt is forever else 1)
