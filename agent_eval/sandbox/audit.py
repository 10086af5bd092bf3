"""Is the sandbox locked down as asked? One row a setting, in three columns.

`asked` is what we told the engine, `stated` what the engine says it applied, `measured` what was
seen from inside. A row is ok only if both agree with what was asked; one that is not ok refuses the
run. A limit that a runtime does not enforce is shown as absent with what replaces it.
"""

import re
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import NotAsAsked
from agent_eval.sandbox.isolation import isolation
from agent_eval.sandbox.rows import Row, part
from agent_eval.sandbox.settings import CAPABILITY_BITS, UID, Asked

OUTSIDE = "192.0.2.1"
"""An address reserved for documentation (RFC 5737): the probe tries to reach it and must fail."""

_PROBES = {"tcp", "udp", "tcp6", "raw", "packet", "vsock"}
"""What the probe tries; see `look_out` in sandbox/init/errands.py."""

_HARMLESS = re.compile(r"lo|(tunl|sit|ip6tnl|gre|gretap|erspan|ip_vti|ip6_vti|ip6gre)\d+")


def audit(asked: Asked, stated: dict[str, Any], root: dict[str, Any], child: str) -> list[Row]:
    """Compare the three; `root` and `child` come from inside and may be anything."""
    user = _parsed(child)
    host, config = stated["HostConfig"], stated["Config"]
    return [
        *_privileges(asked, host, root, user),
        *isolation(asked, stated, root, user),
        *_limits(asked, host, root, user),
        *_files(asked, stated, root, user),
        *_ways_out(asked, host, config, root, user),
    ]


def refuse_unless_ok(rows: list[Row]) -> None:
    """Raise `NotAsAsked`, naming every setting that is not as asked."""
    wrong = [row for row in rows if not row.ok]
    if wrong:
        said = "; ".join(
            f"{row.setting}: asked {row.asked!r}, engine states {row.stated!r}, "
            f"measured {row.measured!r}"
            for row in wrong
        )
        raise NotAsAsked(f"the sandbox is not locked down as asked, so nothing was run: {said}")


def _privileges(asked: Asked, host: Any, root: Any, user: Any) -> list[Row]:
    seen, seen_user = part(root, "status"), part(user, "status")
    bits = sum(1 << CAPABILITY_BITS[name] for name in asked.kept)
    held = seen.get("CapEff", "")
    given_up = set(asked.capabilities) - set(asked.kept)
    note = f"begins with {', '.join(sorted(given_up))} too, for the network" if given_up else ""
    bounded = not given_up or seen.get("CapPrm") == seen.get("CapBnd") == held
    options = host.get("SecurityOpt") or []
    rows = [
        Row(
            "capabilities of PID 1",
            sorted(asked.kept),
            sorted(host.get("CapAdd") or []),
            held,
            {name.removeprefix("CAP_") for name in host.get("CapAdd") or []}
            == set(asked.capabilities)
            and host.get("CapDrop") == ["ALL"]
            and held == f"{bits:016x}"
            and bounded,
            note,
        ),
        Row(
            "capabilities of the agent",
            "none",
            None,
            seen_user.get("CapEff"),
            seen_user.get("CapEff") == seen_user.get("CapPrm") == f"{0:016x}",
        ),
        Row(
            "user of the agent",
            UID,
            host.get("GroupAdd") or [],
            {name: seen_user.get(name) for name in ("Uid", "Gid", "Groups")},
            _ids(seen_user) == {str(UID)} and not host.get("GroupAdd"),
        ),
        Row(
            "privileged",
            False,
            host.get("Privileged"),
            None,
            host.get("Privileged") is False,
        ),
        Row(
            "no new privileges",
            True,
            "no-new-privileges" in options,
            seen.get("NoNewPrivs"),
            "no-new-privileges" in options
            and seen.get("NoNewPrivs") in (("1", "", None) if asked.gvisor else ("1",)),
        ),
    ]
    if asked.gvisor:
        note = "gVisor's own kernel takes the system calls; the engine's filter is not applied"
        rows.append(Row("system call filter", "gVisor", stated_runtime(host), None, True, note))
    else:
        filtered, given = seen.get("Seccomp"), asked.system_calls() in options
        stated = "own" if given else "another"
        rows.append(Row("system call filter", "own", stated, filtered, given and filtered == "2"))
    return rows


def stated_runtime(host: dict[str, Any]) -> str:
    """The runtime that the engine says it uses."""
    return str(host.get("Runtime"))


def _limits(asked: Asked, host: Any, root: Any, user: Any) -> list[Row]:
    measured = root.get("memory")
    memory_ok = host.get("Memory") == host.get("MemorySwap") == asked.memory_bytes
    rlimits = part(user, "rlimits")
    wanted = asked.rlimits()
    given = {one.get("Name"): one.get("Hard") for one in host.get("Ulimits") or []}
    rows = [
        Row("runtime", asked.runtime, stated_runtime(host), None, host["Runtime"] == asked.runtime),
        Row(
            "memory_bytes, no swap",
            asked.memory_bytes,
            host.get("Memory"),
            measured,
            memory_ok and _close(measured, asked.memory_bytes),
        ),
        Row(
            "cpus",
            asked.cpus,
            (host.get("NanoCpus") or 0) / 1e9,
            None,
            host.get("NanoCpus") == int(asked.cpus * 1e9),
        ),
        Row(
            "rlimits",
            wanted,
            given,
            rlimits,
            given == {"nofile": asked.open_files_of_pid_1, "core": 0}
            and all(rlimits.get(name) == value for name, value in wanted.items()),
        ),
    ]
    pids = host.get("PidsLimit")
    if asked.gvisor:
        note = "absent: gVisor does not count processes; memory and the limit on its threads hold"
        rows.append(Row("processes", asked.processes, pids, "absent", bool(pids), note))
    else:
        rows.append(Row("processes", asked.processes, pids, None, pids == asked.processes))
    return rows


