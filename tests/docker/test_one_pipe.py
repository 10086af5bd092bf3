"""Promise 1: a sandbox has one wire, its supervisor's standard input and output."""

import json
import re
import time
from pathlib import Path

import anyio
import pytest

from agent_eval.errors import EngineUnavailable, NotAsAsked, SandboxDied, ScenarioError
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.engine import Container, Engine, runtime_for
from agent_eval.sandbox.opening import COMMAND, opened
from agent_eval.sandbox.settings import SHM_BYTES, asked_for
from agent_eval.scenario.model import Sandbox as Wishes
from tests.docker.boxes import RUNTIMES, bash, box, created, python

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

ON_BOTH = pytest.mark.parametrize("runtime", RUNTIMES)


@ON_BOTH
async def test_nothing_of_the_host_is_inside(runtime: str) -> None:
    async with box(runtime) as sandbox:
        devices = await bash(sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")
        assert devices.output.split() == [b"lo"]
        mounts = (await bash(sandbox, "cat /proc/mounts")).output.decode()
        written = [line.split()[1] for line in mounts.splitlines() if line.split()[3][:2] == "rw"]
        allowed = ("/home/user", "/tmp", "/run", "/dev", "/proc", "/sys", "/etc/")
        assert all(path.startswith(allowed) for path in written), written
        for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd"):
            assert (await bash(sandbox, f"ls {path}")).reported_exit != 0
        code = "import os; print(sorted(os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)))"
        assert b"/dev/null" in (await python(sandbox, code)).output


@ON_BOTH
async def test_no_program_gets_out(runtime: str) -> None:
    tries = """
import errno, json, socket
def attempt(family, kind, protocol, target, send=False):
    try:
        s = socket.socket(family, kind, protocol)
        s.settimeout(2)
        s.connect(target)
        return "open"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
inet, inet6, tcp, udp = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
print(json.dumps([
    attempt(inet, tcp, 0, ("192.0.2.1", 443)),
    attempt(inet, udp, 0, ("192.0.2.1", 53)),
    attempt(inet, tcp, 0, ("169.254.169.254", 80)),
    attempt(inet, tcp, 0, ("198.51.100.7", 22)),
    attempt(inet6, tcp, 0, ("2001:db8::1", 80)),
    attempt(inet, socket.SOCK_RAW, 1, ("192.0.2.1", 0)),
    attempt(40, tcp, 0, (2, 1)),
]))
"""
    async with box(runtime) as sandbox:
        said = json.loads((await python(sandbox, tries)).output)
        assert "open" not in said, said
        for command in (
            "curl -sS -m 5 http://192.0.2.1/",
            "curl -sS -m 5 https://example.org/",
            "getent hosts example.org",
            "git clone -q https://example.org/x.git /tmp/x",
            "ssh -o ConnectTimeout=3 -o BatchMode=yes user@192.0.2.1",
        ):
            assert (await bash(sandbox, command)).reported_exit not in (0, None), command
        served = await bash(
            sandbox,
            "python3 -m http.server 8000 -d /etc >/dev/null 2>&1 & "
            "for i in $(seq 50); do curl -s 127.0.0.1:8000/hostname && break; sleep 0.2; done",
        )
        assert served.output.strip().endswith(b"server"), "its own loopback works"


async def test_the_users_proxy_settings_stay_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"proxies": {"default": {"httpProxy": "http://me:planted-password@192.0.2.9:1"}}}
    tmp_path.joinpath("config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://me:planted-password@192.0.2.9:1")
    async with created(Wishes(runtime="runc")) as (_, container):
        assert "planted-password" not in json.dumps(await container.stated())
    async with box("runc") as sandbox:
        seen = await bash(sandbox, "env; cat /proc/self/environ; set | grep -i proxy")
        assert b"planted-password" not in seen.output
        assert b"proxy" not in seen.output.lower()


@ON_BOTH
@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"network_mode": "bridge"}, "network"),
        ({"read_only": False}, "read-only root"),
        ({"cap_add": ["KILL", "SETGID", "SETUID", "NET_RAW"]}, "capabilities"),
        ({"mem_limit": 256 * 1024 * 1024, "memswap_limit": -1}, "memory_bytes"),
        ({"environment": {"PATH": "/usr/bin:/bin", "https_proxy": "x"}}, "environment"),
        ({"dns": ["192.0.2.53"]}, "name servers"),
        ({"extra_hosts": {"example.org": "192.0.2.1"}}, "hosts file"),
        ({"tmpfs": {"/home/user": "size=1048576,uid=1000", "/tmp": "", "/run": ""}}, "folders"),
        ({"volumes": ["/etc:/mnt:ro"]}, "mounts of the host"),
        ({"pids_limit": -1}, "processes"),
        # The engine itself may not have the powers that it should give away.
        ({"privileged": True}, "privileged|unable to apply caps"),
        ({"devices": ["/dev/kmsg:/dev/kmsg:r"]}, "devices of the host"),
        ({"device_cgroup_rules": ["a *:* rwm"]}, "devices of the host"),
        ({"pid_mode": "host"}, "namespace"),
        ({"uts_mode": "host", "hostname": None}, "namespaces"),
        ({"ipc_mode": "host", "shm_size": None}, "namespaces"),
        ({"cgroupns": "host"}, "namespaces"),
        ({"security_opt": ["no-new-privileges", "apparmor=unconfined"]}, "AppArmor"),
        ({"sysctls": {"net.ipv4.ip_default_ttl": "63"}}, "read-only kernel settings"),
        ({"oom_kill_disable": True}, "out of memory the agent goes first"),
        ({"ulimits": []}, "rlimits"),
        ({"group_add": ["disk"]}, "user of the agent"),
    ],
)
async def test_a_sandbox_that_is_not_as_asked_is_refused(
    runtime: str, change: dict[str, object], setting: str
) -> None:
    """Make a container by hand that lacks one setting, and ask for all of them."""
    if runtime == "runsc" and "network_mode" in change:
        pytest.skip("gVisor as it is registered has no network to give")
    engine = Engine()
    name = runtime_for(runtime, await engine.facts())
    asked = asked_for(Wishes(runtime="any"), "a-test", name, int(time.time()) + 600)
    arguments = asked.create_arguments(COMMAND) | change
    made = await engine.call("create", lambda: engine._client.containers.create(**arguments))
    container = Container(engine, engine._client.api, made.id, made.labels)
    try:
        with pytest.raises((NotAsAsked, SandboxDied, EngineUnavailable)) as refused:
            async with opened(container, asked, 65536):
                raise AssertionError("it was let through")
        assert re.search(setting, str(refused.value))
    finally:
        await container.remove()
        engine.close()


