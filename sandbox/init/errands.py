"""What PID 1 has its children do for it, as the user: carry files, and look at what is in force.

Comes with init.py and under its rules: standard library only, Python 3.8 or later.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import stat
from collections import deque

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FILES_LIMIT = 10000  # files sent in one transfer; the host looks at no more
TRANSFER_S = 100  # a transfer ends before the host gives up on it
SILENCE_S = 1  # without an answer to a datagram: there is none
RESET_S = 20  # until PID 1 has ended a connection, on a machine that is busy; mostly it is at once
MASKED = ("acpi", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi")
SETTINGS = (  # one of each kind that would reach the host
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches"),
    *("/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/fs/ext4", "/proc/kcore"),
    *(
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/power/state",
        "/sys/kernel/uevent_helper",
    ),
    *("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/devices/devices.allow"),
    *(
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/pids/notify_on_release",
    ),
)
ARGUMENTS_AT = 45  # `arg_start` in /proc/self/stat, counted after the name
MEMORY_LIMITS = ("memory/memory.limit_in_bytes", "memory.max")


def unpack() -> None:
    """Extract the archive on standard input as the user; it can write what the user can."""
    import tarfile

    with os.fdopen(0, "rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        made: set[str] = set()
        archive.extractall("/", members=noting_folders(archive, made))
    for folder in sorted(made, reverse=True):
        with os.scandir(folder) as inside:
            newest = max(entry.stat(follow_symlinks=False).st_mtime for entry in inside)
        os.utime(folder, (newest, newest))


def noting_folders(archive: Any, made: set[str]) -> Iterator[Any]:
    """Yield what an archive holds, and note the folders that have to be made for it."""
    for entry in archive:
        folder = os.path.dirname("/" + entry.name)
        while not os.path.isdir(folder):
            made.add(folder)
            folder = os.path.dirname(folder)
        yield entry


def pack(paths: list[str], limit: int) -> None:
    """Write plain files as an archive to standard output, at most `limit` bytes in all.

    What cannot be sent does not keep the rest from being sent, but this then fails at its end.
    """
    import tarfile

    signal.alarm(TRANSFER_S)
    left_out: list[str] = []
    sent = 0
    # The GNU form, since it is the one that the host reads.
    form: Any = {"mode": "w|", "format": tarfile.GNU_FORMAT}
    with os.fdopen(1, "wb") as out, tarfile.open(fileobj=out, **form) as archive:
        for path, mode, file in plain_files(paths, left_out):
            with file:
                size = os.fstat(file.fileno()).st_size
                if size > limit or sent == FILES_LIMIT:
                    left_out.append(path)
                    if sent < FILES_LIMIT:
                        continue
                    break
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = size, mode
                archive.addfile(entry, file)
                limit, sent = limit - size, sent + 1
    if left_out:
        raise OSError(errno.EFBIG, "not all of it", left_out[0])


def plain_files(paths: list[str], left_out: list[str]) -> Iterator[tuple[str, int, Any]]:
    """Yield path, mode and content of plain files at or below some paths, the shallow ones first.

    What the user has hidden from itself is made readable: it may do so at any time.
    """
    for path in paths:
        open_way_to(path)
    waiting = deque(paths)
    while waiting:
        path = waiting.popleft()
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                open_folder(path, mode)
                waiting.extend(os.path.join(path, name) for name in sorted(os.listdir(path)))
            elif stat.S_ISREG(mode):
                if not mode & 0o400:
                    os.chmod(path, stat.S_IMODE(mode) | 0o400)
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                yield path, stat.S_IMODE(mode), os.fdopen(fd, "rb")
        except FileNotFoundError:
            continue
        except OSError:
            left_out.append(path)


def open_way_to(path: str) -> None:
    """Open the folders above a path."""
    at = ""
    for name in path.strip("/").split("/")[:-1]:
        at += "/" + name
        try:
            open_folder(at, os.lstat(at).st_mode)
        except OSError:
            return


def open_folder(path: str, mode: int) -> None:
    """Make a folder one that its owner can look into."""
    if stat.S_ISDIR(mode) and mode & 0o500 != 0o500:
        os.chmod(path, stat.S_IMODE(mode) | 0o500)


def rename(title: str) -> None:
    """Let this process go by another name, as far as the C library and the kernel allow it."""
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(title)
        with open("/proc/self/cmdline", "rb") as file:
            now = file.read()
        new = title.encode().ljust(len(now), b"\0")
        if not write_over_arguments(now, new):
            import ctypes  # not every image has it, and it takes 10 ms to import

            pointer = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "program_invocation_name")
            if pointer.value and ctypes.string_at(pointer.value, len(now)) == now:
                ctypes.memmove(pointer.value, new, len(now))
    except (OSError, ImportError, ValueError):
        return


def write_over_arguments(now: bytes, new: bytes) -> bool:
    """Put other words in the place of this process's arguments, where its memory is a file."""
    try:
        with open("/proc/self/stat") as file:
            begin = int(file.read().rpartition(")")[2].split()[ARGUMENTS_AT])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(begin)
            if memory.read(len(now)) != now:
                return False
            memory.seek(begin)
            return memory.write(new) == len(new)
    except (OSError, ValueError, IndexError, OverflowError):
        return False


def read(path: str) -> str:
    """The first part of a file, or why there is none."""
    try:
        with open(path, errors="replace") as file:
            return file.read(20000)
    except OSError as error:
        return f"({error.strerror})"


