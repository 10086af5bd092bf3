"""Attempts everything that the seccomp profile (sandbox/seccomp.json) is there to refuse.

The tests run it inside a container, with `python3 -c`: standard library only, no argument, no
file. It prints one JSON line an act: {"act": ..., "result": ...}, where the result is "allowed",
the name of the errno, or the name of the signal that ended the attempt.

There are two sorts of act. A sweep calls every refused system call that has a number here with
arguments that mean nothing ("call ptrace"): a kernel that looks at it says EBADF or EINVAL or
the like, a filter says EPERM or ENOSYS. Then come real attempts, with arguments that work where
nothing refuses them. Each act is tried in a process of its own, so that what it breaks is gone
with it. Nothing here needs a power that a container has not got, and nothing outlives the run.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import tempfile
from functools import partial
from typing import Callable, Dict, List, Tuple

# Every call that the profile refuses whatever its arguments: name, number on x86_64, on aarch64.
REFUSED = """
    _sysctl 156 -             acct 163 89               add_key 248 217
    adjtimex 159 171          afs_syscall 183 -         bdflush - -
    bpf 321 280               cachestat 451 451         chroot 161 51
    clock_adjtime 305 266     clock_settime 227 112     clone3 435 435
    create_module 174 -       delete_module 176 106     epoll_ctl_old 214 -
    epoll_wait_old 215 -      fanotify_init 300 262     fanotify_mark 301 263
    file_getattr 468 468      file_setattr 469 469      finit_module 313 273
    fsconfig 431 431          fsmount 432 432           fsopen 430 430
    fspick 433 433            get_kernel_syms 177 -     get_mempolicy 239 236
    get_thread_area 211 -     getpmsg 181 -             init_module 175 105
    io_cancel 210 3           io_destroy 207 1          io_getevents 208 4
    io_pgetevents 333 292     io_setup 206 0            io_submit 209 2
    io_uring_enter 426 426    io_uring_register 427 427 io_uring_setup 425 425
    ioperm 173 -              iopl 172 -                kcmp 312 272
    kexec_file_load 320 294   kexec_load 246 104        keyctl 250 219
    listmount 458 458         lookup_dcookie 212 18     lsm_get_self_attr 459 459
    lsm_list_modules 461 461  lsm_set_self_attr 460 460 mbind 237 235
    memfd_secret 447 447      migrate_pages 256 238     modify_ldt 154 -
    mount 165 40              mount_setattr 442 442     move_mount 429 429
    move_pages 279 239        mq_getsetattr 245 185     mq_notify 244 184
    mq_open 240 180           mq_timedreceive 243 183   mq_timedsend 242 182
    mq_unlink 241 181         name_to_handle_at 303 264 nfsservctl 180 42
    open_by_handle_at 304 265 open_tree 428 428         open_tree_attr 467 467
    perf_event_open 298 241   pidfd_getfd 438 438       pivot_root 155 41
    process_madvise 440 440   process_mrelease 448 448  process_vm_readv 310 270
    process_vm_writev 311 271 ptrace 101 117            putpmsg 182 -
    query_module 178 -        quotactl 179 60           quotactl_fd 443 443
    reboot 169 142            remap_file_pages 216 234  request_key 249 218
    security 185 -            set_mempolicy 238 237     set_mempolicy_home_node 450 450
    set_thread_area 205 -     setdomainname 171 162     sethostname 170 161
    setns 308 268             settimeofday 164 170      statmount 457 457
    stime - -                 swapoff 168 225           swapon 167 224
    sysfs 139 -               syslog 103 116            tuxcall 184 -
    umount - -                umount2 166 39            unshare 272 97
    uselib 134 -              userfaultfd 323 282       ustat 136 -
    vhangup 153 58            vm86 - -                  vm86old - -
    vmsplice 278 75           vserver 236 -
"""
# Calls that are refused for some arguments only.
FILTERED = """
    clone 56 220              ioctl 16 29               mknod 133 -
    mknodat 259 33            personality 135 92        seccomp 317 277
    socket 41 198             socketpair 53 199
