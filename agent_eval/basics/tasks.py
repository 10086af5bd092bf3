"""Tasks that run beside a block or each other, and end together."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def beside() -> AsyncIterator[TaskGroup]:
    """A task group that is cancelled at the end of the block.

    An error of the block comes out as itself and not in a group, so that callers can catch it.
    """
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        error = first_of(group)
        raise error from error.__cause__


async def together(work: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Do all of it side by side; the first error ends the rest and comes out as itself."""
    try:
        async with anyio.create_task_group() as tasks:
            for each in work:
                tasks.start_soon(each)
    except BaseExceptionGroup as group:
        error = first_of(group)
        raise error from error.__cause__


def first_of(error: BaseException) -> BaseException:
    """The error itself, out of whatever groups it is in; of several, the one that came first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