@ON_BOTH
async def test_limits_hold(runtime: str) -> None:
    async with box(runtime, home_bytes="8MiB", tmp_bytes="4MiB", memory_bytes="256MiB") as sandbox:
        for folder, room in (("/home/user", 8), ("/tmp", 4), ("/dev/shm", SHM_BYTES >> 20)):
            await bash(sandbox, f"head -c 100M /dev/zero > {folder}/fill")
            size = await bash(sandbox, f"stat -c %s {folder}/fill; rm {folder}/fill")
            assert int(size.output) <= room << 20, folder
        seen = await python(sandbox, "x = bytearray(300 << 20)")
        assert seen.reported_exit != 0 or seen.session_lost
        seen = await bash(sandbox, "echo alive; ulimit -n; ulimit -c")
        assert seen.output == b"alive\n512\n0\n"


@ON_BOTH
async def test_files_go_in_and_come_out_as_the_agents_user(runtime: str) -> None:
    async with box(runtime) as sandbox:
        blob = bytes(range(256)) * 2000
        files = [
            File("/home/user/a/b/c.bin", blob, 0o600),
            File("/tmp/run me.sh", b"#!/bin/sh\necho ran\n", 0o755),
            File("/home/user/näme", "ü\n".encode()),
        ]
        await sandbox.put(files)
        seen = await bash(sandbox, "stat -c '%U %a' ~/a/b/c.bin; '/tmp/run me.sh'; cat ~/n*me")
        assert seen.output.decode() == "user 600\nran\nü\n"
        with pytest.raises(ScenarioError, match="could not be put"):
            await sandbox.put([File("/etc/cron.d/x", b"x")])


@ON_BOTH
async def test_only_plain_files_below_what_was_asked_come_out(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await bash(
            sandbox,
            "mkdir -p out/d && echo 1 > out/d/one && ln -s /etc/passwd out/link && mkfifo out/pipe"
            " && ln out/d/one out/hard && truncate -s 5M out/sparse && mkdir -m 000 out/closed",
        )
        files, refused = await sandbox.get(["/home/user/out", "/nowhere"], 64 << 20)
        got = {file.path: file.data for file in files}
        assert got["/home/user/out/d/one"] == b"1\n"
        assert not {"/home/user/out/link", "/home/user/out/pipe"} & set(got)
        assert any("/nowhere" in line for line in refused)
        files, refused = await sandbox.get(["/home/user/out"], 1000)
        assert refused and sum(len(file.data) for file in files) <= 1000


@ON_BOTH
async def test_frozen_means_nothing_moves(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await bash(
            sandbox,
            "ticks='while :; do date +%s%N > ~/clock; done';"
            ' for i in 1 2 3; do setsid sh -c "$ticks" & done; sleep 1',
        )
        assert await sandbox.freeze() == 0
        first, _ = await sandbox.get(["/home/user/clock"], 1000)
        await anyio.sleep(0.5)
        second, _ = await sandbox.get(["/home/user/clock"], 1000)
        assert first == second


async def test_an_image_without_python_or_bash_is_refused_in_plain_words() -> None:
    engine = Engine()
    client = engine._client
    made = await engine.call("import", lambda: client.images.load(_tiny_image()))
    try:
        with pytest.raises((NotAsAsked, SandboxDied, EngineUnavailable)) as refused:
            async with box("runc", image="agent-eval-test-tiny:latest"):
                raise AssertionError("it was let through")
        assert "python" in str(refused.value).lower()
    finally:
        await engine.call("remove", lambda: client.images.remove(made[0].id, force=True))
        engine.close()


def _tiny_image() -> bytes:
    """An image with one empty file, in the form that `docker load` takes."""
    import hashlib
    import io
    import tarfile

    def archive(files: dict[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return out.getvalue()

    layer = archive({"empty": b""})
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    manifest = [
        {"Config": "c.json", "RepoTags": ["agent-eval-test-tiny:latest"], "Layers": ["layer.tar"]}
    ]
    files = {"layer.tar": layer, "c.json": config, "manifest.json": json.dumps(manifest).encode()}
    return archive(files)