"""
UPPER_HALF = 1 << 32  # bits of a register that the kernel does not look at when it reads an int
AT_FDCWD = -100
NEW_USER = 0x10000000
NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": NEW_USER,
    "pid": 0x20000000,
    "network": 0x40000000,
}
# act: family, type, protocol
SOCKETS = {
    "vsock stream": (40, 1, 0),
    "vsock datagram": (40, 2, 0),
    "vsock behind the upper half": (UPPER_HALF | 40, 1, 0),
    "packet": (17, 2, 0),
    "packet the old way": (2, 10, 0),
    "raw": (2, 3, 1),
    "raw, flags in the type": (2, 3 | os.O_NONBLOCK | os.O_CLOEXEC, 255),
    "raw behind the upper half": (2, UPPER_HALF | 3, 255),
    "raw IPv6": (10, 3, 58),
    "ping": (2, 2, 1),
    "MPTCP": (2, 1, 262),
    "SCTP": (2, 1, 132),
    "SCTP sequenced": (10, 5, 132),
    "DCCP": (2, 6, 33),
    "UDP-Lite": (2, 2, 136),
    "L2TP": (2, 2, 115),
    "kernel crypto": (38, 5, 0),
    "bluetooth": (31, 3, 1),
    "tipc": (30, 1, 0),
    "can": (29, 3, 1),
    "rds": (21, 5, 0),
    "pf_key": (15, 3, 2),
    "kcm": (41, 2, 0),
    "smc": (43, 1, 0),
    "xdp": (44, 3, 0),
    "qrtr": (42, 2, 0),
    "netlink sock_diag": (16, 3, 4),
    "netlink xfrm": (16, 3, 6),
    "netlink audit": (16, 3, 9),
    "netlink netfilter": (16, 3, 12),
    "netlink uevent": (16, 3, 15),
    "netlink generic": (16, 3, 16),
    "unspecified": (0, 1, 0),
}
IOCTLS = {
    "TIOCSTI": 0x5412,
    "TIOCSTI behind the upper half": UPPER_HALF | 0x5412,
    "TIOCLINUX": 0x541C,
    "TIOCCONS": 0x541D,
    "TIOCSETD": 0x5423,
    "TIOCSTI with a stray bit": 0x15412,
    "NS_GET_USERNS": 0xB701,
    "PIDFD_GET_NET_NAMESPACE": 0xFF04,
    "SIOCSIFFLAGS": 0x8914,
    "FIFREEZE": 0xC0045877,
    "an unknown number": 0x7F7F7F7F,
}

Act = Callable[[], int]
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ROOM = ctypes.create_string_buffer(4096)  # zeroes, for what a call reads or writes


def numbers(table: str) -> Dict[str, int]:
    """Read the calls of a table that exist on this machine's architecture."""
    column = 1 if platform.machine() == "x86_64" else 2
    words = table.split()
    rows = [words[i : i + 3] for i in range(0, len(words), 3)]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


NUMBER = {**numbers(REFUSED), **numbers(FILTERED)}


def call(name: str, *arguments: int) -> int:
    """Make one raw system call with whole registers, past what the C library would do."""
    registers = [ctypes.c_ulong(value & (1 << 64) - 1) for value in arguments]
    result: int = LIBC.syscall(ctypes.c_long(NUMBER[name]), *registers)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def pointer(buffer: "ctypes.Array[ctypes.c_char]" = ROOM) -> int:
    return ctypes.addressof(buffer)


def text(value: bytes) -> int:
    """Return the address of a string that lives as long as the process."""
    buffer = ctypes.create_string_buffer(value)
    KEPT.append(buffer)
    return ctypes.addressof(buffer)


KEPT: List["ctypes.Array[ctypes.c_char]"] = []


# --- acts that take more than one call --------------------------------------------------------


def clone_with(flags: int) -> int:
    child = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return child


def clone3_user() -> int:
    arguments = ctypes.create_string_buffer(64)
    ctypes.c_uint64.from_buffer(arguments).value = NEW_USER
    ctypes.c_uint64.from_buffer(arguments, 32).value = signal.SIGCHLD
    child = call("clone3", pointer(arguments), 64)
    if child == 0:
        os._exit(0)
    return child


def attach_to_own_user() -> int:
    victim = os.fork()
    if victim == 0:
        signal.pause()
    try:
        return call("ptrace", 16, victim, 0, 0)  # PTRACE_ATTACH
    finally:
        os.kill(victim, signal.SIGKILL)


