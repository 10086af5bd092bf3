"""All files of a sandbox, out through its pipe into one archive, and from there into another.

Packed and laid out by children of PID 1 as the agent's user: nothing on the host ever looks into an
archive, and whatever one holds is done with the powers that the agent has anyway.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import anyio

from agent_eval.errors import NoSnapshot
from agent_eval.sandbox.frames import MAX_PAYLOAD_BYTES
from agent_eval.sandbox.pipe import Channel, Pipe

WINDOW_BYTES = 4 * 1024 * 1024
"""What may be under way into a sandbox and not be laid out; PID 1 has to keep it meanwhile."""

SLOWEST_BYTES_PER_S = 1024 * 1024
"""What a sandbox has to do at least, after a minute to begin with."""

SAID_BYTES = 16 * 1024
FAILED = 126
"""The status of a child that could do nothing at all."""


async def save(pipe: Pipe, folders: list[str], limit_bytes: int, file: BinaryIO) -> int:
    """Write all that is in some folders to a file as an archive; returns how much was left out.

    That is a number of files and folders; 100 means as many or more.
    """
    # An archive is larger than what is in it; the child counts roughly, and this is the end of it.
    channel = pipe.sink(limit_bytes * 2, file)
    async with _transfer(pipe, channel, limit_bytes):
        order = {"folders": folders, "limit": limit_bytes}
        await pipe.order("copying", what="save", channel=channel.number, **order)
        report = await pipe.report(channel)
        if report is None:
            why = channel.failed and channel.failed.strerror
            raise NoSnapshot(
                "the files of the sandbox could not be written: "
                f"{why or 'they are more than it has room for'}"
            )
        return _left_out(report, channel)


async def lay_out(pipe: Pipe, file: BinaryIO, size_bytes: int) -> int:
    """Have a sandbox make what an archive was made of; returns how much it could not make."""
    channel = pipe.channel(SAID_BYTES)
    async with _transfer(pipe, channel, size_bytes):
        order = {"channel": channel.number, "size": size_bytes}
        await pipe.order("copying", what="lay_out", **order)
        sent = taken = 0
        while data := file.read(MAX_PAYLOAD_BYTES):
            await pipe.data(channel, data)
            sent += len(data)
            while sent - taken > WINDOW_BYTES:
                report = await pipe.report(channel)
                if report is None or report.get("op") != "took":
                    return _left_out(report, channel)
                total = report.get("total")
                taken = total if isinstance(total, int) else taken
        await pipe.end_data(channel)
        while (report := await pipe.report(channel)) and report.get("op") == "took":
            pass
        return _left_out(report, channel)


@asynccontextmanager
async def _transfer(pipe: Pipe, channel: Channel, size_bytes: int) -> AsyncIterator[None]:
    """Give a transfer time according to its size, and leave nothing of it behind."""
    wait_s = 60 + size_bytes / SLOWEST_BYTES_PER_S
    try:
        with anyio.fail_after(wait_s):
            yield
    except BaseException as error:
        if pipe.died is None:
            with anyio.CancelScope(shield=True):
                await pipe.order("copying", what="drop", channel=channel.number)
        if isinstance(error, TimeoutError):
            raise NoSnapshot(f"the files were not moved within {wait_s:.0f} s") from error
        raise
    finally:
        pipe.forget(channel)


def _left_out(report: dict[str, Any] | None, channel: Channel) -> int:
    """How much was left out, as the child's status says; raises if all of it was."""
    status = (report or {}).get("exit")
    if isinstance(status, int) and 0 <= status < FAILED:
        return status
    said = channel.take()[0].decode(errors="replace").strip()[-300:]
    raise NoSnapshot(f"the files of a sandbox could not be moved: {said or report}")
