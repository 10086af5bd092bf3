"""Attacks on what is taken out at the end: odd files, names and links."""

from sandbox.hostile.attack import Attack, bash, python

NAMES = r"""
import os
home = b"/home/user/"
for name in (b"new\nline", b"\xff\xfe", b"x" * 255, b"...", b" ", b"-rf", b"\x1b[2J", b"..\\..", b"\xe2\x80\xae"):
    os.mkdir(home + b"names") if not os.path.isdir(home + b"names") else None
    open(home + b"names/" + name, "w").write("odd")
at = os.open(home, os.O_RDONLY)
deep = 0
try:
    for deep in range(LEVELS):
        os.mkdir("d", dir_fd=at)
        at, old = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(old)
        if deep % 300 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=at))
except OSError:
    pass
print("> names of every kind, %d levels deep" % (deep + 1))
"""

KINDS = r"""
mkdir -p ~/out && cd ~/out
ln -s /etc/passwd link; ln -s loop loop; ln -s .. up; ln -s /proc/self/root root; ln ~/evidence hard
mkfifo fifo; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'; mknod dev c 1 1 2>/dev/null
truncate -s 1T sparse || truncate -s 8G sparse; truncate -s 1G sparse2; chmod 4755 $(cp /bin/true suid; echo suid)
mkdir -m 000 closed; head -c 3M /dev/urandom > big; chmod 000 big; cd
echo "> $(ls -A ~/out | wc -l) odd files, one of $(stat -c %s ~/out/sparse) bytes"
"""

LINKED = r"""
rm -rf ~/x; mkdir ~/x; for i in $(seq 100); do ln ~/evidence ~/x/$i; done; for i in $(seq 100); do ln -s $((i + 1)) ~/x/s$i; done
echo '> links upon links'
"""

EVIDENCE_AWAY = "rm ~/evidence; ln -s /etc/passwd ~/evidence; echo '> the evidence is a link'"
EVIDENCE_FIFO = "rm ~/evidence; mkfifo ~/evidence; echo '> the evidence is a pipe'"

ATTACKS = (
    Attack(
        "odd names, deep folders",
        (python(NAMES.replace("LEVELS", "1500"), 120),),
        held="levels deep",
    ),
    Attack(
        "5,000 levels deep",
        (python(NAMES.replace("LEVELS", "5000"), 300),),
        held="levels deep",
        heavy=True,
    ),
    Attack("links, pipes, sockets, devices, sparse files", (bash(KINDS),), held="odd files"),
    Attack("links upon links", (bash(LINKED, 120),), held="links upon links"),
    Attack("its evidence made a link", (bash(EVIDENCE_AWAY),), held="> the", evidence=False),
    Attack("its evidence made a pipe", (bash(EVIDENCE_FIFO),), held="> the", evidence=False),
)