def memory_of_own_user(name: str) -> int:
    span = (ctypes.c_ulong * 2)(pointer(), 8)
    vector = ctypes.addressof(span)
    return call(name, os.getpid(), vector, 1, vector, 1, 0)


def advise_own_user() -> int:
    page = mmap.mmap(-1, 4096)
    span = (ctypes.c_ulong * 2)(ctypes.addressof(ctypes.c_char.from_buffer(page)), 4096)
    descriptor, cold = os.pidfd_open(os.getpid(), 0), 20
    return call("process_madvise", descriptor, ctypes.addressof(span), 1, cold, 0)


def performance_counter() -> int:
    """Count one's own CPU time, in user mode only: what an unprivileged program may ask for."""
    attributes = ctypes.create_string_buffer(128)
    ctypes.c_uint32.from_buffer(attributes).value = 1  # PERF_TYPE_SOFTWARE
    ctypes.c_uint32.from_buffer(attributes, 4).value = 128
    ctypes.c_uint64.from_buffer(attributes, 40).value = 0b1100000  # exclude kernel, hypervisor
    return call("perf_event_open", pointer(attributes), 0, -1, -1, 0)


def listen_for_others() -> int:
    """Install a filter that hands this process's calls to a supervisor of its own choosing."""
    allow = (ctypes.c_uint16 * 4)(6, 0, 0, 0x7FFF)  # one instruction: return SECCOMP_RET_ALLOW
    program = (ctypes.c_ulong * 2)(1, ctypes.addressof(allow))
    return call("seccomp", 1, 8, ctypes.addressof(program))


def handle_of_root() -> int:
    handle = ctypes.create_string_buffer(256)
    ctypes.c_uint.from_buffer(handle).value = 128
    where = ctypes.create_string_buffer(8)
    return call("name_to_handle_at", AT_FDCWD, text(b"/tmp"), pointer(handle), pointer(where), 0)


def splice_memory() -> int:
    span = (ctypes.c_ulong * 2)(pointer(), 8)
    return call("vmsplice", os.pipe()[1], ctypes.addressof(span), 1, 0)


def node(name: str, mode: int, device: int) -> int:
    path = text(os.path.join(tempfile.mkdtemp(), "node").encode())
    if name == "mknod":
        return call(name, path, mode, device)
    return call(name, AT_FDCWD, path, mode, device)


def control(number: int) -> int:
    """Ask it of the sort of file that the number is for."""
    if number == IOCTLS["NS_GET_USERNS"]:
        file = os.open("/proc/self/ns/uts", os.O_RDONLY)
    elif number == IOCTLS["PIDFD_GET_NET_NAMESPACE"]:
        file = os.pidfd_open(os.getpid(), 0)
    elif number == IOCTLS["SIOCSIFFLAGS"]:
        file = socket.socket().detach()
    else:
        os.setsid()
        file = os.open(os.ttyname(os.openpty()[1]), os.O_RDWR)  # now the controlling terminal
    return call("ioctl", file, number, pointer())


def call_as_i386() -> int:
    """Run `getpid` of the 32-bit table, whose numbers a 64-bit filter would read as others."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    result: int = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if result < 0:
        raise OSError(-result, "int 0x80")
    return result


def call_as_x32() -> int:
    NUMBER["getpid of x32"] = 0x40000000 + 39
    return call("getpid of x32")


# --- the list -----------------------------------------------------------------------------------


def processes() -> Dict[str, Act]:
    """Reach into other processes, or out of this one's namespaces."""
    me = os.getpid()
    acts: Dict[str, Act] = {
        "ptrace a process of the same user": attach_to_own_user,
        "ptrace oneself": lambda: call("ptrace", 0, 0, 0, 0),
        "read memory": lambda: memory_of_own_user("process_vm_readv"),
        "write memory": lambda: memory_of_own_user("process_vm_writev"),
        "advise memory": advise_own_user,
        "compare processes": lambda: call("kcmp", me, me, 1, 0, 0),
        "take a descriptor": lambda: call("pidfd_getfd", os.pidfd_open(me, 0), 1, 0),
        "answer calls for others": listen_for_others,
        "unshare nothing": lambda: call("unshare", 0),
        "clone3 with a new user namespace": clone3_user,
        "join a namespace": lambda: call(
            "setns", os.open("/proc/self/ns/uts", os.O_RDONLY), NAMESPACES["uts"]
        ),
        "fixed addresses": lambda: call("personality", 0x0040000),
        "executable data": lambda: call("personality", 0x0400000),
        "32-bit personality": lambda: call("personality", 8),
    }
    for name, flag in NAMESPACES.items():
        acts["unshare " + name] = partial(call, "unshare", flag | NEW_USER)
        acts["clone with new " + name] = partial(clone_with, flag | NEW_USER)
    return acts


