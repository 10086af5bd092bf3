"""A sandbox with a network: everything its programs try to reach comes to the host, and only there.

One sandbox for each runtime serves most of the tests here; the last of them is what it was told.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agent_eval.sandbox.container import Sandbox
from tests.docker.boxes import RUNTIMES, bash, box, python
from tests.docker.copies import family
from tests.sandbox.outside import ADDRESS, Outside

pytestmark = pytest.mark.docker

ON_EACH = pytest.mark.parametrize("runtime", RUNTIMES)


@asynccontextmanager
async def connected(runtime: str) -> AsyncIterator[tuple[Sandbox, Outside]]:
    """A sandbox with a network, and what is at its other end."""
    outside = Outside("echo.internal", "big.internal")
    async with box(runtime, network=outside.network("the only authority\n")) as sandbox:
        assert outside.wanted == [], "the audit's own attempts lead nowhere"
        yield sandbox, outside


async def said(sandbox: Sandbox, code: str) -> str:
    """What Python code prints."""
    ended = await python(sandbox, code)
    text = ended.output.decode(errors="replace").strip()
    assert "Traceback" not in text, text
    return text


TALK = """
import socket, threading
threading.stack_size(262144)
def say(sock, text):
    sock.sendall(text)
    sock.shutdown(socket.SHUT_WR)
def talk(address, text, port=7):
    with socket.create_connection((address, port), 60) as sock:
        threading.Thread(target=say, args=(sock, text)).start()
        heard = b""
        while data := sock.recv(65536):
            heard += data
        return heard
def met(address, port):
    try:
        with socket.create_connection((address, port), 60) as sock:
            return sock.recv(1)
    except OSError as error:
        return type(error).__name__
"""


@ON_EACH
def test_what_is_tried_comes_to_the_host_with_its_true_destination(runtime: str) -> None:
    async def main() -> None:
        async with connected(runtime) as (sandbox, outside):
            await python(sandbox, TALK)
            await names(sandbox, outside)
            await refusals(sandbox, outside)
            await bytes_both_ways(sandbox)
            await dialled(sandbox)
            await theft(sandbox, outside)
            await authorities(sandbox)

    anyio.run(main)


async def names(sandbox: Sandbox, outside: Outside) -> None:
    """Names are asked of the host, whatever is asked of them; no others have an address."""
    look = "import socket; print(socket.gethostbyname('ECHO.internal'))"
    assert await said(sandbox, look) == ADDRESS
    found = await bash(sandbox, "getent ahosts nosuch.internal; getent ahostsv6 echo.internal")
    assert ADDRESS not in found.output.decode()
    encoded = "c2VjcmV0IHRleHQ" * 4
    await bash(sandbox, f"getent hosts {encoded}.echo.internal")
    assert {"echo.internal", "nosuch.internal"} <= set(outside.asked)
    assert f"{encoded}.echo.internal".lower() in outside.asked
    odd = r"""
import socket
def ask(kind, *labels, to=("127.0.0.1", 53)):
    name = b"".join(bytes([len(label)]) + label for label in labels)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(b"\1\2\1\0\0\1\0\0\0\0\0\0" + name + b"\0" + bytes([0, kind, 0, 1]), to)
        answer = sock.recv(600)
        return answer[3] & 15, answer[7], answer[-4:] if answer[7] else None
print([ask(*one) for one in [
    (1, b"echo", b"internal"), (28, b"echo", b"internal"), (16, b"echo", b"internal"),
    (16, b"no", b"where"), (1, b"\xff.\n", b"x")]])
