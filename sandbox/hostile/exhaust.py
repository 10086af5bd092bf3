"""Attacks that use up what there is: processes, memory, room, output, descriptors, time."""

from sandbox.hostile.attack import GOES_ON, LIMIT, MODEL, MUTE, Attack, bash, python

UNTIL = """
import errno, os, sys, time
def until_refused(act, seconds=3):
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            act()
        except (OSError, MemoryError, RuntimeError) as error:
            return count, errno.errorcode.get(getattr(error, "errno", None), type(error).__name__)
        count += 1
    return count, "not refused in %g s" % seconds
def tell(what, count, why):
    print("> %d %s, then %s" % (count, what, why), flush=True)
"""

FORKS = """
trap '' INT
bomb() { bomb | bomb & }
bomb 2>/dev/null; sleep 20
"""

FORKS_THAT_LEAVE = (
    UNTIL
    + """
import signal
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            pass
time.sleep(1)
print("> left its session and forks on", flush=True)
"""
)

THREADS = (
    UNTIL
    + """
import threading
stop = threading.Event()
tell("threads", *until_refused(lambda: threading.Thread(target=stop.wait, daemon=True).start()))
stop.set()
"""
)

ZOMBIES = (
    UNTIL
    + """
def zombie():
    if os.fork() == 0:
        os._exit(0)
tell("zombies", *until_refused(zombie))
try:
    while True:
        os.waitpid(-1, 0)
except ChildProcessError:
    pass
"""
)

MEMORY = (
    UNTIL
    + """
kept = []
def take():
    kept.append(bytearray(b"x" * (16 << 20)))
tell("x 16 MB", *until_refused(take))
del kept
"""
)

EACH_BELOW = """
for i in $(seq 14); do
    python3 -c 'import time; x = bytearray(b"x" * (40 << 20)); time.sleep(5)' &
done 2>/dev/null
sleep 3; echo "> $(jobs -r | wc -l) of 14 x 40 MB live on in 256 MB"; kill %{1..14}; wait
"""

FILES_IN_MEMORY = """
for folder in ~ /tmp /dev/shm; do head -c 1G /dev/zero > $folder/fill; done 2>/dev/null
echo "> $(du -cm ~ /tmp /dev/shm | tail -1 | cut -f1) MB of files in 128 MB of memory"
python3 -c 'x = bytearray(b"x" * (100 << 20))'; echo "> 100 MB more: $?"
rm -f ~/fill /tmp/fill /dev/shm/fill
"""

# The largest process goes first when memory runs out, and nothing keeps one of the agent's from
# being smaller than PID 1: its memory is in files, and it takes back the mark that it is born with.
SMALLER_THAN_PID1 = """
for folder in ~ /tmp /dev/shm; do head -c 1G /dev/zero > $folder/fill; done 2>/dev/null
for i in $(seq 60); do (echo 0 > /proc/self/oom_score_adj; exec sleep 20) & done 2>/dev/null
sleep 15; echo "> all live"; rm -f ~/fill /tmp/fill /dev/shm/fill; kill $(jobs -p)
"""

DISK = (
    UNTIL
    + """
block = os.urandom(1 << 20)
for folder in ("/home/user", "/tmp", "/dev/shm", "/run", "/run/sessions", "/dev", "/var/tmp",
               "/dev/mqueue", "/"):
    path = folder + "/fill"
    try:
        with open(path, "wb", buffering=0) as file:
            tell("MB in " + folder, *until_refused(lambda: file.write(block), 10))
    except OSError as error:
        print("> %s: %s" % (folder, errno.errorcode[error.errno]))
    try:
        os.unlink(path)
    except OSError:
        pass
"""
)

INODES = (
    UNTIL
    + """
import itertools
numbers = itertools.count()
for folder in ("/tmp/w", "/dev/shm"):
    tell("empty files in " + folder,
         *until_refused(lambda: os.close(os.open("%s/%d" % (folder, next(numbers)), 64)), SECONDS))
"""
)

INODES_AT_HOME = (
    UNTIL
    + """
import itertools
numbers = itertools.count()
os.mkdir("/home/user/many")
tell("empty files at home",
     *until_refused(lambda: os.close(os.open("/home/user/many/%d" % next(numbers), 64)), SECONDS))
"""
)

DESCRIPTORS = (
    UNTIL
    + """
import fcntl, socket
held = []
def pipe():
    held.append(os.pipe())
    fcntl.fcntl(held[-1][1], 1031, 1 << 20)
    os.set_blocking(held[-1][1], False)
    os.write(held[-1][1], bytes(1 << 20))
def pair():
    a, b = socket.socketpair()
    held.append((a.detach(), b.detach()))
    os.set_blocking(held[-1][0], False)
    os.write(held[-1][0], bytes(1 << 20))
for what, act in (("full pipes", pipe), ("full sockets", pair)):
    tell(what, *until_refused(act))
    for one in held:
        for fd in one:
            os.close(fd)
    held.clear()
"""
)

SHARED_MEMORY = (
    UNTIL
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
ids = []
def segment():
    number = libc.shmget(0, 8 << 20, 0o1600)
    if number < 0:
        raise OSError(ctypes.get_errno(), "")
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(number, None, 0)
    if at in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "")
    ctypes.memset(at, 1, 8 << 20)
    ids.append(number)
if os.fork() == 0:
    tell("x 8 MB of shared memory", *until_refused(segment))
    os._exit(0)
os.wait()
print("> %d segments outlive it" % (len(open("/proc/sysvipc/shm").readlines()) - 1)
      if os.path.exists("/proc/sysvipc/shm") else "> no list of segments")