def _files(asked: Asked, stated: Any, root: Any, user: Any) -> list[Row]:
    sizes = part(root, "sizes")
    host = stated["HostConfig"]
    wanted = {path: _size(options) for path, options in asked.tmpfs.items()}
    measured = {path: sizes.get(path) for path in wanted}
    given = {path: _size(options) for path, options in (host.get("Tmpfs") or {}).items()}
    mounts = [mount.get("Source") or mount.get("Name") for mount in stated.get("Mounts") or []]
    mounts += host.get("Binds") or []
    writable = [root.get("root_writable"), user.get("root_writable")]
    return [
        Row(
            "read-only root",
            True,
            host.get("ReadonlyRootfs"),
            writable == [False, False],
            host.get("ReadonlyRootfs") is True and writable == [False, False],
        ),
        Row(
            "home is writable",
            True,
            None,
            user.get("home_writable"),
            bool(user.get("home_writable")),
        ),
        Row(
            "writable folders",
            wanted,
            given,
            measured,
            host.get("Tmpfs") == asked.tmpfs
            and all(_close(sizes.get(path), size) for path, size in wanted.items()),
        ),
        Row("mounts of the host", [], mounts, None, not mounts),
        Row(
            "engine's socket",
            False,
            None,
            root.get("docker_socket"),
            root.get("docker_socket") is False,
        ),
        Row(
            "log of the engine",
            "none",
            host["LogConfig"].get("Type"),
            None,
            host["LogConfig"].get("Type") == "none",
        ),
    ]


def _ways_out(asked: Asked, host: Any, config: Any, root: Any, user: Any) -> list[Row]:
    devices = root.get("network") or []
    tried = part(user, "tried")
    # A datagram socket "connects" without sending; with no device there is no route even so.
    closed = set(tried) >= _PROBES and "open" not in tried.values()
    if asked.networked:
        # All TCP comes to PID 1 and is reset, all UDP to where names are answered and nothing else.
        led = {"tcp": "ECONNRESET", "udp": "silence"}
        others = {name: met for name, met in tried.items() if name not in led}
        closed = set(tried) >= _PROBES and "open" not in others.values()
        closed = closed and all(tried[name] == met for name, met in led.items())
    resolv, hosts = str(root.get("resolv")), str(root.get("hosts"))
    environment = {pair.partition("=")[0] for pair in config.get("Env") or []}
    return [
        Row(
            "network",
            "none",
            host.get("NetworkMode"),
            devices,
            host.get("NetworkMode") == "none" and _only_loopback(devices),
        ),
        Row("ways out", "all to PID 1" if asked.networked else "all closed", None, tried, closed),
        Row(
            "name servers",
            ["127.0.0.1"],
            host.get("Dns"),
            _words_after(resolv, "nameserver"),
            host.get("Dns") == ["127.0.0.1"] == _words_after(resolv, "nameserver")
            and _words_after(resolv, "search") in ([], ["."]),
        ),
        Row(
            "hosts file",
            "own names only",
            None,
            sorted(
                {word for line in hosts.splitlines() for word in line.split("#")[0].split()[1:]}
            ),
            all(_is_local(line) for line in hosts.splitlines()),
        ),
        Row(
            "environment",
            "no proxy of the user's",
            sorted(environment),
            None,
            not any(name.lower().endswith("_proxy") for name in environment),
        ),
    ]


def _only_loopback(devices: Any) -> bool:
    """The tunnel devices that every namespace has are down and lead nowhere: the probe shows it."""
    return isinstance(devices, list) and all(_HARMLESS.fullmatch(str(one)) for one in devices)


def _is_local(line: str) -> bool:
    words = line.split("#", maxsplit=1)[0].split()
    return not words or words[0].startswith(("127.", "::1", "fe00:", "ff0", "ff00:"))


def _words_after(text: str, key: str) -> list[str]:
    return [
        word for line in text.splitlines() if line.split()[:1] == [key] for word in line.split()[1:]
    ]


def _ids(status: dict[str, Any]) -> set[str]:
    """Every number of a user or group that a process has."""
    required = (str(status.get(name) or "?") for name in ("Uid", "Gid"))
    return set(" ".join([*required, str(status.get("Groups", "?"))]).split())


def _size(options: str) -> int | None:
    sizes = [word[5:] for word in options.split(",") if word.startswith("size=")]
    return int(sizes[0]) if sizes and sizes[0].isdigit() else None


def _close(measured: Any, wanted: int | None) -> bool:
    """Whether a size is as asked for, up to some pages."""
    return isinstance(measured, int) and wanted is not None and abs(measured - wanted) <= 65536


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = untrusted_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
