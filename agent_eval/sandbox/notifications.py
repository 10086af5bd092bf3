"""Seccomp user notification: the kernel holds a system call and asks before it goes on.

Which calls are asked about is `NOTIFIED`; `recorded` puts that into a filter. The listener is a
descriptor that the kernel made with the filter. The one who asks waits, so nothing is ever lost;
with the last listener closed, these calls fail with ENOSYS.
"""

import contextlib
import copy
import fcntl
import struct
from dataclasses import dataclass
from typing import Any

WRITING = {"write only": 0o1, "read and write": 0o2, "create": 0o100, "truncate": 0o1000}
"""The flags with which an open can change something."""

_READING = sum(WRITING.values())

FLAGS_AT = {"open": 1, "openat": 2}
"""Opens whose flags a filter can see, and where: those that only read go on unasked."""

TARGET_AT = {"kill": 0, "tgkill": 0}
"""Signals whose target a filter can see, and where: those not to PID 1 go on unasked, since
runtimes signal themselves all the time, and PID 1 must not wait for anybody to stop a session."""

_NUMBERS = {
    0xC000003E: {  # x86_64
        "open": 2, "connect": 42, "bind": 49, "execve": 59, "truncate": 76, "rename": 82,
        "rmdir": 84, "creat": 85, "unlink": 87, "setuid": 105, "setgid": 106, "setreuid": 113,
        "setregid": 114, "setresuid": 117, "setresgid": 119, "setfsuid": 122, "setfsgid": 123,
        "openat": 257, "unlinkat": 263, "renameat": 264, "renameat2": 316, "execveat": 322,
        "openat2": 437, "kill": 62, "rt_sigqueueinfo": 129, "tkill": 200, "tgkill": 234,
        "rt_tgsigqueueinfo": 297, "pidfd_send_signal": 424,
    },
    0xC00000B7: {  # aarch64
        "unlinkat": 35, "renameat": 38, "truncate": 45, "openat": 56, "setregid": 143,
        "setgid": 144, "setreuid": 145, "setuid": 146, "setresuid": 147, "setresgid": 149,
        "setfsuid": 151, "setfsgid": 152, "bind": 200, "connect": 203, "execve": 221,
        "renameat2": 276, "execveat": 281, "openat2": 437, "kill": 129, "tkill": 130, "tgkill": 131,
        "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_send_signal": 424,
    },
}  # fmt: skip

NOTIFIED = tuple(sorted({name for numbers in _NUMBERS.values() for name in numbers}))
"""The calls that are asked about."""

_NAMES = {
    architecture: {number: name for name, number in numbers.items()}
    for architecture, numbers in _NUMBERS.items()
}

_RECEIVE, _SEND, _IS_VALID, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40082104
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_COOKIE = struct.Struct("=Q")
_GO_ON = 1
_SYNCHRONOUS = 1


@dataclass(frozen=True, slots=True)
class Notification:
    """One call that waits for an answer."""

    cookie: int
    thread: int
    """The calling thread, as the host numbers it."""
    call: str | None
    """Its name; None for one that was not to be asked about."""
    arguments: tuple[int, ...]
    """Six registers; what lies in memory can have changed by the time the call reads it."""


def decoded(raw: bytes) -> Notification:
    """What the kernel wrote; raises `struct.error` if it has another size."""
    cookie, thread, _, number, architecture, _, *arguments = _NOTIFICATION.unpack(raw)
    call = _NAMES.get(architecture, {}).get(number)
    return Notification(cookie, thread, call, tuple(arguments))


def prompt(listener: int) -> None:
    """Have the kernel hand its processor over with each question, where it can (Linux 6.6)."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(listener, _SET_FLAGS, _SYNCHRONOUS)


def receive(listener: int) -> Notification | None:
    """The next call that waits; None if it was given up meanwhile. Raises `OSError`."""
    raw = bytearray(_NOTIFICATION.size)  # the kernel wants zeros
    try:
        fcntl.ioctl(listener, _RECEIVE, raw)
    except FileNotFoundError:
        return None
    return decoded(bytes(raw))


def still_waits(listener: int, one: Notification) -> bool:
    """Whether it is the same thread still; what was read of another must not be kept."""
    try:
        fcntl.ioctl(listener, _IS_VALID, _COOKIE.pack(one.cookie))
    except FileNotFoundError:
        return False
    return True


def let_go_on(listener: int, one: Notification) -> None:
    """Let the kernel do the call."""
    try:
        fcntl.ioctl(listener, _SEND, _ANSWER.pack(one.cookie, 0, 0, _GO_ON))
    except FileNotFoundError:
        return  # a signal took it away; it will ask again, or is dead


def recorded(profile: dict[str, Any]) -> dict[str, Any]:
    """A filter as the engine takes it, that also asks about what it allows and is `NOTIFIED`.

    What it refuses stays refused.
    """
    changed = copy.deepcopy(profile)
    rules: list[dict[str, Any]] = []
    for rule in changed["syscalls"]:
        names = [name for name in rule["names"] if name in NOTIFIED]
        if rule["action"] != "SCMP_ACT_ALLOW" or not names:
            rules.append(rule)
            continue
        rest = [name for name in rule["names"] if name not in NOTIFIED]
        if rest:
            rules.append(rule | {"names": rest})
        conditional = bool(rule.get("args"))
        seen = FLAGS_AT.keys() | TARGET_AT.keys()
        split = [name for name in names if name in seen and not conditional]
        rules.append(rule | {"names": [name for name in names if name not in split], **_ASK})
        for name in split:
            rules += _by_flags(name) if name in FLAGS_AT else _by_target(name)
    changed["syscalls"] = [rule for rule in rules if rule["names"]]
    return changed


_ASK = {"action": "SCMP_ACT_NOTIFY"}


def _by_flags(name: str) -> list[dict[str, Any]]:
    """Go on where no writing flag is set, ask where one is: no call fits both."""

    def when(flag: int, value: int) -> dict[str, Any]:
        place = {"index": FLAGS_AT[name], "op": "SCMP_CMP_MASKED_EQ"}
        return {"names": [name], "args": [{**place, "value": flag, "valueTwo": value}]}

    reads = {"comment": f"{name} that only reads", "action": "SCMP_ACT_ALLOW"} | when(_READING, 0)
    asks = [{"comment": f"{name}: {word}", **_ASK} | when(f, f) for word, f in WRITING.items()]
    return [reads, *asks]


def _by_target(name: str) -> list[dict[str, Any]]:
    """Ask where the low half of a number is 1, go on where any bit says that it is not."""

    def when(mask: int, value: int, action: dict[str, Any]) -> dict[str, Any]:
        place = {"index": TARGET_AT[name], "op": "SCMP_CMP_MASKED_EQ"}
        return {"names": [name], "args": [{**place, "value": mask, "valueTwo": value}], **action}

    go_on = {"action": "SCMP_ACT_ALLOW"}
    others = [when(1, 0, go_on), *(when(1 << bit, 1 << bit, go_on) for bit in range(1, 32))]
    return [when(0xFFFFFFFF, 1, _ASK), *others]
