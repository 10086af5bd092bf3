"""A system call that a hostile program is held in: its registers and its memory are its own."""

import os
import struct

from agent_eval.record.transcript import line_of
from agent_eval.sandbox import process_events
from agent_eval.sandbox.calls import said
from agent_eval.sandbox.held import Memory
from agent_eval.sandbox.notifications import NOTIFIED, Notification

ME = os.getpid()
REGISTERS = struct.Struct("=B6Q")


def script(call: str, *registers: int, memory: bytes) -> bytes:
    """An input: a call, its registers, and what lies in memory from address 0."""
    six = (*registers, 0, 0, 0, 0, 0, 0)[:6]
    return REGISTERS.pack(NOTIFIED.index(call), *six) + memory


SEEDS = (
    script("execve", 0, 8, memory=b"/bin/sh\0" + struct.pack("=QQQ", 0, 5, 0)),
    script("openat", -100 & (1 << 64) - 1, 0, 0o102, memory=b"etc/../x\xff\0"),
    script("openat2", 3, 8, 0, memory=struct.pack("=Q", 0o1101) + b"x\0"),
    script("connect", 3, 0, 16, memory=b"\x02\0\x00P\x0a\1\2\3"),
    script("bind", 3, 0, 99, memory=b"\x01\0\0hidden"),
    script("renameat2", 3, 0, 4, 2, memory=b"a\0b\0"),
    script("setresuid", 1, (1 << 32) - 1, 0, memory=b""),
    script("execve", 1 << 63, 0, memory=struct.pack("=8Q", *range(0, 64, 8))),
)


def check(data: bytes) -> None:
    """It is a fact that can be recorded, and reads no more than it may."""
    if len(data) >= REGISTERS.size:
        index, *registers = REGISTERS.unpack_from(data)
        held = os.memfd_create("memory")
        try:
            os.write(held, data[REGISTERS.size :])
            memory = Memory(held)
            call = NOTIFIED[index % len(NOTIFIED)]
            told = said(Notification(1, ME, call, tuple(registers)), memory)
            assert memory.read_bytes < 1 << 22
        finally:
            os.close(held)
        line_of({"told": told})
    try:
        process_events.decoded(data)
    except struct.error:
        return
