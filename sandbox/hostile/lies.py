"""What a PID 1 may say and send that was taken over: here the host alone is attacked."""

from sandbox.hostile.attack import GOES_ON, MODEL, MUTE, Attack, bash

ONLY = ("runc",)
DIES = {"runc": (MODEL,)}


def lie(name: str, code: str, **more: object) -> Attack:
    """PID 1 does this instead of what it was told; the host must see through it or not care."""
    given = {"runtimes": ONLY, "lies": True, "ends": DIES, "held": "", **more}
    return Attack(f"PID 1 taken over: {name}", (bash("#lie\n" + code, 2),), **given)  # type: ignore[arg-type]


ARCHIVE = """
import io, tarfile
def block(name, type=b"0", size=0, link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = type, size, link
    return entry.tobuf(tarfile.GNU_FORMAT)
def lying_get(channel, paths, limit):
    os.set_blocking(1, True)
    for piece in archive():
        self.send(DATA, channel, piece)
    self.say("ended", channel=channel, exit=0)
self.do_get = lying_get
self.say("done", channel=channel, action=action, exit=0)
GOOD = block("home/user/evidence", size=9) + b"evidence\\n".ljust(512, b"\\0")
END = bytes(1024)
"""


def archive(name: str, code: str, *, evidence: bool = True) -> Attack:
    """PID 1 sends this archive when it is asked for files."""
    return lie("archive " + name, ARCHIVE + code, ends={}, evidence=evidence)


ATTACKS = (
    lie("a frame of 4 GB", "os.write(1, b'\\xff' * 64)"),
    lie("a frame of a kind there is not", "self.send(7, 0, b'')"),
    lie("reports that are not JSON, or too deep", "self.send(0, 0, b'[' * 100000)"),
    lie(
        "reports of absurd numbers",
        'self.send(0, 0, b\'{"op": "done", "channel": 1, "action": \' + b\'9\' * 9000 + b\'}\')',
    ),
    lie(
        "a million reports",
        "for n in range(10**6): self.say('done', channel=channel, action=0, exit=0)",
    ),
    lie(
        "done before it is done, absurd exit",
        "self.say('done', channel=channel, action=action, exit=10**300)",
        ends={},
    ),
    lie(
        "another session's end",
        "self.say('ended', channel=channel + 1, exit='x', signal=[])\nself.say('done', channel=channel, action=action, exit={})",
        ends={"runc": (GOES_ON, MUTE)},
    ),
    lie(
        "data for channels there are not",
        "for n in range(800): self.send(1, n + 50, bytes(65536))\nself.say('done', channel=channel, action=action, exit=0)",
        ends={},
    ),
    lie(
        "half a frame, then nothing",
        "self.send = lambda *_: None; os.write(1, b'\\0\\0\\0\\x50\\0')",
    ),
    lie("hangs up", "os.close(1)"),
    lie("ends", "os._exit(0)"),
    lie("takes nothing and says nothing", "while True: time.sleep(9)", heavy=True),
    lie(
        "does not freeze and says it did",
        "self.do_freeze = lambda: self.say('frozen', moving='none')\nself.say('done', channel=channel, action=action, exit=0)",
        ends={},
    ),
    lie(
        "never answers the export",
        "self.do_get = lambda **_: None\nself.say('done', channel=channel, action=action, exit=0)",
        heavy=True,
    ),
    archive(
        "with .., absolute names, links, devices",
        """
def archive():
    yield GOOD
    for name in ("../../etc/x", "/etc/x", "home/user/../../x", "home/user//./../x"):
        yield block(name, size=1) + b"x".ljust(512, b"\\0")
    for kind in b"123456789SKLxgVM":
        yield block("home/user/odd", bytes([kind]), link="/etc/passwd")
    yield END
""",
    ),
    archive(
        "whose sizes are lies",
        """
def archive():
    yield GOOD
    yield block("home/user/x", size=2**33 - 1) + bytes(512)
""",
    ),
    archive(
        "with a sparse file of 8 EB",
        """
def archive():
    yield GOOD
    header = bytearray(block("home/user/sparse", b"S", 512))
    header[483:495] = b"\\x80" + (2**62).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\\0 " % sum(header)
    yield bytes(header) + bytes(512)
    yield END
""",
    ),
    archive(
        "with a million entries",
        """
def archive():
    yield GOOD
    piece = b"".join(block("home/user/%d" % n) for n in range(64))
    for _ in range(15000):
        yield piece
    yield END
""",
    ),
    archive(
        "with names that do not end",
        """
def archive():
    yield GOOD
    yield block("././@LongLink", b"L", 30 << 20)
    for _ in range(480):
        yield b"a/" * 32768
    yield block("x") + END
""",
    ),
    archive(
        "that does not end",
        """
def archive():
    yield GOOD
    yield block("home/user/x", size=2**33 - 1)
    for _ in range(2000):
        yield bytes(65536)
""",
    ),
)
