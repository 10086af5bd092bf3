"""Reports of PID 1: every question that the host asks, answered by a liar."""

import asyncio
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import anyio
import anyio.lowlevel

from agent_eval.errors import SandboxDied
from agent_eval.record.transcript import line_of
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.pipe import Pipe
from agent_eval.sandbox.supervisor import Execution, Supervisor
from tests.fuzz.targets.pieces import said

ROOM = 64
TURNS = 2
"""Turns of the loop before PID 1 says its next piece, so that the next question is asked."""

SEEDS = (
    b'c0{"op":"ready","python":[]}\nc0{"op":"seen","channel":1,"root":{}}\nd1{}\n'
    b'c0{"op":"ended","channel":1}\nc0{"op":"done","channel":2,"action":1,"exit":0}\nd2hi\n'
    b'c0{"op":"done","channel":2,"action":2,"exit":1e9}\nc0{"op":"ended","channel":3,"exit":0}\n'
    b'c0{"op":"ended","channel":4,"exit":1}\nc0{"op":"frozen","moving":0}',
    b'c0{"op":"error","message":{"a":[]}}',
    b'c0{"op":"ready"}\nd1' + b"x" * 70000,
    b'c0{"op":"ready"}\nc0{"op":"x","channel":1}\nc0{"channel":1}\nc0{"op":"ended","channel":2}\n'
    b'd3no room\nc0{"op":"ended","channel":3,"exit":1,"message":"no"}',
)

T = TypeVar("T")

LOOP = asyncio.new_event_loop()


class Lies:
    """PID 1 that takes every order and says what it was going to say anyway."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    async def send(self, data: bytes) -> None:
        pass

    async def receive(self) -> bytes:
        for _ in range(TURNS):
            await anyio.lowlevel.checkpoint()
        return next(self.pieces, b"")


def check(data: bytes) -> None:
    """Each question has an answer of its type that can be recorded, or the sandbox died."""
    LOOP.run_until_complete(asked(said(data)))


async def asked(pieces: list[bytes]) -> None:
    """Ask everything, in the order of a run."""
    pipe = Pipe(Lies(iter(pieces)))
    supervisor = Supervisor(pipe, ROOM)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipe.serve)
        assert isinstance(await died(supervisor.ready(), ""), str)
        root, child = await died(supervisor.look("192.0.2.1"), ({}, ""))
        line_of({"root": root, "child": child})
        for code in ("first", "second"):
            done = await died(supervisor.execute("bash", code, 5, ROOM), None)
            if done is not None:
                holds(done)
        await died(supervisor.put([File("/home/user/x", b"x")]), None)
        files, refused = await died(supervisor.get(["/home/user"], 4096), ([], []))
        line_of({"files": [file.path for file in files], "refused": refused})
        assert isinstance(await died(supervisor.freeze(), 0), int)
        tasks.cancel_scope.cancel()


async def died(answer: Awaitable[T], otherwise: T) -> T:
    """The answer; the sandbox may have died."""
    try:
        return await answer
    except SandboxDied as error:
        line_of({"message": str(error), "blame": error.blame})
        return otherwise


def holds(done: Execution) -> None:
    """What the host believes of an action is within its limits."""
    assert len(done.output) <= ROOM
    assert done.reported_exit is None or abs(done.reported_exit) < 2**31
    assert (done.cause, done.rung) in {(None, "none"), ("output", "kill"), ("timeout", "kill"),
                                       ("timeout", "interrupt")}  # fmt: skip
