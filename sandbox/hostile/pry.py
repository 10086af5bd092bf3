"""Attacks on the walls: the kernel, PID 1, other powers, other places, the network."""

from sandbox.hostile.attack import Attack, bash, python

ATTEMPT = """
import ctypes, errno, os, resource, signal, socket, struct, subprocess
libc = ctypes.CDLL(None, use_errno=True)
through, tried = [], 0
def attempt(name, act):
    global tried
    tried += 1
    try:
        if act() != -1:
            through.append(name)
    except (OSError, ValueError, subprocess.SubprocessError):
        pass
def tell(what):
    print("> %d %s tried, through: %s" % (tried, what, ", ".join(through) or "none"))
"""

PID1 = (
    ATTEMPT
    + """
for number in range(1, 65):
    attempt("signal %d" % number, lambda: os.kill(1, number))
attempt("ptrace attach", lambda: libc.ptrace(16, 1, 0, 0))
attempt("ptrace seize", lambda: libc.ptrace(0x4206, 1, 0, 0))
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
here = ctypes.create_string_buffer(8)
ours, theirs = Vector(ctypes.addressof(here), 8), Vector(0x400000, 8)
for call in ("process_vm_readv", "process_vm_writev"):
    attempt(call, lambda: getattr(libc, call)(1, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))
attempt("limits", lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (3, 3)))
for name in ("mem", "stack", "syscall", "oom_score_adj", "comm", "clear_refs", "task/1/mem"):
    attempt(name, lambda: os.close(os.open("/proc/1/" + name, os.O_WRONLY)))
def write_to(fd):
    got = os.open("/proc/1/fd/%d" % fd, os.O_WRONLY | os.O_NONBLOCK)
    kind = os.fstat(got).st_mode & 0o777
    os.close(got)
    return -1 if kind == 0o622 else 0  # its own output, which it may write to anyway
for fd in range(300):
    attempt("fd %d" % fd, lambda: write_to(fd))
attempt("pidfd_getfd", lambda: libc.syscall(438, libc.syscall(434, 1, 0), 0, 0))
tell("ways to PID 1")
"""
)

KERNEL_FILES = (
    ATTEMPT
    + """
for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
             "/proc/sys/vm/panic_on_oom", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/fs/file-max",
             "/proc/sys/fs/binfmt_misc/register", "/proc/acpi", "/proc/mtrr",
             "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
             "/sys/fs/cgroup/pids/pids.max", "/sys/kernel/uevent_helper", "/sys/power/state",
             "/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/fuse", "/dev/kvm",
             "/dev/net/tun", "/dev/console", "/dev/loop-control", "/dev/cuse", "/dev/vsock"):
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
for path in ("/proc/kcore", "/proc/kmsg", "/dev/mem", "/proc/keys", "/proc/1/environ2", "/proc/1/mem",
             "/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"):
    attempt("read " + path, lambda: os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1) and 1 or -1)
tell("files of the kernel and the host")
"""
)

MOUNTS = (
    ATTEMPT
    + """
for kind, source, target in (("proc", "proc", "/tmp"), ("tmpfs", "x", "/tmp"), ("sysfs", "x", "/tmp"),
                             ("cgroup", "x", "/tmp"), ("devpts", "x", "/tmp"), ("overlay", "x", "/tmp"),
                             ("ext4", "/dev/vda1", "/tmp"), ("9p", "x", "/tmp")):
    attempt("mount " + kind, lambda: libc.mount(source.encode(), target.encode(), kind.encode(), 0, None))
attempt("bind /", lambda: libc.mount(b"/", b"/tmp", None, 4096, None))
attempt("remount / writable", lambda: libc.mount(None, b"/", None, 32, None))
attempt("umount /proc", lambda: libc.umount2(b"/proc", 2))
attempt("chroot", lambda: libc.chroot(b"/tmp"))
attempt("pivot_root", lambda: libc.syscall(155, b"/tmp", b"/tmp"))
def device():
    os.mknod("/tmp/d", 0o20600, os.makedev(1, 1))
    return os.open("/tmp/d", os.O_RDWR)
attempt("device", device)
attempt("setns", lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))
attempt("open_by_handle_at", lambda: libc.syscall(304, -100, b"\\0" * 16, 0))
attempt("sethostname", lambda: libc.sethostname(b"x", 1))
attempt("reboot", lambda: libc.reboot(0x1234567))
attempt("swapon", lambda: libc.swapon(b"/tmp/x", 0))
attempt("load a module", lambda: libc.syscall(175, b"x", 1, b""))
for path in ("/etc/passwd", "/usr/bin/x", "/x", "/run/x", "/run/sessions/x", "/var/x", "/root/x", "/sys/x"):
    attempt("write " + path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)))
tell("mounts, roots and devices")
"""
)

