"""From gVisor's messages to facts."""

import ipaddress
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent_eval.sandbox import gvisor_wire as wire
from agent_eval.sandbox.kernel import DULL_ADDRESSES, DULL_FILES, EVERY, PID_1, Fact

ARGV_BYTES = 32 * 1024
"""Arguments of a program that are kept; of more, their number of bytes."""

STARTS_REMEMBERED = 10_000
"""Starts under way at one time; far more than processes fit into a sandbox."""

CLONE_THREAD = 0x10000
_INT = 0xFFFFFFFF
_EXEC_CALLS = (59, 322)
_USER_CALLS = {105: "setuid", 106: "setgid", 117: "setresuid", 119: "setresgid"}

SIGNALS = {62: "second", 129: "second", 200: "second", 234: "third", 297: "third"}
"""Calls that signal a process, their target being the first argument, and where the signal is."""

_WORDS = ((os.O_CREAT, "create"), (os.O_TRUNC, "truncate"), (os.O_APPEND, "append"))


class Translator:
    """Turns the messages of one sandbox, in order, into facts; `marked` are absolute paths."""

    def __init__(self, marked: Sequence[str] = ()) -> None:
        self._marked = tuple(marked)
        self._called: dict[int, tuple[bytes, list[bytes]]] = {}
        """What a process asked to start, until it is known what came of it."""
        self._started: set[int] = set()
        """Processes whose start was told in full, until their call returns."""
        self._readers: dict[int, Callable[[Any], Iterator[dict[str, Any]]]] = {
            wire.CLONE: self._fork,
            wire.EXEC: self._start,
            wire.EXECVE: self._call,
            wire.RAW: self._returned,
            wire.EXIT: self._exit,
            wire.OPEN: self._open,
            wire.CONNECT: self._connect,
            wire.BIND: self._bind,
            wire.SETID: lambda message: self._user(message, message.id),
            wire.SETRESID: lambda message: self._user(message, message.effective),
        }

    def facts(self, kind: int, message: Any) -> Iterator[Fact]:
        """The facts in one message: none or one."""
        for fields in self._readers[kind](message):
            what = fields.pop("what")
            yield Fact(what, message.context.process, message.context.time_ns, fields)

    def _fork(self, message: Any) -> Iterator[dict[str, Any]]:
        if not message.flags & CLONE_THREAD:
            yield {"what": "fork", "child": message.child}

    def _start(self, message: Any) -> Iterator[dict[str, Any]]:
        self._remember(message.context.process)
        yield {
            "what": "start",
            "program": text(message.path),
            **arguments(message.argv),
            "cwd": text(message.context.cwd),
        }

    def _remember(self, process: int) -> None:
        if len(self._started) > STARTS_REMEMBERED:
            self._started.clear()
        self._started.add(process)

    def _call(self, message: Any) -> Iterator[dict[str, Any]]:
        if len(self._called) > STARTS_REMEMBERED:
            self._called.clear()
        self._called[message.context.process] = (message.path, list(message.argv))
        return iter(())

    def _returned(self, message: Any) -> Iterator[dict[str, Any]]:
        """A call to start a program is over: if it went well and was not told of, it is now."""
        process = message.context.process
        if not message.HasField("outcome"):
            return
        if message.sysno in SIGNALS:
            yield from self._signal(message)
        if message.sysno not in _EXEC_CALLS:
            return
        called = self._called.pop(process, None)
        if message.outcome.errno:
            return
        if process in self._started:
            self._started.discard(process)
        elif called is not None:
            path, argv = called
            note = "its environment or folder is not text; the program is as it was called"
            yield {"what": "start", "program": text(path), **arguments(argv), "note": note}
        else:
            note = "its name or arguments are not text, or too long, and are not known"
            yield {"what": "start", "note": note}

    @staticmethod
    def _signal(message: Any) -> Iterator[dict[str, Any]]:
        """To PID 1 or to all; PID 1 itself tells all of them to end when the sandbox does."""
        target = {PID_1: PID_1, EVERY & _INT: EVERY}.get(message.first & _INT)
        if target is not None and message.context.process != PID_1:
            number = getattr(message, SIGNALS[message.sysno]) & _INT
            yield {"what": "signal", "target": target, "signal": number, **outcome(message)}

    def _exit(self, message: Any) -> Iterator[dict[str, Any]]:
        signal, status = message.status & 0x7F, message.status >> 8 & 0xFF
        self._called.pop(message.context.process, None)
        self._started.discard(message.context.process)
        yield {"what": "exit", **({"signal": signal} if signal else {"status": status})}

    def _open(self, message: Any) -> Iterator[dict[str, Any]]:
        flags, raw = message.flags, text(message.path)
        if message.sysno == 85:  # creat
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        writes = flags & (os.O_ACCMODE | os.O_CREAT | os.O_TRUNC) and not flags & os.O_PATH
        if (not writes and not self._marked) or raw in DULL_FILES:
            return
        folder = text(message.folder or message.context.cwd)
        path = posixpath.normpath(posixpath.join("/", folder, raw))
        if writes or self._is_marked(path):
            yield {"what": "open", "path": path, "mode": mode(flags), **outcome(message)}

    def _is_marked(self, path: str) -> bool:
        return any(path == one or path.startswith(one.rstrip("/") + "/") for one in self._marked)

    def _connect(self, message: Any) -> Iterator[dict[str, Any]]:
        where = address(message.address)
        if where not in DULL_ADDRESSES:
            yield {"what": "connect", "address": where, **outcome(message)}

    def _bind(self, message: Any) -> Iterator[dict[str, Any]]:
        yield {"what": "bind", "address": address(message.address), **outcome(message)}

    def _user(self, message: Any, wanted: int) -> Iterator[dict[str, Any]]:
        call = _USER_CALLS.get(message.sysno)
        if call is not None:
            yield {"what": "user", "call": call, call[-3:]: wanted, **outcome(message)}