def namespaces() -> dict[str, int]:
    """The kernel's numbers of the namespaces that this process is in."""
    numbers = {}
    for name in os.listdir("/proc/self/ns"):
        number = os.readlink("/proc/self/ns/" + name).partition("[")[2].rstrip("]")
        if number.isdigit():
            numbers[name] = int(number)
    return numbers


def devices() -> list[str]:
    """Name and numbers of each device in /dev; a pseudo-terminal that is open is none of them."""
    found = []
    for folder, _, names in os.walk("/dev"):
        for name in names:
            state = os.lstat(os.path.join(folder, name))
            kinds = stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode)
            if kinds and not (folder == "/dev/pts" and name.isdigit()):
                path = os.path.relpath(os.path.join(folder, name), "/dev")
                found.append(f"{path} {os.major(state.st_rdev)}:{os.minor(state.st_rdev)}")
    return found


def shows(path: str) -> bool:
    """Whether anything is to be seen there."""
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def can_change(path: str) -> bool:
    """Whether a setting of the kernel lets itself be opened for writing; nothing is written."""
    if not os.access(path, os.W_OK):  # true of more than can be opened, and nobody has to be asked
        return False
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True


def swap() -> int | None:
    """Bytes that may be swapped out, beyond memory; None where the kernel does not count them."""
    extra = read("/sys/fs/cgroup/memory.swap.max").strip()
    both, memory = (
        read(f"/sys/fs/cgroup/memory/memory.{name}limit_in_bytes").strip()
        for name in ("memsw.", "")
    )
    if extra.isdigit():
        return int(extra)
    return int(both) - int(memory) if both.isdigit() and memory.isdigit() else None


def own_oom_score() -> int | None:
    """How likely this process is chosen when memory runs out, from -1000 to 1000."""
    text = read("/proc/self/oom_score_adj").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def look() -> dict[str, Any]:
    """What PID 1 sees of its own confinement."""
    sizes = {}
    for line in read("/proc/mounts").splitlines():
        where = line.split()[1]
        try:
            room = os.statvfs(where)
        except OSError:
            continue
        sizes[where] = room.f_blocks * room.f_frsize
    limits = [read("/sys/fs/cgroup/" + name).strip() for name in MEMORY_LIMITS]
    total = int(read("/proc/meminfo").split()[1]) * 1024
    hidden = ["/sys/firmware", *("/proc/" + name for name in MASKED)]
    sockets = ("/var/run/docker.sock", "/run/docker.sock")
    return {
        "status": own_status("Uid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"),
        "mounts": read("/proc/mounts"),
        "sizes": sizes,
        "network": [line.split(":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:]],
        "memory": min([int(limit) for limit in limits if limit.isdigit()] + [total]),
        "hosts": read("/etc/hosts"),
        "resolv": read("/etc/resolv.conf"),
        "hostname": socket.gethostname(),
        "kernel": os.uname().release,
        "root_writable": try_writing("/"),
        "pid": os.getpid(),
        "namespaces": namespaces(),
        "devices": devices(),
        "shown": [path for path in hidden if shows(path)],
        "changeable": [path for path in SETTINGS if can_change(path)],
        "confined": read("/proc/self/attr/current").strip("\0\n "),
        "oom": own_oom_score(),
        "swap": swap(),
        "docker_socket": any(os.path.exists(path) for path in sockets),
    }


def own_status(*wanted: str) -> dict[str, str]:
    """What the kernel says of this process."""
    lines = read("/proc/self/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: status.get(name, "").strip() for name in wanted}


def try_writing(folder: str) -> bool:
    """Whether a file can be made in a folder."""
    path = os.path.join(folder, f".w{os.getpid()}")
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)
    except OSError:
        return False
    return True


def reached(sock: socket.socket, name: str) -> str:
    """What comes of a connection that could be made; where all is caught here it is ended."""
    try:
        if name == "udp":
            sock.send(b"?")
        return "open" if sock.recv(1) else "ended"
    except socket.timeout:  # noqa: UP041 - the same only since Python 3.10
        return "silence" if name == "udp" else "open"


def send_look(address: str) -> None:
    """Print what the user sees, and whether it gets out."""
    tried = {}
    for name, family, kind, target in (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, (address, 80)),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, (address, 53)),
        ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80)),
        ("raw", socket.AF_INET, socket.SOCK_RAW, (address, 0)),
        ("packet", getattr(socket, "AF_PACKET", 17), socket.SOCK_RAW, None),
        ("vsock", getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM, (2, 1)),
    ):
        try:
            with socket.socket(family, kind) as sock:
                sock.settimeout(SILENCE_S if name == "udp" else RESET_S)
                if target is not None:
                    sock.connect(target)
                    tried[name] = reached(sock, name)
            tried.setdefault(name, "open")
        except OSError as error:
            tried[name] = errno.errorcode.get(error.errno or 0, str(error))
    limits = ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_AS")
    seen = {
        "status": own_status("Uid", "Gid", "Groups", "CapEff", "CapPrm", "NoNewPrivs", "Seccomp"),
        "oom": own_oom_score(),
        "tried": tried,
        "root_writable": try_writing("/"),
        "home_writable": try_writing(os.getcwd()),
        "rlimits": {name: resource.getrlimit(getattr(resource, name))[0] for name in limits},
    }
    print(json.dumps(seen), flush=True)
