"""What the network of a sandbox costs: small requests, many streams, bulk, and readers that stall.

The servers run in the harness's own process, as the services of a world do, behind socket pairs.
The same programs run inside and, over loopback, on the host. The raw pipe is what a session prints
and what a program reads from files that are put there, by the same sandbox in the same run. Of many
streams all are open and have begun before any of them goes on, and only then the time begins; small
requests beside them are counted while every one of them goes on, and compared with idle ones right
before and after, several times over.

    .venv/bin/python benchmarks/gateway.py            # both runtimes, three minutes
    .venv/bin/python benchmarks/gateway.py --runtime runc --json
"""

import argparse
import asyncio
import json
import secrets
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from figures import as_lines, machine, median_ms

from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import Engine, runtime_for
from agent_eval.sandbox.network import Network
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.settings import asked_for
from agent_eval.scenario.model import Sandbox as Wishes

LEASE_S, PATIENCE_S = 1200, 300.0
ROUNDS, BESIDE_S, FIFTY = 3, 4.0, 50
ADDRESS, SMALL, BULK, TAKE, NEVER = "127.128.0.1", 7, 19, 9, 11
MB = 1_000_000
CHUNK = bytes(65536)

CLIENT = """
import json, socket, threading, time
threading.stack_size(262144)
def small(count, again):
    times, sock = [], None
    for _ in range(count):
        began = time.perf_counter()
        if again or sock is None:
            sock = socket.create_connection(WHERE[7])
            sock.setsockopt(6, 1, 1)
        sock.sendall(b"x" * 200)
        left = 1000
        while left:
            left -= len(sock.recv(left))
        times.append(time.perf_counter() - began)
        if again:
            sock.close()
    return times
def asked(size):
    sock = socket.create_connection(WHERE[19])
    sock.sendall(b"%d\\n" % size)
    assert sock.recv(1) == b"!"
    return sock
def drained(sock):
    sock.sendall(b"go\\n")
    size = 0
    while part := sock.recv(262144):
        size += len(part)
    return size
def down(size):
    sock, began = asked(size), time.perf_counter()
    assert drained(sock) == size
    return time.perf_counter() - began
def up(size):
    sock, began, part = socket.create_connection(WHERE[9]), time.perf_counter(), bytes(65536)
    while size > 0:
        sock.sendall(part)
        size -= len(part)
    sock.shutdown(1)
    sock.recv(100)
    return time.perf_counter() - began
def many(count, size):
    ends, sizes, began = [], [], []
    all_there = threading.Barrier(count, lambda: began.append(time.perf_counter()))
    def one():
        sock = asked(size)
        all_there.wait()
        sizes.append(drained(sock))
        ends.append(time.perf_counter() - began[0])
    threads = [threading.Thread(target=one) for _ in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return ends, sizes
def stalled(count):
    global held
    held = [socket.create_connection(WHERE[19]) for _ in range(count)]
    [sock.sendall(b"1000000000\\ngo\\n") for sock in held]
    time.sleep(8)
    [sock.close() for sock in held]
def stalled_up(count):
    global held
    held = [socket.create_connection(WHERE[11]) for _ in range(count)]
    part = bytes(65536)
    for sock in held:
        sock.settimeout(0.05)
    for _ in range(60):
        for sock in held:
            try:
                sock.send(part)
            except OSError:
                pass
    time.sleep(1)
    [sock.close() for sock in held]
"""


