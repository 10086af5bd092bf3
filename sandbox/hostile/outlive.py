"""Attacks by what does not want to end: beyond a time-out, a session, the freeze at the end."""

from sandbox.hostile.attack import GOES_ON, MUTE, Attack, bash, python

IGNORE = """
import os, signal
for number in set(range(1, 65)) - {9, 19, 32, 33}:
    signal.signal(number, signal.SIG_IGN)
print("> ignores every signal it can", flush=True)
while True:
    signal.pause()
"""

# A grandchild without parent, group or session of the action's.
STAYS = """
(setsid bash -c 'trap "" INT TERM HUP PIPE; while :; do echo stays 2>/dev/null; echo $((++n)) > ~/beat; sleep 0.05; done' &)
sleep 0.5; echo "> left one behind"; trap '' INT; sleep 20
"""

LOOK = """
a=$(cat ~/beat); sleep 0.5; b=$(cat ~/beat)
[ $a = $b ] && echo '> it is gone' || echo '> it lives on, unheard'
"""

KILLER = """
import os
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            os.kill(-1, 9)
        except OSError:
            pass
"""

STOPPER = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid()):
                try:
                    os.kill(int(name), signal.SIGSTOP)
                except OSError:
                    pass
    os.kill(-1, signal.SIGCONT)
    os._exit(0)
"""

WOKEN = """
import ctypes, os, signal, struct, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGCONT, lambda *_: None)
    number = ctypes.c_void_p()
    assert ctypes.CDLL(None).timer_create(1, struct.pack("qii48x", 0, 18, 0), ctypes.byref(number)) == 0
    spec = struct.pack("qqqq", 0, 5000000, 0, 5000000)
    assert ctypes.CDLL(None).timer_settime(number, 0, spec, None) == 0
    open("/home/user/armed", "w").close()
    while True:  # whenever it is woken after the freeze
        with open("/home/user/clock", "w") as file:
            file.write(str(time.time()))
while not os.path.exists("/home/user/armed"):
    time.sleep(0.01)
print("> has a timer wake it")
"""

HOLDS_ON = """
import fcntl, os, signal, time
if os.fork() == 0:
    os.setsid()
    file = os.open("/home/user/evidence", os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        said = "> holds a lease on the evidence"
    except OSError as error:
        said = "> no leases here: %s" % error.strerror
    fcntl.flock(file, fcntl.LOCK_EX)
    print(said, flush=True)
    open("/home/user/held", "w").close()
    signal.pause()
while not os.path.exists("/home/user/held"):
    time.sleep(0.01)
os.chmod("/home/user/evidence", 0)
os.chmod("/home/user", 0)
"""

BUSY_FILES = """
for i in 1 2 3; do
    (setsid bash -c 'while :; do date >> ~/grows; head -c 3M /dev/zero > ~/jumps; : > ~/jumps; mv ~/a ~/b; mv ~/b ~/a; done' >/dev/null 2>&1 &)
done
touch ~/a; sleep 0.5; echo '> files change while they are taken out'
"""

THREADS_AFTER = """
import threading, time, sys
def talk():
    while True:
        print("a thread talks", flush=True)
        time.sleep(0.01)
for _ in range(5):
    threading.Thread(target=talk, daemon=True).start()
print("> threads talk on after the end")
"""

PYTHON_SPOILED = """
import builtins, gc, signal, sys
class Undying:
    def __del__(self):
        global again
        again = Undying()
again = Undying()
signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGTERM, lambda *_: None)
sys.settrace(lambda *_: None)
sys.excepthook = sys.displayhook = sys.unraisablehook = None
for name in ("os", "ast", "struct", "signal", "linecache", "traceback", "io"):
    sys.modules.pop(name, None)
sys.stdout = sys.stderr = None
for name in ("exec", "compile", "len", "isinstance", "open", "print"):
    setattr(builtins, name, lambda *_, **__: 0)
while True:
    pass
"""

BASH_SPOILED = """
alias .=true builtin=true echo=true; shopt -s expand_aliases
builtin() { :; }; .() { command echo not run; }; source() { :; }
PROMPT_COMMAND='command echo prompt'; PS1='$ '; trap 'command echo debug' DEBUG; set -eu
readonly PS1 IFS; trap '' INT TERM; set -o posix; command enable -n echo
command echo '> its own words are spoiled'
"""

ATTACKS = (
    Attack("ignores every signal", (python(IGNORE, 0.5),), held="> ignores"),
    Attack(
        "stays after its action was killed",
        (bash(STAYS, 1), bash(LOOK)),
        held="> it (is gone|lives on, unheard)",
        never=r"stays\n(?=> it)",
        note="lives until the end of the run: nothing says any more whose it was",
    ),
    Attack(
        "kills all it can, again and again",
        (python(KILLER),),
        ends=dict.fromkeys(("runc", "runsc"), (GOES_ON, MUTE)),
    ),
    Attack(
        "stops all it can, again and again",
        (python(STOPPER, 2), bash("sleep 3; echo '> over'")),
        ends=dict.fromkeys(("runc", "runsc"), (GOES_ON, MUTE)),
    ),
    Attack("a timer wakes it when it is frozen", (python(WOKEN),), held="> has a timer"),
    Attack(
        "lease, lock and mode 0 on its evidence", (python(HOLDS_ON),), held="> (holds|no leases)"
    ),
    Attack(
        "files that change while they are taken out", (bash(BUSY_FILES),), held="> files change"
    ),
    Attack("threads that write after the end", (python(THREADS_AFTER),), held="> threads talk"),
    Attack("a Python session spoiled from within", (python(PYTHON_SPOILED, 0.5),)),
    Attack(
        "a shell session spoiled from within",
        (bash(BASH_SPOILED, 1), bash("command echo next", 0.5)),
        held="> its own words",
        ends=dict.fromkeys(("runc", "runsc"), (GOES_ON, MUTE)),
    ),
    Attack(
        "a shell that replaces itself, closes everything, stops",
        (
            bash("exec sleep 30", 0.3),
            bash("exec 0<&- 1>&- 2>&- 199>&-", 0.3),
            bash("kill -STOP $$", 0.3),
        ),
    ),
    Attack(
        "os._exit, exit, kill of its own session",
        (
            python("import os; os._exit(0)"),
            bash("exit 0"),
            bash("kill -9 $$"),
            python("import os; os.kill(os.getpid(), 9)"),
        ),
    ),
)