def kernel() -> Dict[str, Act]:
    """Reach parts of the kernel that a sandbox has no use for."""
    uffd_user_only, watch_by_handle, session_keyring = 1, 0x200, -3
    return {
        "io_uring": lambda: call("io_uring_setup", 1, pointer()),
        "kernel AIO": lambda: call("io_setup", 1, pointer()),
        "performance counter": performance_counter,
        "page faults in user mode": lambda: call("userfaultfd", uffd_user_only),
        "secret memory": lambda: call("memfd_secret", 0),
        "memory into a pipe": splice_memory,
        "watch by handle": lambda: call("fanotify_init", watch_by_handle, 0),
        "handle of a directory": handle_of_root,
        "detached mount": lambda: call("open_tree", AT_FDCWD, text(b"/"), 0),
        "session keyring": lambda: call("keyctl", 0, session_keyring, 0),
        "new key": lambda: call(
            "add_key", text(b"user"), text(b"hostile"), text(b"x"), 1, session_keyring
        ),
        "bpf map": lambda: call("bpf", 0, text(b"\2\0\0\0\4\0\0\0\4\0\0\0\1" + bytes(99)), 72),
        "kernel log size": lambda: call("syslog", 10, 0, 0),
        "kernel log": lambda: call("syslog", 3, pointer(), 4096),
        "message queue": lambda: call("mq_open", text(b"hostile"), os.O_CREAT, 0o600, 0),
    }


def devices() -> Dict[str, Act]:
    """Make devices, drive them, and make sockets of every odd family."""
    acts: Dict[str, Act] = {
        "socketpair of INET": lambda: call("socketpair", 2, 1, 0, pointer()),
        "socketpair of tipc": lambda: call("socketpair", 30, 1, 0, pointer()),
    }
    modes = {"character device": (0o20600, 0x103), "block device": (0o60600, 0x800),
             "whiteout": (0o20000, 0)}  # fmt: skip
    for what, (mode, device) in modes.items():
        for name in {"mknod", "mknodat"} & set(NUMBER):
            acts[f"{name} a {what}"] = partial(node, name, mode, device)
    for what, triple in SOCKETS.items():
        acts["socket " + what] = partial(call, "socket", *triple)
    for what, number in IOCTLS.items():
        acts["ioctl " + what] = partial(control, number)
    if platform.machine() == "x86_64":
        acts["call as i386"] = call_as_i386
        acts["call as x32"] = call_as_x32
        acts["ports, none"] = lambda: call("ioperm", 0, 1, 0)
        acts["ports, level 0"] = lambda: call("iopl", 0)
        acts["segment table"] = lambda: call("modify_ldt", 0, pointer(), 16)
        acts["file systems by number"] = lambda: call("sysfs", 3)
    return acts


def sweep() -> Dict[str, Act]:
    """Every refused call once, with arguments that mean nothing."""
    nonsense = [-1] * 6
    names = sorted(numbers(REFUSED))
    return {"call " + name: partial(call, name, *nonsense) for name in names}


# --- trying ---------------------------------------------------------------------------------------


def result_of(act: Act) -> str:
    """Try one act in a child process and say how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        try:
            act()
            said = "allowed"
        except OSError as error:
            said = errno.errorcode.get(error.errno or 0, str(error.errno))
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    said = os.read(reader, 100).decode() if not os.WIFSIGNALED(status) else ""
    os.close(reader)
    return said or signal.Signals(os.WTERMSIG(status)).name


def main() -> None:
    everything: List[Tuple[str, Act]] = []
    for group in (sweep, processes, kernel, devices):
        everything.extend(group().items())
    for name, act in everything:
        print(json.dumps({"act": name, "result": result_of(act)}), flush=True)


if __name__ == "__main__":
    main()
