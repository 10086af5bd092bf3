"""The host's end of the cloud's emulator: starts it, asks it, and says when it is broken.

One process is warmed for as many runs as there are, and makes a child for each (`cloud_moto`).
"""

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Self

import anyio

from agent_eval.world.services.cloud_answers import Answer
from agent_eval.world.services.cloud_calls import Call, Request, passed_on

LENGTHS = struct.Struct(">II")
ANSWER_BYTES = 1024**3
"""The largest answer that is read."""
ANSWER_S = 600.0
"""Seconds for one answer, a busy machine's included; one that works on ends itself before that."""
SETTINGS = {
    "INITIAL_NO_AUTH_ACTION_COUNT": "0",  # every call is to be signed rightly
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "true",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "false",
    "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": str(3 * 1024**3),  # or objects would go to the disk
}
"""The whole environment of the process."""
MODULE = "agent_eval.world.services.cloud_moto"


class EmulatorBroken(Exception):
    """The emulator has ended, or does not answer as it should."""


@dataclass(frozen=True)
class Seen:
    """A machine as the emulator has it."""

    id: str
    state: str
    machine: str
    key: str | None
    public_key: str | None
    user_data: str | None
    """In base64, as it came."""
    private_ip: str
    private_name: str
    public_ip: str | None
    public_name: str | None


@dataclass(frozen=True)
class Account:
    """Who a run's emulator knows."""

    number: str
    region: str
    access_key: str
    secret_key: str
    seed: int

    def order(self) -> bytes:
        """As the process is told."""
        words: dict[str, Any] = dict(vars(self))
        words["account"] = words.pop("number")
        return json.dumps(words).encode()


class Emulators:
    """The process that makes emulators; started when the first is wanted, ended with the block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None
        self._one_at_a_time = threading.Lock()
        self._said: IO[bytes] | None = None

    def last_words(self) -> str:
        """The end of what the processes complained about."""
        if self._said is None:
            return ""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), 2000, max(0, size - 2000)).decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._orders is not None:
            self._orders.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._said is not None:
            self._said.close()
            self._said = None

    def warm(self) -> None:
        """Have it begin, which takes seconds: whoever wants an emulator next waits less."""
        with self._one_at_a_time:
            if self._process is not None and self._process.poll() is None:
                return
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if self._said is None:
                self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the rest
            command = [sys.executable, "-I", "-m", MODULE]
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=self._said,
                    env=SETTINGS,
                    cwd="/",
                    start_new_session=True,
                )
            self._orders = ours

    def made(self, account: Account) -> "Emulator":
        """An emulator of its own for a run; it answers as soon as it is warm."""
        self.warm()
        assert self._orders is not None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._orders, [account.order()], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise EmulatorBroken("the process that makes emulators has ended") from error
        return Emulator(ours, self.last_words)


class Emulator:
    """One run's; asked one thing at a time."""

    def __init__(self, wire: socket.socket, last_words: Callable[[], str]) -> None:
        self._wire = wire
        self._last_words = last_words
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self._broken = ""
        self.patience_s = ANSWER_S
        self.instances: dict[str, Seen] = {}
        """The machines, as they were after the last answer."""
        self.stored_bytes = 0
        """What the buckets hold."""
        self.keys: frozenset[str] = frozenset()
        """The names of the key pairs."""

    async def close(self) -> None:
        """End it."""
        self._broken = self._broken or "it was closed"
        if self._streams is not None:
            self._streams[1].close()
        else:
            self._wire.close()

    async def call(self, call: Call, request: Request) -> Answer:
        """Answer a request that has been read and is allowed; raises `EmulatorBroken`."""
        order = {
            "op": "call",
            "service": call.service,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "host": request.header("host"),
            "headers": passed_on(request),
        }
        reply, content = await self._ask(order, request.body)
        headers = tuple((str(name).lower(), str(value)) for name, value in reply["headers"])
        return Answer(int(reply["status"]), headers, content)

    async def put_state(self, instance: str, name: str, code: int) -> None:
        """Have a machine be in a state from now on."""
        await self._ask({"op": "state", "instance": instance, "name": name, "code": code}, b"")

    async def _ask(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        async with self._turn:
            if self._broken:
                raise EmulatorBroken(self._broken)
            asking = asyncio.create_task(self._exchange(order, body))
            try:
                # One whose asker has gone away is read all the same: the next answer follows it.
                return await asyncio.shield(asking)
            except asyncio.CancelledError:
                with anyio.CancelScope(shield=True):  # whoever cancels does so again and again
                    await asyncio.wait([asking])
                raise

    async def _exchange(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            async with asyncio.timeout(self.patience_s):
                reply, content = await self._sent(order, body)
            self.instances = {each["id"]: Seen(**each) for each in reply.pop("instances")}
            self.stored_bytes = int(reply.pop("stored"))
            self.keys = frozenset(map(str, reply.pop("keys")))
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            self._broken = f"the cloud's emulator broke: {error!r} {self._last_words()}".strip()
            if self._streams is not None:
                self._streams[1].close()
            raise EmulatorBroken(self._broken) from error
        return reply, content

    async def _sent(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(sock=self._wire)
        reader, writer = self._streams
        text = json.dumps(order).encode()
        writer.write(LENGTHS.pack(len(text), len(body)) + text)
        writer.write(body)
        await writer.drain()
        lengths = LENGTHS.unpack(await reader.readexactly(LENGTHS.size))
        if sum(lengths) > ANSWER_BYTES:
            raise ValueError(f"an answer of {sum(lengths)} bytes")
        reply = json.loads(await reader.readexactly(lengths[0]))
        return reply, await reader.readexactly(lengths[1])
