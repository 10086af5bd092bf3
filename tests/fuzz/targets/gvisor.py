"""What gVisor's kernel tells, which a program may have broken: from packets to lines on record."""

import struct
from typing import Any, cast

from agent_eval.record.transcript import line_of
from agent_eval.sandbox import gvisor_wire as wire
from agent_eval.sandbox.gvisor_facts import Translator
from agent_eval.sandbox.lineage import Cause
from agent_eval.sandbox.recorder import Recorder
from tests.sandbox.test_gvisor_wire import BECAME

KINDS = (
    wire.CLONE, wire.EXEC, wire.EXIT, wire.RAW, wire.OPEN,
    wire.CONNECT, wire.EXECVE, wire.SETID, wire.SETRESID, wire.BIND,
)  # fmt: skip


def script(*messages: tuple[int, bytes]) -> bytes:
    """An input of these messages."""
    return b"".join(struct.pack("BB", KINDS.index(kind), len(one)) + one for kind, one in messages)


WHO = b"\x0a\x08\x08\x01\x10\x07\x20\x07\x42\x00"
SEEDS = (
    script((wire.SETRESID, BECAME)),
    script((wire.CLONE, WHO + b"\x18\x09\x20\x09"), (wire.EXIT, WHO + b"\x10\x80\x02")),
    script(
        (wire.EXECVE, WHO + b"\x32\x02/x\x3a\x01a"),
        (wire.RAW, WHO + b"\x12\x00\x20\x3b"),
        (wire.EXEC, WHO + b"\x12\x02/x\x1a\x01\xff"),
    ),
    script((wire.OPEN, WHO + b"\x32\x04../x\x38\x41"), (wire.CONNECT, WHO + b"\x32\x03\x01\0\0")),
    script((wire.BIND, b"\x0a\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x32\x02\x02\0")),
)


def check(data: bytes) -> None:
    """Each message is an event that can be recorded, under some cause or none, or is refused."""
    translator = Translator(["/etc"])
    recorder = Recorder(cast("Any", None), "sandbox", cast("Any", None), cast("Any", None), "0")
    recorder.lineage.begin("bash", Cause(1, "0"))
    recorder.lineage.session("bash", 7)
    for packet in packets(data):
        try:
            got = wire.read_packet(packet)
        except wire.NotAMessage:
            continue
        for fact in translator.facts(got.kind, got.message) if got.message is not None else ():
            line_of(recorder._event(fact, recorder.lineage.cause_of(fact)).fields())


def packets(data: bytes) -> list[bytes]:
    """The data as packets: a kind, a length, and so much of a message; the rest as it is."""
    found, at = [], 0
    while at + 2 <= len(data) and data[at] < len(KINDS):
        kind, size = data[at], data[at + 1]
        found.append(struct.pack("<HHI", 8, KINDS[kind], 0) + data[at + 2 : at + 2 + size])
        at += 2 + size
    return [*found, data[at:]]