async def small(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readexactly(200):
        writer.write(CHUNK[:1000])


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(262144):
        pass
    writer.write(b"done")


async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(PATIENCE_S)


class Servers:
    """The other end of the network, reached through the sandbox or over loopback."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.pouring = 0
        """Streams of bulk that go on."""
        self.fifty = asyncio.Event()
        """Set as the fiftieth of them begins."""
        self.enough = asyncio.Event()
        """Ends those of them that have no end of their own."""
        self.kinds = {SMALL: small, BULK: self.pour, TAKE: take, NEVER: never}

    async def connect(self, _address: str, port: int) -> socket.socket:
        """For the sandbox's network: a server of that port, whatever the address."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        task = asyncio.create_task(self.serve(port, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours

    async def serve(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            await self.kinds[port](reader, writer)
        writer.close()

    async def pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin, wait for the word, and send so many bytes; for 0, until it is enough."""
        size = int(await reader.readline())
        writer.write(b"!")
        await reader.readline()
        left = size
        self.pouring += 1
        if self.pouring == FIFTY:
            self.fifty.set()
        try:
            while left > 0 if size else not self.enough.is_set():
                writer.write(CHUNK[:left] if size else CHUNK)
                await writer.drain()
                left -= len(CHUNK)
        finally:
            self.pouring -= 1

    async def on_loopback(self) -> dict[int, tuple[str, int]]:
        """Serve there, too; where which of them is."""
        where = {}
        for port in self.kinds:
            server = await asyncio.start_server(partial(self.serve, port), "127.0.0.1")
            where[port] = server.sockets[0].getsockname()
        return where


class Inside:
    """The client in the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def run(self, code: str) -> Any:
        """What an expression comes to, as JSON."""
        text = f"print(json.dumps({code}))"
        ended = await self._sandbox.execute("python", text, PATIENCE_S, 10 * MB)
        return json.loads(ended.output)


async def on_host(where: dict[int, tuple[str, int]], code: str) -> Any:
    """The same on the host, in a process of its own."""
    program = f"WHERE = {where}\n{CLIENT}\nprint(json.dumps({code}))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return json.loads(out)


def resident_mb() -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


async def most_resident(task: Any) -> tuple[Any, float]:
    """What comes of it, and by how much this process grew meanwhile, in MB."""
    before = most = resident_mb()
    going = asyncio.ensure_future(task)
    while not going.done():
        await asyncio.sleep(0.1)
        most = max(most, resident_mb())
    return await going, round(most - before, 1)


def spread(name: str, seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p95 = round(ordered[int(0.95 * (len(ordered) - 1))] * 1000, 2)
    return {f"{name}_p50_ms": median_ms(seconds), f"{name}_p95_ms": p95}


async def measured(sandbox: Sandbox, servers: Servers, size: int) -> dict[str, Any]:
    inside, where = Inside(sandbox), await servers.on_loopback()
    there = {port: (ADDRESS, port) for port in servers.kinds}
    await sandbox.execute("python", f"WHERE = {there}\n{CLIENT}", PATIENCE_S, MB)
    found: dict[str, Any] = {}
    for name, call in (("small", "small(300, False)"), ("small_new", "small(200, True)")):
        found |= spread(name, await inside.run(call))
        found |= spread(f"{name}_loopback", await on_host(where, call))
    for name in ("down", "up"):
        found[f"{name}_mb_s"] = round(size / await inside.run(f"{name}({size})") / MB, 1)
        loopback = await on_host(where, f"{name}({size})")
        found[f"{name}_loopback_mb_s"] = round(size / loopback / MB, 1)
    found |= await raw(sandbox, size)
    ends, _ = await inside.run(f"many(100, {MB})")
    found["hundred_first_s"], found["hundred_last_s"] = round(min(ends), 2), round(max(ends), 2)
    found["hundred_mb_s"] = round(100 / max(ends), 1)
    found |= await beside(sandbox, servers, there)
    for name, call in (("readers", "stalled(100)"), ("servers", "stalled_up(100)")):
        _, grown = await most_resident(inside.run(call))
        found[f"stalled_{name}_mb"] = grown
    return found


async def beside(
    sandbox: Sandbox, servers: Servers, there: dict[int, tuple[str, int]]
) -> dict[str, Any]:
    """Small requests while fifty streams of another program inside go on, and without them."""
    code = f"WHERE = {there}\n{CLIENT}\nprint(json.dumps(many({FIFTY}, 0)))"
    await sandbox.put([File("/tmp/many.py", code.encode())])
    inside = Inside(sandbox)
    all_times: list[float] = []
    ratios: list[float] = []
    mb_s: list[float] = []
    idle = await inside.run("small(100, False)")
    for _ in range(ROUNDS):
        times, bulk_mb_s = await beside_once(sandbox, servers)
        after = await inside.run("small(100, False)")
        ratios.append(round(median_ms(times) / median_ms(idle + after), 1))
        all_times, idle = all_times + times, after
        mb_s.append(bulk_mb_s)
    ratios.sort()
    return spread("small_beside_50", all_times) | {
        "beside_over_idle": ratios[ROUNDS // 2],
        "beside_over_idle_rounds": ratios,
        "fifty_mb_s": round(sorted(mb_s)[ROUNDS // 2], 1),
    }


async def beside_once(sandbox: Sandbox, servers: Servers) -> tuple[list[float], float]:
    """How long small requests took, and what the fifty brought meanwhile, in MB a second."""
    servers.enough.clear()
    servers.fifty.clear()
    going = asyncio.ensure_future(sandbox.execute("bash", "python3 /tmp/many.py", PATIENCE_S, MB))
    async with asyncio.timeout(PATIENCE_S):
        await servers.fifty.wait()
    times: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < BESIDE_S:
        times += await Inside(sandbox).run("small(25, False)")
        assert servers.pouring == FIFTY, "all of them go on"
    servers.enough.set()
    ends, sizes = json.loads((await going).output)
    return times, sum(sizes) / max(ends) / MB


async def raw(sandbox: Sandbox, size: int) -> dict[str, float]:
    """The pipe without streams: what a session prints, and files that are put there."""
    began = time.perf_counter()
    printed = await sandbox.execute("bash", f"head -c {size} /dev/zero", PATIENCE_S, size + MB)
    assert len(printed.output) == size
    out = size / (time.perf_counter() - began) / MB
    file = File("/tmp/bulk", bytes(size), mode=0o600)
    began = time.perf_counter()
    await sandbox.put([file])
    into = size / (time.perf_counter() - began) / MB
    await sandbox.execute("bash", "rm /tmp/bulk", PATIENCE_S, MB)
    return {"raw_out_mb_s": round(out, 1), "raw_in_mb_s": round(into, 1)}


async def benchmark(wish: str, size: int) -> dict[str, Any]:
    engine, servers = Engine(), Servers()
    wishes = Wishes.model_validate({"tmp_bytes": "100MB", "cpus": 2, "memory_bytes": "3GB"})
    try:
        run = f"benchmark-gateway-{secrets.token_hex(3)}"
        runtime = runtime_for(wish, await engine.facts())
        lease = int(time.time()) + LEASE_S
        asked = asked_for(wishes, run, runtime, lease, networked=True)
        container = await engine.create(asked, COMMAND)
        network = Network(servers.connect, lambda _name: ADDRESS)
        try:
            async with opened(container, asked, MB, network=network) as sandbox:
                found = await measured(sandbox, servers, size)
                return {"ready_s": round(sandbox.ready_s, 2), **found}
        finally:
            await container.remove()
    finally:
        engine.close()


def goals(found: dict[str, Any], runtime: str) -> dict[str, str]:
    """Each goal, what was measured for it, and whether it is met."""
    more_ms = found["small_p50_ms"] - found["small_loopback_p50_ms"]
    up, down = (
        found[f"{a}_mb_s"] / found[f"raw_{b}_mb_s"] for a, b in (("up", "out"), ("down", "in"))
    )
    spread_s = found["hundred_last_s"] / found["hundred_first_s"]
    stalled = max(found["stalled_readers_mb"], found["stalled_servers_mb"])
    rows = [
        ("small request: ms more than loopback, at most 3", more_ms, more_ms <= 3),
        ("beside 50 bulk streams: times idle, at most 5", *_at_most(found["beside_over_idle"], 5)),
        ("100 streams: last end over first, at most 2", *_at_most(spread_s, 2)),
        ("bulk from the sandbox: part of raw, at least 0.5", up, up >= 0.5),
        ("bulk into the sandbox: part of raw, at least 0.5", down, down >= 0.5),
        ("100 that stall: MB more of the harness, at most 128", *_at_most(stalled, 128)),
    ]
    if runtime != "runc":
        del rows[0]  # asked of runc alone
    return {name: f"{value:.2f} {'met' if met else 'MISSED'}" for name, value, met in rows}


def _at_most(value: float, most: float) -> tuple[float, bool]:
    return value, value <= most


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the network of a sandbox.")
    parser.add_argument("--runtime", choices=("runc", "runsc", "both"), default="both")
    parser.add_argument("--megabytes", type=int, default=50, help="bulk each way")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for runtime in ("runc", "runsc") if asked.runtime == "both" else (asked.runtime,):
        about = machine()
        found = anyio.run(benchmark, runtime, asked.megabytes * MB)
        figures = {"runtime": runtime, **found, **goals(found, runtime), **about}
        print(json.dumps(figures) if asked.json else as_lines(figures), flush=True)


if __name__ == "__main__":
    main()