"""
    expected = [(0, 1, bytes([127, 128, 0, 7])), (0, 0, None), (0, 0, None), (3, 0, None)]
    assert await said(sandbox, odd) == str([*expected, (3, 0, None)])
    assert "\\255\\046\\010.x" in outside.asked
    elsewhere = "print(ask(1, b'echo', b'internal', to=('8.8.8.8', 53)))"
    assert await said(sandbox, elsewhere) == str(expected[0]), "no other name server answers"


async def refusals(sandbox: Sandbox, outside: Outside) -> None:
    """Whatever is not there is reset, and the host knows what it was."""
    tried = [
        *(("8.8.8.8", 53), ("169.254.169.254", 80), ("10.1.2.3", 81), ("192.168.0.1", 22)),
        *(("1.2.3.4", 65535), ("100.64.0.1", 15001), (ADDRESS, 6), ("127.128.0.0", 1)),
        *(("172.17.0.1", 2375), ("200.1.1.1", 443)),
    ]
    outside.wanted.clear()
    met = await said(sandbox, f"print([met(*one) for one in {tried}])")
    assert met == str(["ConnectionResetError"] * len(tried))
    assert outside.wanted == tried
    own = await said(sandbox, "print(met('127.0.0.1', 7), met('127.127.0.1', 7))")
    assert own == "ConnectionRefusedError ConnectionRefusedError"
    unreachable = """
import socket
def made(family, kind, to, protocol=0):
    try:
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(2)
            if to:
                sock.connect(to)
                sock.send(b"x" * 20)
                sock.recv(1)
            return "made"
    except OSError as error:
        return "not"
I4, I6, S, D, R = (socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM,
    socket.SOCK_RAW)
print([made(I6, S, ("2001:db8::1", 80)), made(I6, D, ("2001:db8::1", 53)),
    made(I4, D, ("1.2.3.4", 9999)), made(I4, D, ("169.254.169.254", 123)),
    made(I4, R, None, 1), made(I4, R, None, 255), made(17, R, None), made(40, S, (2, 1))])
"""
    assert await said(sandbox, unreachable) == str(["not"] * 8)
    assert len(outside.wanted) == len(tried)


async def bytes_both_ways(sandbox: Sandbox) -> None:
    """What goes through arrives as it was, also when much of it goes at once."""
    through = f"""
import hashlib, os, threading
text = os.urandom(3_000_000)
print(talk("{ADDRESS}", text) == text, talk("{ADDRESS}", text, 9))
print(len(talk("{ADDRESS}", b"20000000\\n", 19)))
fine = []
threading.stack_size(262144)  # forty usual ones are more memory than a sandbox may have
def one():
    text = os.urandom(200_000)
    fine.append(talk("{ADDRESS}", text) == text)
