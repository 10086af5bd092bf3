"""What a held system call asks for, as the fact that goes on record."""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from agent_eval.sandbox.held import (
    UNREADABLE,
    Memory,
    folder_of,
    named,
    process_behind,
    socket_address,
)
from agent_eval.sandbox.kernel import DULL_ADDRESSES, DULL_FILES, PID_1
from agent_eval.sandbox.notifications import WRITING, Notification

HERE = -100 & 0xFFFFFFFF
_NO_FOLLOW, _EXCLUSIVE, _APPEND = 0o400000, 0o200, 0o2000
_EMPTY_PATH, _NO_FOLLOW_AT = 0x1000, 0x100
_INT = 0xFFFFFFFF

Said = tuple[str, dict[str, Any]]
"""What it is, and the fields of its fact."""


def said(one: Notification, memory: Memory) -> Said | None:
    """What a call asks for; None where that is no fact."""
    read = _READERS.get(one.call or "")
    if read is None:
        return None
    found = read(one, memory)
    if found is None:
        return None
    what, fields = found
    dull = fields.get("path") in DULL_FILES or fields.get("address") in DULL_ADDRESSES
    return None if dull or fields.get("mode") == ["read"] else (what, fields)


def _path(
    one: Notification, memory: Memory, at: int, folder: int = HERE, *, follow: bool = False
) -> str:
    given = memory.text(one.arguments[at])
    return UNREADABLE if given is None else named(one.thread, folder, given, follow=follow)


def _mode(flags: int) -> list[str]:
    words = {0: ["read"], 1: ["write"], 2: ["read", "write"], 3: ["read", "write"]}[flags & 3]
    more = {"create": WRITING["create"], "truncate": WRITING["truncate"], "append": _APPEND}
    return words + [word for word, flag in more.items() if flags & flag]


def _opened(one: Notification, memory: Memory, at: int, folder: int, flags: int) -> Said:
    new = flags & (WRITING["create"] | _EXCLUSIVE) == WRITING["create"] | _EXCLUSIVE
    follow = not (flags & _NO_FOLLOW or new)
    return "open", {
        "path": _path(one, memory, at, folder, follow=follow),
        "mode": _mode(flags),
    }


def _open(one: Notification, memory: Memory) -> Said:
    return _opened(one, memory, 0, HERE, one.arguments[1])


def _creat(one: Notification, memory: Memory) -> Said:
    return _opened(one, memory, 0, HERE, 0o1 | WRITING["create"] | WRITING["truncate"])


def _truncate(one: Notification, memory: Memory) -> Said:
    return _opened(one, memory, 0, HERE, 0o1 | WRITING["truncate"])


def _openat(one: Notification, memory: Memory) -> Said:
    return _opened(one, memory, 1, one.arguments[0], one.arguments[2])


def _openat2(one: Notification, memory: Memory) -> Said:
    """Its flags lie in memory; where they cannot be read they may be any."""
    raw = memory.bytes(one.arguments[2], 8)
    flags = struct.unpack("=Q", raw)[0] if len(raw) == 8 else 0o2
    return _opened(one, memory, 1, one.arguments[0], flags)


def _execve(one: Notification, memory: Memory) -> Said:
    return _started(one, memory, 0, HERE, follow=True)


def _execveat(one: Notification, memory: Memory) -> Said:
    flags = one.arguments[4]
    follow = not flags & (_NO_FOLLOW_AT | _EMPTY_PATH)
    return _started(one, memory, 1, one.arguments[0], follow=follow)


def _started(one: Notification, memory: Memory, at: int, folder: int, *, follow: bool) -> Said:
    argv, whole = memory.texts(one.arguments[at + 1])
    fields = {
        "program": _path(one, memory, at, folder, follow=follow),
        "argv": argv,
        "cwd": folder_of(one.thread),
    }
    return "start", fields if whole else fields | {"note": "not all of its arguments are kept"}


def _address(what: str) -> Callable[[Notification, Memory], Said]:
    def read(one: Notification, memory: Memory) -> Said:
        _, place, size, *_ = one.arguments
        return what, {"address": socket_address(memory, place, size)}

    return read


def _user(one: Notification, memory: Memory) -> Said:  # noqa: ARG001 - all readers are called alike
    """The effective number where several are given; -1 means unchanged."""
    call = one.call or ""
    several = {"setre": 2, "setres": 3}.get(call[:-3], 1)
    given = [value & _INT for value in one.arguments[:several]]
    order = given[1:2] + given[:1] + given[2:]
    asked = next((value for value in order if value != _INT), None)
    return "user", {"call": call} | ({} if asked is None else {call[-3:]: asked})


def _signalled(one: Notification, memory: Memory) -> Said | None:  # noqa: ARG001
    """Those to PID 1 are facts; of a process's descriptor the kernel knows whose it is."""
    call = one.call or ""
    target: int | None = one.arguments[0] & _INT
    if call == "pidfd_send_signal":
        target = process_behind(one.thread, one.arguments[0] & _INT)
    if target != PID_1:
        return None
    number = one.arguments[2 if call.endswith(("tgkill", "tgsigqueueinfo")) else 1]
    return "signal", {"target": PID_1, "signal": number & _INT}


def _removed(at: int) -> Callable[[Notification, Memory], Said]:
    def read(one: Notification, memory: Memory) -> Said:
        folder = one.arguments[0] if at else HERE
        return "remove", {"path": _path(one, memory, at, folder)}

    return read


def _renamed(one: Notification, memory: Memory) -> Said:
    if one.call == "rename":
        return "rename", {"path": _path(one, memory, 0), "to": _path(one, memory, 1)}
    old, new = one.arguments[0], one.arguments[2]
    return "rename", {"path": _path(one, memory, 1, old), "to": _path(one, memory, 3, new)}


_SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")

_READERS: Mapping[str, Callable[[Notification, Memory], Said | None]] = {
    "open": _open,
    "creat": _creat,
    "truncate": _truncate,
    "openat": _openat,
    "openat2": _openat2,
    "execve": _execve,
    "execveat": _execveat,
    "connect": _address("connect"),
    "bind": _address("bind"),
    "unlink": _removed(0),
    "rmdir": _removed(0),
    "unlinkat": _removed(1),
    "rename": _renamed,
    "renameat": _renamed,
    "renameat2": _renamed,
    **dict.fromkeys(_SIGNALS, _signalled),
    **{f"set{kind}{which}id": _user for kind in ("", "re", "res", "fs") for which in ("u", "g")},
}
