"""The network of this machine: all of it is caught here, and led through the pipe.

Comes with init.py and under its rules: standard library only, Python 3.8 or later.

Every address is this machine's own, and one rule has every connection come to a listener here,
whatever address and port it is for, but for 127.0.0.0 to 127.127.255.255. Names are asked of the
host. What this takes of root's powers is given up before anybody else runs here.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

PORT = 15001  # of the listener that catches everything
BACKLOG = 512
AT_ONCE = 32  # connections or questions taken in one turn
ORIGINAL_DESTINATION = 80
OWN = "127.0.0.0/9"
EVERY = ((1, 8), (2, 7), (4, 6), (8, 5), (16, 4), (32, 3), (64, 3), (96, 3), (128, 1))
RULES = """*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
-A OUTPUT -p tcp ! -d {own} -j REDIRECT --to-ports {port}
-A OUTPUT -p udp ! -d {own} -j REDIRECT --to-ports 53
COMMIT
"""
NAME = 9  # type of the frames in which names are asked for and addresses told
MOST_NAMES, MOST_ASKERS = 64, 16
HEADER = struct.Struct(">HHHHHH")
IS_ANSWER, OPCODE, WANTS_MORE, CAN_MORE, NO_SUCH_NAME = 0x8000, 0x7800, 0x0100, 0x0080, 3
ADDRESS, INTERNET, VALID_S = 1, 1, 5
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
CAPABILITIES = 41


class Network:
    """What makes it, and what comes of it."""

    def __init__(self, init: Any, streams: Any) -> None:
        self.init = init
        self.streams = streams
        self.listener: Any = None
        self.names: Any = None
        self.asked: dict[str, list[tuple[bytes, int, Any]]] = {}
        self.numbers: dict[int, str] = {}
        self.number = 0

    def up(self, channel: int, authority: str, path: str, keep: Iterable[int]) -> None:
        """Have a network, a new one if there was one before; `keep` are the powers that stay."""
        if authority:
            with open(path, "w") as file:
                file.write(authority)
        for first, bits in EVERY:
            add_address(f"{first}.0.0.1", bits)
        lay_rules()
        if self.listener is None:
            self.listener = listen()
            self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.names.bind(("127.0.0.1", 53))
            self.names.settimeout(0)
            self.init.watch(self.names.fileno(), 1, self.answer_questions)
        give_up_powers(set(keep))
        self.asked.clear()
        self.numbers.clear()
        self.streams.begin()
        self.watch_listener()
        self.init.say("up", channel=channel)

    def hear(self, kind: int, number: int, payload: bytes) -> None:
        """Do as a frame of the host's says."""
        if kind == NAME:
            self.tell(number, payload)
        else:
            self.streams.hear(kind, number, payload)
            self.watch_listener()

    # --- connections --------------------------------------------------------------------------

    def watch_listener(self) -> None:
        """Take connections only while there may be more streams."""
        if self.streams.full:
            self.init.unwatch(self.listener.fileno())
        else:
            self.init.watch(self.listener.fileno(), 1, self.catch)

    def catch(self) -> None:
        """Take what has come, and find out where it wanted to go."""
        for _ in range(AT_ONCE):
            if self.streams.full:
                break
            try:
                sock, _ = self.listener.accept()
            except OSError:
                break
            wanted = destination(sock)
            if wanted is None:
                sock.close()
            else:
                self.streams.add(sock, *wanted)
        self.watch_listener()

    # --- names --------------------------------------------------------------------------------

    def answer_questions(self) -> None:
        """Take questions; whatever is none is thrown away."""
        for _ in range(AT_ONCE):
            try:
                data, asker = self.names.recvfrom(2048)
            except OSError:
                return
            found = question(data)
            if found is not None:
                name, kind, end = found
                self.ask(name, (data[:end], kind, asker))

    def ask(self, name: str, who: tuple[bytes, int, Any]) -> None:
        """Ask the host, unless it is being asked."""
        askers = self.asked.get(name)
        if askers is not None:
            if len(askers) < MOST_ASKERS:
                askers.append(who)
            return
        if len(self.asked) >= MOST_NAMES:
            return  # they will ask again
        self.number = self.number % 0xFFFFFFFF + 1
        self.numbers[self.number] = name
        self.asked[name] = [who]
        self.init.send(NAME, self.number, name.encode())

    def tell(self, number: int, address: bytes) -> None:
        """Tell all who asked for a name what the host says of it."""
        name = self.numbers.pop(number, None)
        if name is None:
            return
        for asked, kind, asker in self.asked.pop(name):
            try:
                self.names.sendto(answer(asked, kind, address), asker)
            except OSError:
                continue