"""
)

SPINNERS = """
for i in $(seq 90); do (while :; do :; done) & done
sleep 3; echo "> 90 processes spin"; kill $(jobs -p); wait 2>/dev/null
"""

LIMITS = """
(ulimit -n 3; ls); (ulimit -v 1000; ls); (ulimit -u 1; ls); (ulimit -f 0; echo x > ~/f)
ulimit -n 1000000 || echo "> no more files than there are"
ulimit -c unlimited || echo "> no core dumps"
ulimit -n 12; ulimit -s 64; ulimit -t 1
"""

CRASHES = """
ulimit -c unlimited; cd /tmp/w
for i in $(seq 30); do python3 -c 'import os; os.abort()'; done 2>/dev/null
bash -c 'kill -SEGV $$'; echo "> $(ls /tmp/w | wc -l) core files"; cd
"""

# Kept by the kernel for each user, whatever the sandbox: all have the same user.
USER_COUNTERS = (
    UNTIL
    + """
import ctypes, select, struct
libc = ctypes.CDLL(None, use_errno=True)
def watch():
    if libc.inotify_init() < 0:
        raise OSError(ctypes.get_errno(), "")
tell("inotify instances", *until_refused(watch))
def timer():
    if libc.timer_create(1, struct.pack("qii48x", 0, 10, 0), ctypes.byref(ctypes.c_void_p())):
        raise OSError(ctypes.get_errno(), "")
tell("timers", *until_refused(timer))
for fd in range(3, 2000):
    if fd not in (198, 199):
        try:
            os.close(fd)
        except OSError:
            pass
"""
)

DIES_OF_PROCESSES = {"runc": (GOES_ON, MUTE), "runsc": (GOES_ON, MUTE, MODEL, LIMIT)}
DIES_OF_MEMORY = {"runc": (GOES_ON, MUTE, LIMIT), "runsc": (GOES_ON, MUTE, LIMIT)}
SMALL = {"memory_bytes": "256MiB"}
TINY = {"memory_bytes": "128MiB", "home_bytes": "64MiB", "tmp_bytes": "64MiB"}

ATTACKS = (
    Attack("fork bomb", (bash(FORKS, 1.5),), ends=DIES_OF_PROCESSES, wishes=SMALL),
    Attack(
        "fork bomb that leaves its session",
        (python(FORKS_THAT_LEAVE, 3),),
        ends=DIES_OF_PROCESSES,
        wishes=SMALL,
        note="runc: it fills its own table of processes until the end of the run",
    ),
    Attack(
        "thread bomb",
        (python(THREADS),),
        held={"runc": "threads, then", "runsc": ""},
        ends=DIES_OF_PROCESSES,
        wishes=SMALL,
    ),
    Attack("zombies", (python(ZOMBIES),), held="zombies, then", ends=DIES_OF_PROCESSES),
    Attack(
        "memory bomb",
        (python(MEMORY),),
        held={"runc": "", "runsc": "then MemoryError"},
        wishes=SMALL,
    ),
    Attack(
        "many processes, each just below its limit",
        (bash(EACH_BELOW),),
        ends=DIES_OF_MEMORY,
        wishes=SMALL,
    ),
    Attack(
        "memory full of files",
        (bash(FILES_IN_MEMORY),),
        ends=DIES_OF_MEMORY,
        wishes=TINY,
    ),
    Attack(
        "memory full of files and all processes smaller than PID 1",
        (bash(SMALLER_THAN_PID1),),
        ends=DIES_OF_MEMORY,
        wishes=TINY,
        heavy=True,
    ),
    Attack("disk filler", (python(DISK, 120),), held="MB in /home/user, then ENOSPC"),
    Attack(
        "inode filler",
        (python(INODES.replace("SECONDS", "2")),),
        held="empty files",
        ends=DIES_OF_MEMORY,
        wishes=SMALL,
    ),
    Attack(
        "inode filler until something gives",
        (python(INODES.replace("SECONDS", "100"), 300),),
        held={"runc": "then ENOSPC", "runsc": "empty files"},
        ends=DIES_OF_MEMORY,
        wishes=SMALL | {"tmp_bytes": "4MiB"},
        heavy=True,
    ),
    Attack(
        "inode filler in what is exported",
        (python(INODES_AT_HOME.replace("SECONDS", "1.5")),),
        held="empty files",
        heavy=True,
    ),
    Attack(
        "full pipes and sockets, every descriptor",
        (python(DESCRIPTORS),),
        held="EMFILE|EAGAIN|ENOBUFS",
    ),
    Attack(
        "shared memory that outlives its maker",
        (python(SHARED_MEMORY),),
        ends=DIES_OF_MEMORY,
        wishes=SMALL,
    ),
    Attack(
        "90 processes that spin",
        (bash(SPINNERS, 8),),
    ),
    Attack(
        "limits lowered and raised",
        (bash(LIMITS),),
        held="(?s)no more files.*no core dumps",
        ends={"runc": (GOES_ON, MUTE), "runsc": (GOES_ON, MUTE)},
    ),
    Attack("crashes", (bash(CRASHES, 120),), held="> 0 core files"),
    Attack(
        "counters that the kernel keeps by user",
        (python(USER_COUNTERS),),
        held="timers, then",
        note="runc: sandboxes share them, as they share the user",
    ),
    Attack("output flood", (bash("yes"),), held="y\ny\n"),
    Attack(
        "output flood in the background",
        (
            bash("yes & (setsid yes &) ; yes >&2 & sleep 1; echo '> three floods go on'"),
            python("print('> the other session answers')"),
        ),
        held="> the other session answers",
    ),
)
