"""The one place where an attempt is made again.

The client's own retries are off. Each attempt is on record with its cost before the next begins,
and a server that says how long to wait is obeyed.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from agent_eval.errors import ModelUnavailable
from agent_eval.models.base import AttemptFailed

Answer = TypeVar("Answer")

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


class _AsTold(wait_base):
    """What the server asked for, otherwise a random wait that doubles."""

    def __init__(self) -> None:
        self._otherwise = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, AttemptFailed) and error.retry_after_s is not None:
            return error.retry_after_s
        return self._otherwise(retry_state)


async def with_retries(
    attempt: Callable[[int], Awaitable[Answer]],
    failed: Callable[[int, AttemptFailed, float | None], None],
    attempts: int,
) -> Answer:
    """Call `attempt(n)`, n from 1, until it answers.

    `failed(n, error, retry_in_s)` is called after each failure, with None when no other attempt
    follows. Raises `ModelUnavailable` when the last has failed.
    """

    def note(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, AttemptFailed):
            failed(state.attempt_number, error, state.upcoming_sleep)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(AttemptFailed),
        wait=_AsTold(),
        stop=stop_after_attempt(attempts),
        before_sleep=note,
        sleep=anyio.sleep,
        reraise=True,
    )
    number = 0
    try:
        async for state in retrying:
            with state:
                number = state.retry_state.attempt_number
                return await attempt(number)
    except AttemptFailed as error:
        failed(number, error, None)
        raise ModelUnavailable(
            f"the model's server failed {number} times, the last time with: {error}. Is it up, and "
            "is its address right? -M attempts=N tries more often"
        ) from error
    raise AssertionError("unreachable: tenacity returns or raises")
