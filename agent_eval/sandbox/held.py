"""A thread that the kernel holds in a system call: its numbers, its memory, the files it names.

All of it belongs to a hostile program, so every read is bounded, and what cannot be read is left
out. Paths are resolved inside the sandbox's own root, never in the host's.
"""

import contextlib
import ctypes
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MAX_PATH_BYTES = 4096
MAX_ARGUMENTS_BYTES = 32 * 1024
MAX_ARGUMENTS = 1024
UNREADABLE = "(unreadable)"
"""Stands for what lies where nothing can be read."""

_PAGE_BYTES = 4096
_HIGHEST = 1 << 63
_ADDRESS_BYTES = 128
_HERE = -100
_FD_MASK = 0xFFFFFFFF

_STATUS = re.compile(
    rb"^Tgid:\t(\d+)$.*?^PPid:\t(\d+)$.*?^NStgid:([\d\t]+)$", re.MULTILINE | re.DOTALL
)

_OPENAT2, _RESOLVE_IN_ROOT = 437, 0x10
_SYSCALL = ctypes.CDLL(None).syscall
_SYSCALL.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Numbers:
    """Who a thread is, on the host and in the sandbox."""

    process: int
    parent: int
    inside: int | None
    """Its process in the sandbox's own numbering; None where it is not in a sandbox."""


def numbers(thread: int) -> Numbers | None:
    """Read them; None if there is no such thread any more."""
    try:
        with open(f"/proc/{thread}/status", "rb") as file:  # noqa: PTH123 - once a system call
            text = file.read()
    except OSError:
        return None
    found = _STATUS.search(text)
    if found is None:
        return None  # it is being taken down
    nested = found[3].split()
    return Numbers(int(found[1]), int(found[2]), int(nested[-1]) if len(nested) > 1 else None)


def threads(process: int) -> set[int]:
    """The threads of a process, as the host numbers them."""
    try:
        return {int(name) for name in os.listdir(f"/proc/{process}/task")}  # noqa: PTH208
    except OSError:
        return set()


class Memory:
    """Its memory."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.read_bytes = 0

    def bytes(self, address: int, size: int) -> bytes:
        """Up to `size` bytes; fewer where no more can be read."""
        if self._descriptor is None or address >= _HIGHEST:
            return b""
        try:
            got = os.pread(self._descriptor, size, address)
        except OSError:
            return b""
        self.read_bytes += len(got)
        return got

    def text(self, address: int, limit: int = MAX_PATH_BYTES) -> str | None:
        """A string that ends in a zero, cut at a limit; None if nothing of it can be read."""
        got, readable = bytearray(), False
        while len(got) < limit:
            size = min(256 if not got else _PAGE_BYTES, limit - len(got))
            part = self.bytes(address + len(got), size)
            readable = readable or bool(part)
            end = part.find(b"\0")
            got += part if end < 0 else part[:end]
            if end >= 0 or len(part) < size:
                break
        return shown(bytes(got)) if readable else None

    def texts(self, address: int) -> tuple[list[str], bool]:
        """The strings that an array of addresses points to, and whether these are all of them."""
        found: list[str] = []
        room = MAX_ARGUMENTS_BYTES
        for pointer in self._pointers(address):
            if len(found) == MAX_ARGUMENTS or room <= 0:
                return found, False
            one = self.text(pointer, room)
            found.append(UNREADABLE if one is None else one)
            room -= len(found[-1].encode()) + 1
        return found, room > 0

    def _pointers(self, address: int) -> Iterator[int]:
        while len(part := self.bytes(address, 128)) >= 8:
            part = part[: len(part) // 8 * 8]
            for (pointer,) in struct.iter_unpack("=Q", part):
                if not pointer:
                    return
                yield pointer
            address += len(part)


@contextmanager
def memory(thread: int) -> Iterator[Memory]:
    """Its memory, for as long as it is held."""
    try:
        descriptor = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    except OSError:
        yield Memory(None)
        return
    try:
        yield Memory(descriptor)
    finally:
        os.close(descriptor)


def named(thread: int, folder: int, path: str, *, follow: bool) -> str:
    """The absolute path of what a thread calls `path`, links resolved as far as can be.

    `folder` is the descriptor that a relative path starts from, as a register holds it. Without
    `follow` a link at the end stands for itself. Where nothing can be resolved, the words given.
    """
    absolute = path
    if not path.startswith("/"):
        where = _link(f"/proc/{thread}/" + _place(folder))
        absolute = f"{where}/{path}" if path else where
    with contextlib.suppress(OSError), _root(thread) as root:
        if follow and (found := _resolved(root, absolute)):
            return found
        parent, _, name = absolute.rstrip("/").rpartition("/")
        if name not in ("", ".", "..") and (found := _resolved(root, parent or "/")):
            return f"{found.rstrip('/')}/{name}"
    return absolute


def folder_of(thread: int) -> str:
    """Its working directory."""
    return _link(f"/proc/{thread}/cwd")


def process_behind(thread: int, descriptor: int) -> int | None:
    """The process that a descriptor of a thread stands for, as the sandbox numbers it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{thread}/fdinfo/{descriptor}").read_text("ascii")
        return int(text.partition("NSpid:")[2].split("\n")[0].split()[-1])
    return None


def program_of(process: int) -> str | None:
    """The file that a process runs, as the kernel knows it; None if it is gone."""
    return _link(f"/proc/{process}/exe") or None


def address(raw: bytes) -> str:
    """A socket's address in words, as in `10.1.2.3:80`."""
    if len(raw) < 2:
        return UNREADABLE
    (family,) = struct.unpack_from("=H", raw)
    if family == socket.AF_UNIX:
        name = raw[2:]
        if name[:1] == b"\0" and len(name) > 1:
            return "unix:@" + shown(name[1:])
        return "unix:" + shown(name.split(b"\0", 1)[0])
    with contextlib.suppress(struct.error, ValueError):
        if family == socket.AF_INET:
            port, packed = struct.unpack_from(">H4s", raw, 2)
            return f"{ipaddress.IPv4Address(packed)}:{port}"
        if family == socket.AF_INET6:
            port, _, packed = struct.unpack_from(">HI16s", raw, 2)
            return f"[{ipaddress.IPv6Address(packed)}]:{port}"
    return f"family {family}: {raw[2:66].hex()}"


def socket_address(memory: Memory, place: int, size: int) -> str:
    """The address that a call was given."""
    return address(memory.bytes(place, min(size & _FD_MASK, _ADDRESS_BYTES)))


def shown(raw: bytes) -> str:
    """Bytes as text that any file can hold."""
    return raw.decode("utf-8", "backslashreplace")


def _place(folder: int) -> str:
    number = folder & _FD_MASK
    return "cwd" if number == _HERE & _FD_MASK else f"fd/{number}"


def _link(path: str) -> str:
    try:
        return shown(os.readlink(os.fsencode(path)))  # noqa: PTH115 - as bytes, which it may be
    except OSError:
        return ""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_LOOK = _How(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)


@contextmanager
def _root(thread: int) -> Iterator[int]:
    """The root folder that a thread has."""
    root = os.open(f"/proc/{thread}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        yield root
    finally:
        os.close(root)


def _resolved(root: int, path: str) -> str | None:
    """Where a path leads below a root: looked up without opening what is there."""
    numbers = (ctypes.c_long(_OPENAT2), ctypes.c_long(root))
    found = _SYSCALL(*numbers, path.encode(), ctypes.byref(_LOOK), ctypes.c_long(24))
    if found < 0:
        return None
    try:
        return _link(f"/proc/self/fd/{found}") or None
    finally:
        os.close(found)