def text(data: bytes) -> str:
    r"""Bytes that are meant to be text; what is not stands as `\xff`."""
    return data.decode("utf-8", "backslashreplace")


def arguments(argv: Sequence[bytes]) -> dict[str, Any]:
    """A program's arguments, and how many bytes of them were left out, if any."""
    kept: list[str] = []
    room = ARGV_BYTES
    for each in argv:
        if room <= 0:
            break
        kept.append(text(each[:room]))
        room -= len(each) + 1
    whole = sum(len(each) + 1 for each in argv)
    cut = whole - ARGV_BYTES
    return {"argv": kept} | ({"argv_dropped_bytes": cut} if cut > 0 else {})


def mode(flags: int) -> list[str]:
    """What a file is opened for, in words."""
    access = flags & os.O_ACCMODE
    words = ["read"] * (access in (os.O_RDONLY, os.O_RDWR)) + ["write"] * (access != os.O_RDONLY)
    return words + [word for flag, word in _WORDS if flags & flag]


def outcome(message: Any) -> dict[str, int]:
    """The error a call ended with, if it did."""
    return {"errno": message.outcome.errno} if message.outcome.errno else {}


def address(data: bytes) -> str:
    """An address as the kernel's bytes have it, in words."""
    family = int.from_bytes(data[:2], "little")
    port = int.from_bytes(data[2:4], "big")
    if family == 1 and data[2:3] == b"\0" and len(data) > 3:
        return "unix:@" + text(data[3:])
    if family == 1:
        return "unix:" + text(data[2:].partition(b"\0")[0])
    if family == 2 and len(data) >= 8:
        return f"{ipaddress.IPv4Address(data[4:8])}:{port}"
    if family == 10 and len(data) >= 24:
        return f"[{ipaddress.IPv6Address(data[8:24])}]:{port}"
    return f"family {family}: {data[2:66].hex()}"
