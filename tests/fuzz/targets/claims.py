"""What a session says to PID 1 over its report descriptor."""

import json
import os

from agent_eval.sandbox.frames import CONTROL, Decoder, Frame
from sandbox.init import children, init
from tests.sandbox.test_init import settings

SEEDS = (b"7 0\n", b"7 -1\n8 0\n7 0 0\n", b"7 " + b"9" * 200 + b"\n", b"\n\n 7\t0\n7 0x1\n7 1_0\n")


class Pid1(init.Init):
    """PID 1 whose output stays where it is."""

    def flush(self) -> None:
        """Keep it."""


PID1 = Pid1(settings())


def check(data: bytes) -> None:
    """One report at most, and a short one; nothing kept but the end of a line."""
    frames = heard(data)
    assert len(frames) <= 1
    for kind, _, payload in frames:
        report = json.loads(payload)
        assert kind == CONTROL
        assert (report["op"], report["channel"], report["action"]) == ("done", 1, 7)
        assert isinstance(report["exit"], int)


def heard(data: bytes) -> list[Frame]:
    """What PID 1 tells the host of action 7 while a session writes this."""
    session = children.Session(1, "bash")
    session.action = 7
    session.status, writes = os.pipe()
    os.set_blocking(session.status, False)
    PID1.out.clear()
    try:
        for at in range(0, len(data), 4000):
            os.write(writes, data[at : at + 4000])
            PID1.children.read_claims(session)
            assert len(session.claims) <= 100
        PID1.children.read_claims(session)
    finally:
        os.close(session.status)
        os.close(writes)
    return list(Decoder().feed(bytes(PID1.out)))
