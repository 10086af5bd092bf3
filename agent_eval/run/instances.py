"""The machines of a run's cloud: sandboxes like its agents', with a disk that outlives a reboot.

    boot ─► sandbox ─► disk laid out ─► ssh ─► user data, boot hooks ─► stop: disk kept ─► removed

Each has a task of its own from boot to removal. What one brings on itself ends it alone; what ends
a run (a record that breaks or is full) is raised where the cloud runs.
"""

import shlex
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from anyio.abc import TaskGroup

from agent_eval.basics.tasks import beside
from agent_eval.errors import (
    EngineUnavailable,
    NoSnapshot,
    NotAsAsked,
    SandboxDied,
    ScenarioError,
)
from agent_eval.record.budget import Account
from agent_eval.record.transcript import Transcript
from agent_eval.run.housing import Housing
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.snapshot import DISKS, Snapshot, Snapshots, remove_disks
from agent_eval.scenario.model import HOME
from agent_eval.world.base import Dial
from agent_eval.world.services.cloud import open_cloud
from agent_eval.world.services.cloud_landlord import NotHoused, Tenant
from agent_eval.world.world import Builder

BOOT_S = 60.0
"""Seconds that the ssh server has to come up."""
OUTPUT_BYTES = 64 * 1024
OWN = f"{HOME}/.boot"

ITS_OWN = (EngineUnavailable, NoSnapshot, NotAsAsked, SandboxDied, ScenarioError)
"""What ends a machine, and nothing else."""

PASSED_ON = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What a program that is started by ssh is told as well."""

HOOKS = f"""
if [ -f {OWN}/user-data ] && [ ! -e {OWN}/user-data.log ]; then
  if [ "$(head -c 2 {OWN}/user-data)" = '#!' ]; then {OWN}/user-data; else sh {OWN}/user-data; fi \
    > {OWN}/user-data.log 2>&1
fi
for program in {HOME}/boot.d/*; do
  if [ -f "$program" ] && [ -x "$program" ]; then
    "$program" > {OWN}/"$(basename "$program").log" 2>&1 &
  fi
done
if [ -f {HOME}/.crontab ]; then
  sed -n 's/^[[:space:]]*@reboot[[:space:]][[:space:]]*//p' {HOME}/.crontab |
    while IFS= read -r line; do sh -c "$line" >> {OWN}/crontab.log 2>&1 & done
fi
"""

BOOT = f"""
mkdir -p {OWN} {HOME}/.ssh && chmod 700 {OWN} {HOME}/.ssh
[ -f {OWN}/host_key ] || ssh-keygen -q -t ed25519 -N '' -f {OWN}/host_key
passed=
for name in {" ".join(PASSED_ON)}; do
  [ -z "${{!name}}" ] || passed="$passed $name=${{!name}}"
done
/usr/sbin/sshd -f /dev/null -h {OWN}/host_key -p 22 -E {OWN}/sshd.log \
  -o PidFile=none -o UsePAM=no -o StrictModes=no -o PasswordAuthentication=no \
  -o KbdInteractiveAuthentication=no -o "Subsystem=sftp internal-sftp" \
  ${{passed:+-o "SetEnv=$passed"}} </dev/null >/dev/null 2>&1
cd {HOME} && setsid sh -c {shlex.quote(HOOKS)} </dev/null >/dev/null 2>&1 &
disown -a; cd {HOME}
"""
"""What the machine's own session does when it starts."""


@dataclass
class _Life:
    """A machine from boot to removal."""

    up: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    keep: bool = False
    """Whether its disk is wanted when it is over."""
    sandbox: Sandbox | None = None
    trouble: str = ""


@dataclass
class _Disk:
    """What a machine that is not up is made of."""

    snapshot: Snapshot
    held: ExitStack


