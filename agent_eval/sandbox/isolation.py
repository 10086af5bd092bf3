"""Rows of the audit on what the kernel keeps apart: namespaces, devices, its own settings.

Used by `audit`. Under gVisor all of these are the sandbox's own kernel's, so what is measured there
is that kernel and not the host's; what the engine states must hold all the same.
"""

from typing import Any

from agent_eval.sandbox.rows import Row, part
from agent_eval.sandbox.settings import Asked

OF_THE_HOST = {"uts": 0xEFFFFFFE, "ipc": 0xEFFFFFFF, "pid": 0xEFFFFFFC, "cgroup": 0xEFFFFFFB}
"""Numbers of the first namespaces, fixed in Linux (include/linux/proc_ns.h): not to be seen."""

SHARED = ("user", "time")
"""Namespaces the sandbox has in common with the host under runc."""

DEVICES = {
    *("full 1:7", "null 1:3", "random 1:8", "tty 5:0", "urandom 1:9", "zero 1:5"),
    *("pts/ptmx 5:2", "ptmx 5:2", "console 5:1"),
}
"""Devices that lead to nothing but the sandbox itself."""

OF_GVISOR = {"fuse 10:229", "net/tun 10:200"}
"""What gVisor's kernel has besides; opening them takes capabilities that nobody has."""

MASKED = {
    *("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/sched_debug", "/proc/scsi", "/sys/firmware"),
}
"""What the engine has to hide of the host's kernel."""

READ_ONLY = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
"""What the engine has to protect from being written."""

_OWN_KERNEL = "gVisor's own kernel: nothing of the host's is behind it"


def isolation(asked: Asked, stated: dict[str, Any], root: dict[str, Any], user: Any) -> list[Row]:
    """Compare what was asked, what the engine states and what was seen, one row a setting."""
    host = stated["HostConfig"]
    return [
        _image(asked, stated),
        *_namespaces(asked, host, root),
        _devices(asked, host, root),
        _masked(host, root),
        _kernel_settings(asked, host, root),
        _module(asked, stated, root),
        _memory_victim(asked, host, root, user),
        _swap(asked, host, root),
    ]


def _image(asked: Asked, stated: dict[str, Any]) -> Row:
    given = stated.get("Image")
    return Row("image", asked.image_id or asked.image, given, None, asked.image_id in (None, given))


def _namespaces(asked: Asked, host: Any, root: Any) -> list[Row]:
    modes = {"pid": "PidMode", "uts": "UTSMode", "ipc": "IpcMode", "cgroup": "CgroupnsMode"}
    given = {name: host.get(mode) for name, mode in modes.items()}
    numbers = part(root, "namespaces")
    seen = {name: _whose(name, numbers.get(name), asked) for name in modes}
    seen["pid"] = seen["pid"] if root.get("pid") == 1 else "not process 1"
    right_name = root.get("hostname") == asked.hostname
    seen["uts"] = seen["uts"] if right_name else "another host name"
    stated_ok = given == {"pid": "", "uts": "", "ipc": "private", "cgroup": "private"}
    shared = "absent: {} are the host's; {} hold"
    instead = "capabilities, the system call filter and read-only paths"
    rows = [
        Row(
            "namespaces",
            dict.fromkeys(modes, "own"),
            given,
            seen,
            stated_ok and set(seen.values()) == {"own"},
            _OWN_KERNEL if asked.gvisor else "",
        )
    ]
    if not asked.gvisor:
        words = shared.format(" and ".join(SHARED), instead)
        mode = host.get("UsernsMode")
        measured = {name: numbers.get(name) for name in SHARED}
        rows.append(Row("user namespace", "the engine's", mode, measured, mode == "", words))
    return rows


def _whose(name: str, number: Any, asked: Asked) -> str:
    """Whether a namespace is the sandbox's own, by its number."""
    if asked.gvisor and number is None:
        return "own"  # its kernel has just one of the kind
    if not isinstance(number, int):
        return "unknown"
    return "the host's" if not asked.gvisor and number == OF_THE_HOST[name] else "own"


def _devices(asked: Asked, host: Any, root: Any) -> Row:
    wishes = ("Devices", "DeviceRequests", "DeviceCgroupRules", "Privileged")
    given = [name for name in wishes if host.get(name)]
    seen = root.get("devices")
    known = DEVICES | OF_GVISOR if asked.gvisor else DEVICES
    strange = sorted(set(map(str, seen)) - known) if isinstance(seen, list) and seen else ["?"]
    return Row("devices of the host", [], given, strange, not given and not strange)


def _masked(host: Any, root: Any) -> Row:
    given = set(host.get("MaskedPaths") or [])
    shown = root.get("shown")
    missing = sorted(MASKED - given)
    ok = not missing and shown == []
    return Row("hidden parts of the kernel", sorted(MASKED), sorted(given), {"shown": shown}, ok)


def _kernel_settings(asked: Asked, host: Any, root: Any) -> Row:
    given = sorted(host.get("ReadonlyPaths") or [])
    changeable = root.get("changeable")
    stated_ok = set(given) >= READ_ONLY and not host.get("Sysctls")
    return Row(
        "read-only kernel settings",
        sorted(READ_ONLY),
        given,
        {"changeable": changeable},
        stated_ok and (asked.gvisor or changeable == []),
        _OWN_KERNEL if asked.gvisor else "",
    )


def _module(asked: Asked, stated: dict[str, Any], root: Any) -> Row:
    """AppArmor or SELinux: whatever the host has may not be switched off."""
    options = stated["HostConfig"].get("SecurityOpt") or []
    off = [one for one in options if one.partition("{")[0].endswith(("unconfined", "disable"))]
    profile = stated.get("AppArmorProfile") or stated.get("ProcessLabel") or ""
    note = ""
    if asked.gvisor:
        note = f"absent inside: {_OWN_KERNEL}"
    elif not profile:
        note = "absent: the engine applies none here; the system call filter and capabilities hold"
    return Row(
        "AppArmor or SELinux",
        "as the host has it",
        profile or "none",
        root.get("confined"),
        not off and profile != "unconfined",
        note,
    )


def _memory_victim(asked: Asked, host: Any, root: Any, user: Any) -> Row:
    """Who goes first when memory runs out: the agent's processes, never PID 1 or the host's."""
    given = {name: host.get(name) or 0 for name in ("OomScoreAdj", "OomKillDisable")}
    seen = {"PID 1": root.get("oom"), "agent": user.get("oom")}
    ok = given == {"OomScoreAdj": 0, "OomKillDisable": 0} and seen == {"PID 1": 0, "agent": 1000}
    note = ""
    if asked.gvisor:
        note = "absent: gVisor ends as a whole; instead each process has an address-space limit"
    return Row(
        "out of memory the agent goes first", {"PID 1": 0, "agent": 1000}, given, seen, ok, note
    )


def _swap(asked: Asked, host: Any, root: Any) -> Row:
    given = (host.get("MemorySwap") or 0) - (host.get("Memory") or 0)
    seen = root.get("swap")
    note = ""
    if asked.gvisor:
        note = f"absent inside: {_OWN_KERNEL}; the engine's limit is on the whole of it"
    elif seen is None:
        note = "not counted by this kernel; the engine's limit on memory with swap holds"
    return Row("swap_bytes", 0, given, seen, given == 0 and seen in (None, 0), note)
