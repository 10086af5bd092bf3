"""A scenario's wishes as settings of a container: the whole lock-down on one page.

`Asked` is what both the engine and the audit are given, so that nothing is asked for that is not
checked afterwards. Limits that one runtime counts differently are set here per runtime.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from docker.types import LogConfig, Ulimit

from agent_eval.basics.resources import shipped
from agent_eval.sandbox.lease import lease_label
from agent_eval.sandbox.notifications import recorded
from agent_eval.sandbox.owner import owner
from agent_eval.scenario.model import HOME, Sandbox

UID = GID = 1000
RUN_LABEL, LEASE_LABEL, OWNER_LABEL = "agent-eval.run", "agent-eval.lease", "agent-eval.owner"
FOLDER_LABEL = "agent-eval.folder"
GVISOR = "agent-eval-runsc"
"""The name under which `sandbox/setup` registers gVisor with the flags it needs."""
RECORDED_RUNC = "agent-eval-runc"
"""The name under which it registers runc for sandboxes with a kernel record."""

CAPABILITIES = ("KILL", "SETGID", "SETUID")
"""What PID 1 keeps of root's powers: becoming the agent's user, and signalling it."""

FOR_A_NETWORK = ("NET_ADMIN", "NET_RAW")
"""What else it begins with where there is a network, to lead all of it to itself. Under gVisor it
keeps these: a copy has to do it again, and they are powers over the sandbox's own kernel alone."""

TO_GIVE_UP = ("SETPCAP",)
"""What it takes besides to give those up for good."""

CAPABILITY_BITS = {
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_ADMIN": 12,
    "NET_RAW": 13,
}
"""Their numbers in Linux (include/uapi/linux/capability.h)."""

AUTHORITIES = "/etc/ssl/certs"
"""Where programs look for whom to trust; with a network the folder is PID 1's to fill."""

AUTHORITY = AUTHORITIES + "/ca-certificates.crt"