threads = [threading.Thread(target=one) for _ in range(40)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(fine == [True] * 40)
"""
    assert (await said(sandbox, through)).split() == ["True", "b'3000000'", "20000000", "True"]


async def dialled(sandbox: Sandbox) -> None:
    """The host reaches ports inside, but not what listens for its own machine alone."""
    await python(sandbox, "open_to_all = socket.create_server(('0.0.0.0', 8000))")
    await python(sandbox, "own = socket.create_server(('127.0.0.1', 8001))")
    await python(
        sandbox,
        """
import threading
def answer():
    while True:
        sock, _ = open_to_all.accept()
        sock.sendall(sock.recv(100)[::-1])
        sock.close()
threading.Thread(target=answer, daemon=True).start()
""",
    )
    loop = asyncio.get_running_loop()
    sock = await sandbox.dial(8000)
    await loop.sock_sendall(sock, b"abc")
    assert await loop.sock_recv(sock, 10) == b"cba"
    assert await loop.sock_recv(sock, 10) == b""
    sock.close()
    for closed in (8001, 8002, 15001, 53):
        with pytest.raises(ConnectionRefusedError):
            await sandbox.dial(closed)


async def theft(sandbox: Sandbox, outside: Outside) -> None:
    """Nothing inside can take the place of what catches connections, or undo the rule."""
    steal = f"""
def bound(address, port, kind=socket.SOCK_STREAM):
    sock = socket.socket(socket.AF_INET, kind)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        return sock
    except OSError as error:
        return None
held = [bound("0.0.0.0", 15001), bound("127.0.0.1", 15001), bound("{ADDRESS}", 7),
    bound("0.0.0.0", 53, socket.SOCK_DGRAM), bound("127.0.0.1", 53, socket.SOCK_DGRAM)]
print(talk("{ADDRESS}", b"still"), met("8.8.8.8", 7), socket.gethostbyname("big.internal"))
print(held[1], held[4])
print(met("127.0.0.1", 15001))
[sock.close() for sock in held if sock]
"""
    outside.wanted.clear()
    lines = (await said(sandbox, steal)).splitlines()
    assert lines[0] == f"b'still' ConnectionResetError {ADDRESS}"
    assert lines[1] == "None None"
    assert outside.wanted == [(ADDRESS, 7), ("8.8.8.8", 7)], "to knock at it directly is no way"
    for command in (
        "/usr/sbin/iptables-legacy -t nat -F",
        "/usr/sbin/iptables-legacy-restore </dev/null",
        "ip addr del 8.0.0.1/5 dev lo",
        "ip link set lo down",
        "ip route add local 8.8.8.0/24 dev lo",
        "unshare -rn true",
        "echo x >/etc/ssl/certs/ca-certificates.crt",
        "mv /etc/ssl/certs /tmp/",
    ):
        await bash(sandbox, f"XTABLES_LOCKFILE=/tmp/lock {command}")
    assert await said(sandbox, f"print(talk('{ADDRESS}', b'still'), met('8.8.8.8', 9))") == (
        "b'still' ConnectionResetError"
    )
    assert ("8.8.8.8", 9) in outside.wanted


async def authorities(sandbox: Sandbox) -> None:
    """The one authority is where programs look for them."""
    seen = await bash(
        sandbox,
        "cat $SSL_CERT_FILE $AWS_CA_BUNDLE; ls -A /etc/ssl/certs; stat -c %U $SSL_CERT_FILE",
    )
    words = "the only authority\n" * 2 + "ca-certificates.crt\nroot\n"
    assert seen.output.decode() == words


def test_a_live_copy_has_a_network_of_its_own_and_none_of_the_streams(tmp_path: Path) -> None:
    async def main() -> None:
        first, second = Outside("echo.internal"), Outside("other.internal")
        async with (
            family("runsc", tmp_path, networked=True) as kin,
            kin.one(network=first.network("one")) as original,
        ):
            await python(original, TALK + HELD)
            assert await said(original, "print(again(b'before'))") == "b'before'"
            snapshot = await original.snapshot(kin.store, "memory")
            assert await said(original, "print(again(b'after'))") == "b'after'"
            first.wanted.clear()
            async with kin.one(snapshot, network=second.network("two")) as copy:
                assert await said(copy, "print(again(b'copied'))") in GONE
                talk = "print(talk(socket.gethostbyname('other.internal'), b'own'))"
                assert await said(copy, talk) == "b'own'"
                assert await said(copy, "print(met('8.8.8.8', 80))") == "ConnectionResetError"
                seen = await bash(copy, "cat $SSL_CERT_FILE")
                assert seen.output == b"two"
            assert first.wanted == []
            assert second.wanted == [(ADDRESS, 7), ("8.8.8.8", 80)]
            assert await said(original, "print(again(b'still'))") == "b'still'"

    anyio.run(main)


HELD = f"""
held = socket.create_connection(("{ADDRESS}", 7), 20)
def again(text):
    try:
        held.sendall(text)
        return held.recv(100)
    except OSError as error:
        return type(error).__name__
"""

GONE = ("ConnectionResetError", "BrokenPipeError", "b''")


@ON_EACH
def test_without_one_nothing_of_it_is_there(runtime: str) -> None:
    async def main() -> None:
        async with box(runtime) as sandbox:
            row = next(row for row in sandbox.audit if row.setting == "ways out")
            assert (row.asked, row.ok) == ("all closed", True)
            with pytest.raises(ConnectionRefusedError):
                await sandbox.dial(80)
            seen = await bash(sandbox, "env | grep -c CERT; ls /etc/ssl/certs | wc -l")
            lines = seen.output.decode().split()
            assert lines[0] == "0"
            assert int(lines[1]) > 10

    anyio.run(main)
