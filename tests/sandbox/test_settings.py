"""The whole lock-down, as it is asked for."""

import json
from typing import Any

import pytest

from agent_eval.sandbox.lease import Moment
from agent_eval.sandbox.owner import owner
from agent_eval.sandbox.settings import (
    ENVIRONMENT,
    FOLDER_LABEL,
    GVISOR,
    LEASE_LABEL,
    OWNER_LABEL,
    RECORDED_RUNC,
    RUN_LABEL,
    Asked,
    asked_for,
    seccomp_profile,
)
from agent_eval.scenario.model import MIB, Sandbox

RUNTIMES = ("runc", GVISOR)


def asked(runtime: str = "runc", **wishes: Any) -> Asked:
    return asked_for(Sandbox.model_validate(wishes), "run-1", runtime, 12345)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_always_on(runtime: str) -> None:
    given = asked(runtime).create_arguments(["python3"])
    for name, value in {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": ["KILL", "SETGID", "SETUID"],
        "use_config_proxy": False,
        "entrypoint": [],
        "command": ["python3"],
        "tty": False,
        "stdin_open": True,
        "dns": ["127.0.0.1"],
        "ipc_mode": "private",
        "user": "0:0",
        "runtime": runtime,
    }.items():
        assert given[name] == value, name
    assert given["mem_limit"] == given["memswap_limit"] == 512 * MIB, "no swap"
    assert given["log_config"]["Type"] == "none"
    assert not set(given) & {"volumes", "mounts", "binds", "devices", "privileged", "ports"}
    labels = given["labels"]
    until = Moment.parsed(labels.pop(LEASE_LABEL))
    assert until is not None and abs(until.wall_s - 12345) < 1
    assert labels == {RUN_LABEL: "run-1", FOLDER_LABEL: "", OWNER_LABEL: owner()}
    assert {limit["Name"]: limit["Hard"] for limit in given["ulimits"]} == {
        "nofile": 512,
        "core": 0,
    }


def test_system_calls_are_filtered_by_our_own_list_or_by_gvisors_kernel() -> None:
    assert asked().security_options() == ["no-new-privileges", f"seccomp={seccomp_profile()}"]
    assert asked(GVISOR).security_options() == ["no-new-privileges"]
    asks = f"seccomp={seccomp_profile(asks=True)}"
    assert asked(RECORDED_RUNC).security_options() == ["no-new-privileges", asks]
    assert "SCMP_ACT_NOTIFY" in asks
    assert "SCMP_ACT_NOTIFY" not in seccomp_profile()
    profile = json.loads(seccomp_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO", "what is not named is not allowed"
    allowed = {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args") and not rule.get("includes")
        for name in rule["names"]
    }
    dangerous = {
        *("io_uring_setup", "io_uring_enter", "ptrace", "process_vm_readv", "process_vm_writev"),
        *("mount", "umount2", "unshare", "setns", "pivot_root", "bpf", "perf_event_open"),
        *("keyctl", "add_key", "userfaultfd", "init_module", "kexec_load", "reboot", "swapon"),
    }
    assert not allowed & dangerous
    assert {"read", "write", "execve"} <= allowed


def test_limits_that_the_runtimes_count_differently() -> None:
    wishes: dict[str, Any] = {
        "processes": 100,
        "memory_bytes": "1GiB",
        "cpus": 0.5,
        "open_files": 300,
    }
    runc, gvisor = asked(**wishes), asked(GVISOR, **wishes)
    assert runc.create_arguments([])["pids_limit"] == 100
    assert gvisor.create_arguments([])["pids_limit"] > 1000, "its own threads count too"
    assert runc.create_arguments([])["nano_cpus"] == 500_000_000
    assert runc.rlimits() == {"RLIMIT_NOFILE": 300, "RLIMIT_CORE": 0}
    assert gvisor.rlimits()["RLIMIT_AS"] < gvisor.memory_bytes, "no process may take all of it"
    assert (runc.gvisor, gvisor.gvisor) == (False, True)


def test_everything_writable_has_a_size() -> None:
    tmpfs = asked(home_bytes="2MiB", tmp_bytes=3 * MIB, writable={"/srv": "4MiB"}).tmpfs
    assert set(tmpfs) == {"/home/user", "/tmp", "/dev/shm", "/run", "/srv"}
    options = {path: set(each.split(",")) for path, each in tmpfs.items()}
    assert f"size={2 * MIB}" in options["/home/user"]
    assert f"size={3 * MIB}" in options["/tmp"]
    assert f"size={4 * MIB}" in options["/srv"]
    for path, each in options.items():
        assert {"nosuid", "nodev"} <= each, path
        size = next(int(word[5:]) for word in each if word.startswith("size="))
        assert size > 0, "a size of nothing would be no limit"
    assert {"uid=1000", "gid=1000"} <= options["/srv"]
    assert "uid=1000" not in options["/run"], "the supervisor's own folder is not the agent's"
    assert "noexec" in options["/run"]


def test_the_environment_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.example")
    given = asked().create_arguments([])
    assert set(given["environment"]) == {"PATH", "HOME"}
    assert not any(name.lower().endswith(("_proxy", "_key")) for name in ENVIRONMENT)
    for name in ("PAGER", "GIT_PAGER", "EDITOR", "VISUAL"):
        assert ENVIRONMENT[name] in ("cat", "false"), "no action waits for a person"


def test_the_record_holds_plain_values() -> None:
    json.dumps(vars(asked(GVISOR)), allow_nan=False)