def question(data: bytes) -> tuple[str, int, int] | None:
    """The name that is asked for, what is asked of it, and where that ends; None for all else.

    What no host's name has in it is told by its number, as in the files of name servers.
    """
    if len(data) < HEADER.size:
        return None
    _, flags, questions, answers, authorities, _ = HEADER.unpack_from(data)
    if flags & (IS_ANSWER | OPCODE) or (questions, answers, authorities) != (1, 0, 0):
        return None
    labels, at = [], HEADER.size
    while at < len(data) and data[at]:
        label = data[at + 1 : at + 1 + data[at]].lower()
        if data[at] > 63 or len(label) != data[at]:
            return None
        labels.append("".join(chr(c) if c in PLAIN else f"\\{c:03d}" for c in label))
        at += 1 + len(label)
    if not labels or at + 5 > len(data) or at + 1 - HEADER.size > 255:
        return None
    kind, family = struct.unpack_from(">HH", data, at + 1)
    return (".".join(labels), kind, at + 5) if family == INTERNET else None


def answer(asked: bytes, kind: int, address: bytes) -> bytes:
    """The answer to a question: the address, that there is none of this kind, or no such name."""
    number, flags = struct.unpack_from(">HH", asked)
    told = len(address) == 4 and kind == ADDRESS
    flags = IS_ANSWER | CAN_MORE | flags & WANTS_MORE | (0 if address else NO_SUCH_NAME)
    text = HEADER.pack(number, flags, 1, int(told), 0, 0) + asked[HEADER.size :]
    if told:
        text += struct.pack(">HHHIH", 0xC000 | HEADER.size, ADDRESS, INTERNET, VALID_S, 4) + address
    return text


def destination(sock: socket.socket) -> tuple[str, int] | None:
    """Where a caught connection wanted to go; None if that is here, and nothing caught it."""
    try:
        raw = sock.getsockopt(socket.IPPROTO_IP, ORIGINAL_DESTINATION, 16)
    except OSError:
        return None
    port, address = struct.unpack_from(">2xH4s", raw)
    own = address[0] == 127 and address[1] < 128
    return None if own else (socket.inet_ntoa(address), port)


def listen() -> socket.socket:
    """What every connection comes to."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", PORT))
    sock.listen(BACKLOG)
    sock.settimeout(0)
    return sock


def add_address(address: str, bits: int) -> None:
    """Make an address, and all that begin like it, this machine's own."""
    raw = socket.inet_aton(address)
    body = struct.pack("BBBBI", socket.AF_INET, bits, 0, 0, 1)
    body += struct.pack("HH", 8, 2) + raw + struct.pack("HH", 8, 1) + raw
    head = struct.pack("IHHII", 16 + len(body), 20, 0x605, 1, 0)  # a new one, to be confirmed
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(head + body)
        failed = -struct.unpack_from("i", sock.recv(4096), 16)[0]
    if failed not in (0, errno.EEXIST):
        raise OSError(failed, f"no address {address}/{bits}: {os.strerror(failed)}")


def lay_rules() -> None:
    """Have the kernel lead every connection here, by the program that is there for that."""
    ours, theirs = os.pipe()
    os.write(theirs, RULES.format(own=OWN, port=PORT).encode())
    os.close(theirs)
    said, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        become_rules(ours, says)
    os.close(ours)
    os.close(says)
    words = os.read(said, 300).decode(errors="replace").strip()
    os.close(said)
    status = os.waitpid(pid, 0)[1]
    if status:
        raise OSError(errno.EPERM, f"iptables-legacy-restore: {words or status}")


def become_rules(reads: int, says: int) -> NoReturn:
    """Be that program."""
    try:
        os.dup2(reads, 0)
        for fd in (1, 2):
            os.dup2(says, fd)
        os.execve(
            "/usr/sbin/iptables-legacy-restore",
            ["iptables-legacy-restore"],
            {"XTABLES_LOCKFILE": "/run/xtables.lock"},
        )
    except OSError as error:
        os.write(2, str(error).encode())
    finally:
        os._exit(127)


def give_up_powers(keep: set[int]) -> None:
    """Have no more of root's powers than these, nor any way to have more."""
    import ctypes  # a network is brought up once

    library = ctypes.CDLL(None, use_errno=True)
    for number in range(CAPABILITIES):
        if number not in keep:
            library.prctl(24, number, 0, 0, 0)  # refused if it is none of ours any more
    mask = sum(1 << number for number in keep)
    head = struct.pack("II", 0x20080522, 0)
    if library.capset(head, struct.pack("IIIIII", mask, mask, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "powers cannot be given up")