class Instances:
    """The landlord of one run."""

    def __init__(self, housing: Housing, transcript: Transcript, account: Account) -> None:
        """`account` pays for the record of them."""
        self._housing, self._transcript, self._account = housing, transcript, account
        self._lives: dict[str, _Life] = {}
        self._disks: dict[str, _Disk] = {}
        self._store: Snapshots | None = None
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Machines live in this block, and their disks."""
        remove_disks(self._transcript.folder)
        with TemporaryDirectory(prefix=DISKS, dir=self._transcript.folder) as folder:
            self._store = Snapshots(Path(folder))
            async with beside() as tasks:
                self._tasks = tasks
                try:
                    yield
                finally:
                    await self._end_all()

    async def _end_all(self) -> None:
        with anyio.CancelScope(shield=True):
            for machine in list(self._lives):
                await self.end(machine)

    def reserve(self, count: int) -> bool:
        """Keep room for so many more on this host, or say that there is none."""
        return self._housing.machine.reserve(count)

    def release(self, count: int) -> None:
        """Give room back."""
        self._housing.machine.release(count)

    async def boot(self, tenant: Tenant, died: Callable[[str], None]) -> Dial:
        """Have one up, with the disk it left if it was up before; see `Landlord`."""
        assert self._tasks is not None
        life = self._lives[tenant.id] = _Life()
        self._tasks.start_soon(self._live, tenant, life, died)
        async with anyio.create_task_group() as either:
            for event in (life.up, life.ended):
                either.start_soon(_first, event, either)
        if life.sandbox is None or life.ended.is_set():
            raise NotHoused(f"{tenant.id} did not come up: {life.trouble}")
        sandbox = life.sandbox

        async def dial(port: int) -> socket.socket:
            try:
                return await sandbox.dial(port)
            except SandboxDied as error:
                raise ConnectionRefusedError(str(error)) from error

        return dial

    async def stop(self, machine: str) -> None:
        """End one, and keep its disk; see `Landlord`."""
        life = self._lives.get(machine)
        if life is None:
            return
        life.keep = True
        life.over.set()
        await life.ended.wait()
        if life.trouble:
            raise NotHoused(f"the disk of {machine} is lost: {life.trouble}")

    async def end(self, machine: str) -> None:
        """End one and its disk."""
        life = self._lives.pop(machine, None)
        if life is not None:
            life.keep = False
            life.over.set()
            await life.ended.wait()
        disk = self._disks.pop(machine, None)
        if disk is not None:
            disk.held.close()

    async def _live(self, tenant: Tenant, life: _Life, died: Callable[[str], None]) -> None:
        disk = self._disks.get(tenant.id)
        housing = self._housing
        try:
            asked = replace(
                housing.asked,
                hostname=tenant.hostname,
                memory_bytes=int(tenant.kind.memory_bytes),
                cpus=tenant.kind.cpus,
                environment={},
            )
            box = await housing.make(disk.snapshot if disk else None, asked)
            try:
                async with housing.inhabited(
                    box, self._transcript, self._account, OUTPUT_BYTES, tenant.id
                ) as sandbox:
                    await self._inside(sandbox, tenant, life, first=disk is None)
            finally:
                with anyio.CancelScope(shield=True):
                    await housing.remove(box, self._transcript, tenant.id)
        except ITS_OWN as error:
            life.trouble = str(error)
        finally:
            life.ended.set()
        if life.trouble and life.up.is_set() and not life.over.is_set():
            died(life.trouble)

    async def _inside(self, sandbox: Sandbox, tenant: Tenant, life: _Life, *, first: bool) -> None:
        """Start it up, have it live until it is over, and keep its disk if that is wanted."""
        if first:
            await sandbox.put(_given(tenant))
        await sandbox.execute("bash", BOOT, BOOT_S, OUTPUT_BYTES)
        life.sandbox = sandbox
        life.up.set()
        async with beside() as tasks:
            tasks.start_soon(sandbox.gone)
            await life.over.wait()
        if life.keep and self._store is not None:
            await sandbox.freeze()
            snapshot = await sandbox.snapshot(self._store, "files")
            held = ExitStack()
            held.enter_context(self._store.needed(snapshot))
            before = self._disks.pop(tenant.id, None)
            self._disks[tenant.id] = _Disk(snapshot, held)
            if before is not None:
                before.held.close()


def furnish_cloud(
    builder: Builder, housing: Housing, transcript: Transcript, account: Account
) -> None:
    """Add the cloud, if the scenario's world has one; `account` pays for the record of it."""
    asked = builder.asked.cloud
    if asked is not None:
        landlord = Instances(housing, transcript, account)
        around, emulators = builder.around("cloud"), housing.machine.emulators
        builder.add("cloud", open_cloud(asked, around, emulators, landlord, builder.gateway))


def _given(tenant: Tenant) -> list[File]:
    """What is on the disk of a new machine."""
    files = [File(f"{OWN}/id", f"{tenant.id}\n".encode(), 0o644)]
    if tenant.public_key is not None:
        key = tenant.public_key.strip().encode() + b"\n"
        files.append(File(f"{HOME}/.ssh/authorized_keys", key, 0o600))
    if tenant.user_data:
        files.append(File(f"{OWN}/user-data", tenant.user_data, 0o755))
    return files


async def _first(event: anyio.Event, tasks: TaskGroup) -> None:
    await event.wait()
    tasks.cancel_scope.cancel()