# In gVisor a user may have namespaces of its own; what it gains there ends there.
NAMESPACES = (
    ATTEMPT
    + """
def inside():
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(0x10000000 | 0x20000 | 0x40000000) == 0 and INNER else 1)
    return 0 if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 else -1
INNER = True
attempt("namespaces of its own", inside)
def written():
    pid = os.fork()
    if pid == 0:
        try:
            libc.unshare(0x10000000 | 0x20000)
            open("/proc/self/uid_map", "w").write("0 1000 1")
            libc.mount(None, b"/", None, 32, None)
            open("/etc/x", "w").write("x")
            os._exit(0)
        except BaseException:
            os._exit(1)
    return 0 if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 else -1
attempt("write to the image from there", written)
print("> %s" % ("namespaces of its own, " if through else "") + "image written to: " + str(os.path.exists("/etc/x")))
"""
)

POWERS = """
cp /bin/bash ~/b; chmod 4755 ~/b; ~/b -p -c 'id -u' | grep -qx 1000 && echo '> setuid means nothing'
cp /bin/bash /tmp/w/b; chmod 6755 /tmp/w/b; [ $(/tmp/w/b -p -c 'id -u') = 1000 ] && echo '> nor in /tmp'
for word in su sudo passwd chsh; do
    command -v $word >/dev/null && timeout 2 $word </dev/null >/dev/null 2>&1 && echo "$word worked"
done
python3 -c 'import os; os.setuid(0)' 2>&1 | tail -1; id -u
grep -E 'Cap(Eff|Prm|Inh|Amb)' /proc/self/status | grep -qv 0000000000000000 && echo has powers
find / -xdev -perm -4000 -type f 2>/dev/null | while read f; do timeout 2 $f </dev/null >/dev/null 2>&1; done
"""

CALLS = (
    ATTEMPT
    + """
for name, number, arguments in (("io_uring_setup", 425, (8, ctypes.create_string_buffer(200))), ("bpf", 321, (0, ctypes.create_string_buffer(80), 80)),
                     ("userfaultfd", 323, (0,)), ("perf_event_open", 298, (ctypes.create_string_buffer(128), 0, -1, -1, 0)),
                     ("keyctl", 250, (0, -3, 1)), ("add_key", 248, (b"user", b"x", b"y", 1, -2)), ("kexec_load", 246, (0, 0, 0, 0)),
                     ("memfd_secret", 447, (0,)), ("fanotify_init", 300, (0, 0)), ("open_tree", 428, (-100, b"/", 1)),
                     ("fsopen", 430, (b"tmpfs", 0)), ("lookup_dcookie", 212, (0, 0, 0)), ("iopl", 172, (3,)),
                     ("clock_settime", 227, (0, ctypes.create_string_buffer(16))), ("acct", 163, (b"/tmp/x",)), ("quotactl", 179, (0, 0, 0, 0))):
    attempt(name, lambda: libc.syscall(number, *arguments))
tell("dangerous calls")
"""
)