TRUSTING = dict.fromkeys(
    (
        *("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
        *("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    ),
    AUTHORITY,
)
"""What has programs trust it that bring authorities of their own."""

RUN = "/run"
"""The writable folder that is PID 1's alone."""

SHM_BYTES = 16 * 1024 * 1024
AUTHORITIES_BYTES = 1024 * 1024
STREAMS = 1024
"""Files that PID 1 may have open besides, each of its streams being one."""
RUN_BYTES = 4 * 1024 * 1024
GVISOR_THREADS = 2048
"""The kernel counts gVisor's own threads too; with few the sandbox dies (see sandbox/README.md)."""

ENVIRONMENT = {
    "HOME": HOME,
    "USER": "user",
    "LOGNAME": "user",
    "SHELL": "/bin/bash",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    # No action may wait on a pager, an editor or a question.
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "EDITOR": "false",
    "VISUAL": "false",
    "GIT_EDITOR": "false",
    "VIMINIT": "cquit",  # full-screen vi would wait for ever for a key; `vim -es` goes on working
    "EXINIT": "cquit",
    "GIT_TERMINAL_PROMPT": "0",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
    "PYTHONUNBUFFERED": "1",
}
"""The environment of a session, but for what its scenario adds; nothing of the host's or the
image's gets in."""


@dataclass(frozen=True)
class Asked:
    """The settings asked for, as plain values."""

    run: str
    lease_until: int
    image: str
    runtime: str
    memory_bytes: int
    cpus: float
    processes: int
    open_files: int
    tmpfs: dict[str, str]
    hostname: str
    image_id: str | None = None
    """The one image of that name that is meant; None leaves it to the engine."""
    folder: str = ""
    """Where the record of the run is, for whoever finds the sandbox."""
    networked: bool = False
    """Whether it has a network, which leads to nothing but its harness."""
    environment: dict[str, str] = field(default_factory=dict)
    """What sessions find in their environment besides."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What PID 1 begins with of root's powers."""
        more = (*FOR_A_NETWORK, *TO_GIVE_UP) if self.networked else ()
        return (*CAPABILITIES, *more)

    @property
    def kept(self) -> tuple[str, ...]:
        """What it still has of them when anybody else runs."""
        return (*CAPABILITIES, *FOR_A_NETWORK) if self.networked and self.gvisor else CAPABILITIES

    @property
    def open_files_of_pid_1(self) -> int:
        """How many files PID 1 may have open; no process of the agent has more than it asked."""
        return self.open_files + (STREAMS if self.networked else 0)

    @property
    def gvisor(self) -> bool:
        """Whether the sandbox has a kernel of its own."""
        return self.runtime == GVISOR

    def rlimits(self) -> dict[str, int]:
        """Limits of each process of the agent.

        gVisor dies as a whole when memory runs out, so there no process may take all of it.
        """
        limits = {"RLIMIT_NOFILE": self.open_files, "RLIMIT_CORE": 0}
        if self.gvisor:
            limits["RLIMIT_AS"] = self.memory_bytes * 3 // 4
        return limits

    def create_arguments(self, command: list[str]) -> dict[str, Any]:
        """What the Docker SDK is called with."""
        files = self.open_files_of_pid_1
        return {
            "image": self.image_id or self.image,
            "command": command,
            "entrypoint": [],
            "runtime": self.runtime,
            "user": "0:0",
            "working_dir": "/",
            "environment": {"PATH": ENVIRONMENT["PATH"], "HOME": "/root"},
            "use_config_proxy": False,
            "hostname": self.hostname,
            "network_mode": "none",
            "dns": ["127.0.0.1"],
            "dns_search": ["."],
            "read_only": True,
            "cap_drop": ["ALL"],
            "cap_add": list(self.capabilities),
            "security_opt": self.security_options(),
            "mem_limit": self.memory_bytes,
            "memswap_limit": self.memory_bytes,
            "nano_cpus": int(self.cpus * 1e9),
            "pids_limit": GVISOR_THREADS if self.gvisor else self.processes,
            "ulimits": [
                Ulimit(name="nofile", soft=files, hard=files),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "tmpfs": self.tmpfs,
            "log_config": LogConfig(type=LogConfig.types.NONE),
            "labels": {
                RUN_LABEL: self.run,
                LEASE_LABEL: lease_label(self.lease_until),
                FOLDER_LABEL: self.folder,
                OWNER_LABEL: owner(),
            },
            "stdin_open": True,
            "detach": True,  # or its input would end, and it with that, when its harness is killed
            "tty": False,
            "init": False,
            "ipc_mode": "private",
            "cgroupns": "private",
            "healthcheck": {"test": ["NONE"]},
        }

    def security_options(self) -> list[str]:
        """No new privileges; under runc also our own list of system calls (gVisor has its own)."""
        options = ["no-new-privileges"]
        return options if self.gvisor else [*options, self.system_calls()]

    def system_calls(self) -> str:
        """The filter of system calls, as an option of the engine; with a record, one that asks."""
        asks = self.runtime == RECORDED_RUNC
        return f"seccomp={seccomp_profile(asks=asks, networked=self.networked)}"


def asked_for(
    sandbox: Sandbox, run: str, runtime: str, lease_until: int, *, networked: bool = False
) -> Asked:
    """The settings that a scenario's sandbox needs."""
    own = f"mode=755,uid={UID},gid={GID},nosuid,nodev,exec"
    tmpfs = {
        HOME: f"{_room(sandbox.home_bytes)},{own}",
        "/tmp": f"{_room(sandbox.tmp_bytes)},mode=1777,nosuid,nodev,exec",  # noqa: S108
        "/dev/shm": f"{_room(SHM_BYTES)},mode=1777,nosuid,nodev,noexec",  # noqa: S108
        RUN: f"{_room(RUN_BYTES)},mode=755,nosuid,nodev,noexec",
    }
    if networked:
        tmpfs[AUTHORITIES] = f"{_room(AUTHORITIES_BYTES)},mode=755,nosuid,nodev,noexec"
    tmpfs |= {path: f"{_room(size)},{own}" for path, size in sandbox.writable.items()}
    return Asked(
        run=run,
        lease_until=lease_until,
        image=sandbox.image,
        runtime=runtime,
        memory_bytes=int(sandbox.memory_bytes),
        cpus=sandbox.cpus,
        processes=sandbox.processes,
        open_files=sandbox.open_files,
        tmpfs=tmpfs,
        hostname=sandbox.hostname,
        networked=networked,
        environment=dict(sandbox.environment),
    )


def size_of(options: str) -> int:
    """The size in the options of one of the writable folders, in bytes."""
    return int(options.partition("size=")[2].partition(",")[0])


def _room(size_bytes: int) -> str:
    """Room for so many bytes, and for files that are empty: each of those takes about 1 KB."""
    return f"size={int(size_bytes)},nr_inodes={int(size_bytes) // 1024 + 64}"


_RAW = {
    "names": ["socket"],
    "action": "SCMP_ACT_ALLOW",
    "args": [
        {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": number}
        for index, mask, number in ((0, 2**32 - 1, 2), (1, 15, 3), (2, 2**32 - 1, 255))
    ],
}
"""AF_INET, SOCK_RAW, IPPROTO_RAW."""


@cache
def seccomp_profile(*, asks: bool = False, networked: bool = False) -> str:
    """Our own list of allowed system calls, as the engine wants it.

    With a network PID 1 lays its rule through the one kind of raw socket; for that there must be
    room, and without NET_RAW, which nobody else has, such a socket cannot be made.

    One that asks lets the kernel record see some of them first; without a record to ask, runc
    refuses to start the sandbox.
    """
    text = shipped("sandbox").joinpath("seccomp.json").read_text(encoding="utf-8")
    profile = json.loads(text)
    if networked:
        profile["syscalls"].append(_RAW)
    return json.dumps(recorded(profile) if asks else profile, separators=(",", ":"))
