"""The audit: a good sandbox passes, and no single thing may be otherwise."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from agent_eval.errors import NotAsAsked
from agent_eval.record.transcript import line_of
from agent_eval.sandbox.audit import audit, refuse_unless_ok
from agent_eval.sandbox.isolation import MASKED, OF_THE_HOST, READ_ONLY
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import GVISOR, RECORDED_RUNC, Asked, asked_for, seccomp_profile
from agent_eval.scenario.model import Sandbox
from tests.helpers import JSON_VALUES

RUNTIMES = ("runc", GVISOR)
PROBES = ("tcp", "udp", "tcp6", "raw", "packet", "vsock")

NAMESPACES = {
    **dict.fromkeys(("pid", "uts", "ipc", "cgroup"), 4026532000),
    "user": 4026531837,
    "time": 4026531834,
}

Columns = dict[str, Any]
"""`stated` by the engine, seen by `root`, and seen by the agent's `user`."""


def asked(runtime: str) -> Asked:
    wishes = Sandbox.model_validate({"writable": {"/srv": "1MiB"}})
    return asked_for(wishes, "run-1", runtime, 12345)


def good(runtime: str) -> Columns:
    """What the engine says of a sandbox as asked, and what is measured inside."""
    wanted = asked(runtime)
    given = wanted.create_arguments([])
    host = {
        "Runtime": runtime,
        "NetworkMode": given["network_mode"],
        "ReadonlyRootfs": given["read_only"],
        "CapAdd": [f"CAP_{name}" for name in given["cap_add"]],
        "CapDrop": given["cap_drop"],
        "SecurityOpt": given["security_opt"],
        "Memory": given["mem_limit"],
        "MemorySwap": given["memswap_limit"],
        "NanoCpus": given["nano_cpus"],
        "PidsLimit": given["pids_limit"],
        "Tmpfs": given["tmpfs"],
        "Dns": given["dns"],
        "LogConfig": {"Type": "none", "Config": {}},
        "Binds": None,
        "Ulimits": [
            {"Name": "nofile", "Soft": 512, "Hard": 512},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Privileged": False,
        "PidMode": "",
        "UTSMode": "",
        "IpcMode": given["ipc_mode"],
        "CgroupnsMode": given["cgroupns"],
        "UsernsMode": "",
        "OomScoreAdj": 0,
        "OomKillDisable": False,
        "Devices": None,
        "MaskedPaths": sorted(MASKED),
        "ReadonlyPaths": sorted(READ_ONLY),
    }
    filtered = "0" if wanted.gvisor else "2"
    privileges = "" if wanted.gvisor else "1"
    sizes = {
        path: int(next(word for word in options.split(",") if word[:5] == "size=")[5:])
        for path, options in wanted.tmpfs.items()
    }
    root = {
        "status": {"CapEff": "00000000000000e0", "NoNewPrivs": privileges, "Seccomp": filtered},
        "sizes": sizes | {"/": 10**10, "/proc": 0},
        "network": ["lo"],
        "memory": wanted.memory_bytes,
        "hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\nff02::1\tip6-allnodes\n",
        "resolv": "# made by the engine\nnameserver 127.0.0.1\nsearch .\noptions ndots:0\n",
        "root_writable": False,
        "docker_socket": False,
        "hostname": wanted.hostname,
        "pid": 1,
        "namespaces": {"pid": 7, "uts": 8, "ipc": 9} if wanted.gvisor else NAMESPACES,
        "devices": ["null 1:3", "pts/ptmx 5:2"],
        "shown": [],
        "changeable": [],
        "confined": "",
        "oom": 0,
        "swap": None if wanted.gvisor else 0,
    }
    user = {
        "status": {
            "Uid": "1000\t1000\t1000\t1000",
            "Gid": "1000\t1000\t1000\t1000",
            "Groups": "",
            "CapEff": "0" * 16,
            "CapPrm": "0" * 16,
        },
        "oom": 1000,
        "tried": dict.fromkeys(PROBES, "ENETUNREACH"),
        "root_writable": False,
        "home_writable": True,
        "rlimits": wanted.rlimits(),
    }
    config = {"Env": ["PATH=/usr/bin:/bin", "HOME=/root"]}
    stated = {"HostConfig": host, "Config": config, "Mounts": [], "Image": "sha256:1"}
    return {"stated": stated, "root": root, "user": user}


def rows_of(runtime: str, columns: Columns) -> list[Row]:
    return audit(asked(runtime), columns["stated"], columns["root"], json.dumps(columns["user"]))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_sandbox_as_asked_passes(runtime: str) -> None:
    rows = rows_of(runtime, good(runtime))
    assert [row.setting for row in rows if not row.ok] == []
    refuse_unless_ok(rows)
    assert len(rows) > 15
    assert len({row.setting for row in rows}) == len(rows)
    for row in rows:
        record = row.record()
        line_of(record)
        assert {"setting", "ok", "asked"} <= set(record)


def test_a_limit_that_gvisor_does_not_count_is_shown_as_absent() -> None:
    rows = {row.setting: row for row in rows_of(GVISOR, good(GVISOR))}
    assert rows["processes"].measured == "absent"
    assert "gVisor does not count" in rows["processes"].note
    assert "own kernel" in rows["system call filter"].note
    assert "gVisor ends as a whole" in rows["out of memory the agent goes first"].note
    noted = {row.setting for row in rows_of("runc", good("runc")) if row.note}
    assert noted == {"user namespace", "AppArmor or SELinux"}


def test_another_image_than_the_one_that_was_looked_up_is_refused() -> None:
    columns, wanted = good("runc"), replace(asked("runc"), image_id="sha256:2")
    rows = audit(wanted, columns["stated"], columns["root"], json.dumps(columns["user"]))
    assert [row.setting for row in rows if not row.ok] == ["image"]
    assert wanted.create_arguments([])["image"] == "sha256:2"


def test_tunnels_that_every_namespace_has_are_no_network() -> None:
    for names in ([], ["lo"], ["lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0"]):
        columns = good("runc")
        columns["root"]["network"] = names
        refuse_unless_ok(rows_of("runc", columns))


GONE = object()
"""A value that is not there at all."""

HOST = ("stated", "HostConfig")
ROOT, USER = ("root",), ("user",)
STATUS = ("user", "status")
DEVIATIONS: list[tuple[str, tuple[str, ...], tuple[Any, ...]]] = [
    # the setting that must be named, where it is, what it may not be
    ("runtime", (*HOST, "Runtime"), ("runsc", "io.containerd.runc.v2", "", None)),
    ("network", (*HOST, "NetworkMode"), ("bridge", "host", "default", None)),
    ("read-only root", (*HOST, "ReadonlyRootfs"), (False, None, "yes")),
    ("capabilities of PID 1", (*HOST, "CapAdd"), (["ALL"], [], None, ["CAP_KILL"])),
    ("capabilities of PID 1", (*HOST, "CapDrop"), ([], None, ["CAP_SYS_ADMIN"])),
    ("no new privileges", (*HOST, "SecurityOpt"), ([], None)),
    ("memory_bytes, no swap", (*HOST, "Memory"), (0, 2**40, None)),
    ("memory_bytes, no swap", (*HOST, "MemorySwap"), (-1, 2**40, 0, None)),
    ("cpus", (*HOST, "NanoCpus"), (0, 2 * 10**9, None)),
    ("processes", (*HOST, "PidsLimit"), (0, None)),
    ("writable folders", (*HOST, "Tmpfs"), ({}, None, {"/tmp": "size=1048576"})),
    ("name servers", (*HOST, "Dns"), (["8.8.8.8"], [], None)),
    ("log of the engine", (*HOST, "LogConfig", "Type"), ("json-file", "journald", GONE)),
    ("mounts of the host", (*HOST, "Binds"), (["/:/host"],)),
    ("mounts of the host", ("stated", "Mounts"), ([{"Source": "/etc"}], [{"Name": "volume"}])),
    (
        "environment",
        ("stated", "Config", "Env"),
        (["PATH=x", "https_proxy=http://u:p@proxy"], ["ALL_PROXY=x"]),
    ),
    (
        "capabilities of PID 1",
        ("root", "status", "CapEff"),
        ("000001ffffffffff", "0" * 16, "", None, GONE, 224),
    ),
    ("read-only root", (*ROOT, "root_writable"), (True, None, GONE, "no", 0.5)),
    ("writable folders", ("root", "sizes", "/home/user"), (2**40, 0, None, GONE, "64M")),
    ("writable folders", ("root", "sizes", "/srv"), (2**40, GONE)),
    ("writable folders", (*ROOT, "sizes"), ({}, None, GONE, "x", [1])),
    ("network", (*ROOT, "network"), (["lo", "eth0"], ["lowpan0"], ["lo0"], {"a": 1}, ["sitx"])),
    ("memory_bytes, no swap", (*ROOT, "memory"), (2**40, 0, None, GONE, "512M", [])),
    ("engine's socket", (*ROOT, "docker_socket"), (True, None, GONE, "no")),
    (
        "name servers",
        (*ROOT, "resolv"),
        ("nameserver 8.8.8.8\n", "", "nameserver 127.0.0.1\nnameserver 10.0.0.1\n", GONE),
    ),
    ("name servers", (*ROOT, "resolv"), ("nameserver 127.0.0.1\nsearch corp.example\n",)),
    ("hosts file", (*ROOT, "hosts"), ("10.0.0.5 registry\n", "127.0.0.1 l\n192.168.0.1 h\n")),
    ("namespaces", (*HOST, "PidMode"), ("host", "container:x", None, GONE)),
    ("namespaces", (*HOST, "UTSMode"), ("host", None)),
    ("namespaces", (*HOST, "IpcMode"), ("host", "shareable", "container:x", "", None)),
    ("namespaces", (*HOST, "CgroupnsMode"), ("host", "", None)),
    ("namespaces", (*ROOT, "pid"), (2, None, GONE, "1")),
    ("namespaces", (*ROOT, "hostname"), ("vm", "", None, GONE)),
    ("privileged", (*HOST, "Privileged"), (True, None, GONE)),
    ("devices of the host", (*HOST, "Devices"), ([{"PathOnHost": "/dev/kmsg"}],)),
    ("devices of the host", (*HOST, "DeviceRequests"), ([{"Driver": "nvidia"}],)),
    ("devices of the host", (*HOST, "DeviceCgroupRules"), (["a *:* rwm"],)),
    (
        "devices of the host",
        (*ROOT, "devices"),
        (["null 1:3", "vda 254:0"], ["null 1:11"], [], None, GONE, "null 1:3", {"null 1:3": 1}),
    ),
    ("hidden parts of the kernel", (*HOST, "MaskedPaths"), ([], None, ["/proc/kcore"])),
    ("hidden parts of the kernel", (*ROOT, "shown"), (["/proc/kcore"], None, GONE, "")),
    ("read-only kernel settings", (*HOST, "ReadonlyPaths"), ([], None, ["/proc/sys"])),
    ("read-only kernel settings", (*HOST, "Sysctls"), ({"net.ipv4.ip_forward": "1"},)),
    ("out of memory the agent goes first", (*HOST, "OomScoreAdj"), (-1000, 500)),
    ("out of memory the agent goes first", (*HOST, "OomKillDisable"), (True,)),
    ("out of memory the agent goes first", ("user", "oom"), (0, -1000, None, GONE)),
    ("out of memory the agent goes first", (*ROOT, "oom"), (1000, None, GONE)),
    ("swap_bytes", (*HOST, "MemorySwap"), (-1, 2**40)),
    ("swap_bytes", (*ROOT, "swap"), (4096, "0", [])),
    ("rlimits", (*HOST, "Ulimits"), ([], None, [{"Name": "nofile", "Hard": 512}])),
    ("user of the agent", (*HOST, "GroupAdd"), (["0"],)),
    ("user of the agent", (*STATUS, "Gid"), ("0\t0\t0\t0", "1000\t0\t0\t0", None, GONE)),
    ("user of the agent", (*STATUS, "Groups"), ("0", "0 1000", "27", GONE)),
    ("user of the agent", (*STATUS, "Uid"), ("0\t0\t0\t0", "1000\t0\t0\t0", "", None, GONE)),
    ("capabilities of the agent", (*STATUS, "CapEff"), ("00000000000000e0", "", GONE)),
    ("capabilities of the agent", (*STATUS, "CapPrm"), ("00000000000000e0", "", GONE)),
    ("user of the agent", (*USER, "status"), ({}, None, "x", GONE, [])),
    ("read-only root", (*USER, "root_writable"), (True, None, GONE)),
    ("home is writable", (*USER, "home_writable"), (False, None, GONE)),
    *[
        ("ways out", ("user", "tried", name), ("open", GONE))
        for name in ("tcp", "udp", "tcp6", "raw", "packet", "vsock")
    ],
    ("ways out", (*USER, "tried"), ({}, None, GONE, {"tcp": "ENETUNREACH"}, {"x": "y"}, [])),
    ("ways out", ("user", "tried", "another"), ("open",)),
    ("rlimits", ("user", "rlimits", "RLIMIT_NOFILE"), (10**6, -1, None, GONE)),
    ("rlimits", ("user", "rlimits", "RLIMIT_CORE"), (-1, GONE)),
    ("rlimits", (*USER, "rlimits"), (None, GONE, [], "x")),
]
ON_RUNC: list[tuple[str, tuple[str, ...], tuple[Any, ...]]] = [
    *[
        ("namespaces", ("root", "namespaces", name), (number, None, GONE, "x"))
        for name, number in OF_THE_HOST.items()
    ],
    ("user namespace", (*HOST, "UsernsMode"), ("host", None)),
    ("read-only kernel settings", (*ROOT, "changeable"), (["/proc/sys/x"], None, GONE)),
    (
        "AppArmor or SELinux",
        (*HOST, "SecurityOpt"),
        (
            ["no-new-privileges", f"seccomp={seccomp_profile()}", "apparmor=unconfined"],
            ["no-new-privileges", f"seccomp={seccomp_profile()}", "label=disable"],
        ),
    ),
    ("AppArmor or SELinux", ("stated", "AppArmorProfile"), ("unconfined",)),
    ("processes", (*HOST, "PidsLimit"), (-1, 4096, 127)),
    (
        "system call filter",
        (*HOST, "SecurityOpt"),
        (
            ["no-new-privileges"],
            ["no-new-privileges", "seccomp=unconfined"],
            ["no-new-privileges", seccomp_profile(asks=True)],
            ["no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'],
        ),
    ),
    ("system call filter", ("root", "status", "Seccomp"), ("0", "1", "", None, GONE, 2)),
    ("no new privileges", ("root", "status", "NoNewPrivs"), ("0", "", None, GONE)),
    (
        "no new privileges",
        (*HOST, "SecurityOpt"),
        ([f"seccomp={seccomp_profile()}"], ["no-new-privileges=false"]),
    ),
    ("capabilities of PID 1", (*ROOT, "status"), ({}, None, "x", GONE, [])),
]
ON_GVISOR: list[tuple[str, tuple[str, ...], tuple[Any, ...]]] = [
    ("no new privileges", ("root", "status", "NoNewPrivs"), ("0", "x")),
    ("rlimits", ("user", "rlimits", "RLIMIT_AS"), (-1, 2**40, GONE)),
]
CASES = [
    (runtime, *one)
    for runtime, own in (("runc", ON_RUNC), (RECORDED_RUNC, ON_RUNC), (GVISOR, ON_GVISOR))
    for one in [*DEVIATIONS, *own]
]


def deviating(columns: Columns, path: tuple[str, ...], value: Any) -> Columns:
    """The columns with one value changed or taken out."""
    changed = copy.deepcopy(columns)
    node = changed
    for step in path[:-1]:
        node = node[step]
    if value is GONE:
        node.pop(path[-1], None)
    else:
        node[path[-1]] = value
    return changed


@pytest.mark.parametrize(("runtime", "setting", "path", "values"), CASES)
def test_every_single_deviation_is_refused_by_name(
    runtime: str, setting: str, path: tuple[str, ...], values: tuple[Any, ...]
) -> None:
    for value in values:
        rows = rows_of(runtime, deviating(good(runtime), path, value))
        wrong = [row.setting for row in rows if not row.ok]
        assert setting in wrong, value
        with pytest.raises(NotAsAsked) as caught:
            refuse_unless_ok(rows)
        assert setting in str(caught.value)
        assert "nothing was run" in str(caught.value)


@pytest.mark.parametrize(
    "child",
    ["", "x", "[]", "null", "{", "5", "[" * 100_000, '{"tried": NaN}', '"\ud800"', "{}" * 5],
)
def test_a_child_that_says_anything_else_is_refused(child: str) -> None:
    columns = good("runc")
    rows = audit(asked("runc"), columns["stated"], columns["root"], child)
    assert {"user of the agent", "ways out", "rlimits"} <= {r.setting for r in rows if not r.ok}
    for row in rows:
        line_of(row.record())


@given(JSON_VALUES, JSON_VALUES)
def test_whatever_comes_from_inside_is_judged_and_recorded(one: Any, other: Any) -> None:
    for name in good("runc")["root"]:
        columns = deviating(good("runc"), ("root", name), one)
        for row in rows_of("runc", columns):
            line_of(row.record())
    for name in good("runc")["user"]:
        columns = deviating(good("runc"), ("user", name), other)
        for row in rows_of("runc", columns):
            line_of(row.record())
    assert any(not row.ok for row in audit(asked("runc"), good("runc")["stated"], {}, "{}"))