NETWORK = (
    ATTEMPT
    + """
def reach(family, kind, protocol, address, data=None):
    with socket.socket(family, kind, protocol) as sock:
        sock.settimeout(1)
        if data:
            sock.sendto(data, address)
            return len(sock.recv(1))
        sock.connect(address)
inet, inet6, tcp, udp = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
query = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7example\\3org\\0\\0\\1\\0\\1"
for address in ("192.0.2.1", "198.51.100.7", "169.254.169.254", "172.17.0.1", "10.0.0.1", "8.8.8.8", "127.0.0.1"):
    for port in (22, 53, 80, 443, 2375):
        attempt("tcp %s:%d" % (address, port), lambda: reach(inet, tcp, 0, (address, port)))
    attempt("dns " + address, lambda: reach(inet, udp, 0, (address, 53), query))
attempt("broadcast", lambda: reach(inet, udp, 0, ("255.255.255.255", 67), b"x"))
attempt("tcp6", lambda: reach(inet6, tcp, 0, ("2001:db8::1", 80)))
attempt("link-local", lambda: reach(inet6, tcp, 0, ("fe80::1", 80, 0, 1)))
attempt("icmp", lambda: reach(inet, socket.SOCK_RAW, 1, ("192.0.2.1", 0)))
attempt("ping", lambda: reach(inet, udp, 1, ("192.0.2.1", 0), bytes(16)))
attempt("packet", lambda: reach(17, socket.SOCK_RAW, 0, ("lo", 0)))
for cid in (0, 1, 2, 3):
    attempt("vsock %d" % cid, lambda: reach(40, tcp, 0, (cid, 1024)))
for family in (15, 21, 29, 30, 31, 38, 41, 44):  # key, rds, can, tipc, bluetooth, alg, kcm, xdp
    attempt("family %d" % family, lambda: socket.socket(family, socket.SOCK_RAW).close())
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/systemd/private", "\\0/containerd-shim", "\\0docker"):
    attempt("unix " + repr(path), lambda: reach(socket.AF_UNIX, tcp, 0, path))
for name in ("example.org", "host.docker.internal", "metadata.google.internal", "server.local"):
    attempt("name " + name, lambda: socket.getaddrinfo(name, 80) and 0)
for command in ("curl -m 3 http://192.0.2.1/", "curl -m 3 -k https://example.org/", "wget -T 2 -t 1 http://example.org/",
                "ssh -o ConnectTimeout=2 -o BatchMode=yes user@192.0.2.1", "git clone -q https://example.org/x /tmp/x"):
    attempt(command, lambda: subprocess.run(command.split(), check=True, capture_output=True, timeout=8) and 0)
tell("ways out")
"""
)

PASSWORD = """
env; cat /proc/self/environ /proc/*/environ 2>/dev/null | tr '\\0' '\\n'
grep -rsl 'planted-pass[w]ord' / --exclude-dir=proc --exclude-dir=sys --exclude-dir=sessions 2>/dev/null
env | grep -i proxy; echo '> no proxy here'
"""

OWN_KERNEL = "runsc: what gets through is of its own kernel and ends there"

ATTACKS = (
    Attack(
        "ptrace, signals, memory, descriptors of PID 1",
        (python(PID1, 120),),
        held="ways to PID 1 tried, through: none",
    ),
    Attack(
        "/proc, /sys and /dev",
        (python(KERNEL_FILES),),
        held={"runc": "through: none", "runsc": "through: /dev/fuse, /dev/net/tun\n"},
        note=OWN_KERNEL,
    ),
    Attack("mounts, chroot, devices, the image", (python(MOUNTS),), held="through: none"),
    Attack(
        "namespaces of its own",
        (python(NAMESPACES),),
        held={"runc": "> image written to: False", "runsc": "written to: False"},
        note=OWN_KERNEL,
    ),
    Attack(
        "setuid files, su, capabilities",
        (bash(POWERS, 120),),
        held="(?s)> setuid means nothing.*\n1000\n",
        never="worked|has powers",
    ),
    Attack(
        "io_uring, bpf, keys and other calls",
        (python(CALLS),),
        held={"runc": "through: none", "runsc": "through: keyctl\n"},
        note=OWN_KERNEL,
    ),
    Attack(
        "out by address, name, DNS, vsock, raw and local sockets",
        (python(NETWORK, 120),),
        held="ways out tried, through: none",
    ),
    Attack(
        "a password in the user's Docker settings",
        (bash(PASSWORD, 60),),
        held="> no proxy here",
        never="(?i)planted-password|_proxy=",
    ),
)
