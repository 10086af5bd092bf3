"""gVisor's trace messages: the few of them that the kernel record asks for, and how to read them.

A packet is a header (its own size, type of message, messages dropped so far) and a message in the
Protocol Buffers encoding. What is text in gVisor's own definitions is bytes here: it comes from
programs that are free to put anything there. The kernel that sends this stands between us and
hostile programs, and may have fallen to them: anything that does not decode is refused.
"""

import struct
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

HANDSHAKE = b"\x08\x01"
"""Version 1, as both sides say it."""

PACKET_BYTES = 1 << 20
"""Room for one packet; gVisor sends less, the kernel's limit for one being about 200 KB."""

_HEADER = struct.Struct("<HHI")

CLONE, EXEC, EXIT, RAW, OPEN = 2, 3, 4, 6, 7
CONNECT, EXECVE, SETID, SETRESID, BIND = 10, 11, 14, 15, 24

_CONTEXT = {"time_ns": (1, "i"), "thread": (2, "i"), "process": (4, "i"), "cwd": (8, "b")}
_OUTCOME = {"result": (1, "i"), "errno": (2, "i")}
_CALL = {"context": (1, "Context"), "outcome": (2, "Outcome"), "sysno": (3, "u")}
_SOCKET = _CALL | {"address": (6, "b")}

_TABLE: dict[str, dict[str, tuple[int, str]]] = {
    "Context": _CONTEXT,
    "Outcome": _OUTCOME,
    "Clone": {
        "context": (1, "Context"),
        "child_thread": (3, "i"),
        "child": (4, "i"),
        "flags": (6, "u"),
    },
    "Exec": {"context": (1, "Context"), "path": (2, "b"), "argv": (3, "b*")},
    "Exit": {"context": (1, "Context"), "status": (2, "i")},
    "Raw": _CALL | {"sysno": (4, "u"), "first": (5, "u"), "second": (6, "u"), "third": (7, "u")},
    "Open": _CALL | {"folder": (5, "b"), "path": (6, "b"), "flags": (7, "u")},
    "Connect": _SOCKET,
    "Execve": _CALL | {"path": (6, "b"), "argv": (7, "b*")},
    "Setid": _CALL | {"id": (4, "u")},
    "Setresid": _CALL | {"real": (4, "u"), "effective": (5, "u"), "saved": (6, "u")},
    "Bind": _SOCKET,
}
"""Number and type of each field: i and u for whole numbers, b for bytes, * for many of them."""

_KINDS = {
    CLONE: "Clone", EXEC: "Exec", EXIT: "Exit", RAW: "Raw", OPEN: "Open", CONNECT: "Connect",
    EXECVE: "Execve", SETID: "Setid", SETRESID: "Setresid", BIND: "Bind",
}  # fmt: skip

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"i": _Field.TYPE_INT64, "u": _Field.TYPE_UINT64, "b": _Field.TYPE_BYTES}


class NotAMessage(ValueError):
    """Bytes that gVisor would not have sent."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, taken apart."""

    kind: int
    dropped: int
    """How many messages the sender had to drop since it began."""
    message: Any
    """None for kinds that were not asked for."""


def read_packet(data: bytes) -> Packet:
    """Take a packet apart; raises `NotAMessage` where it cannot be."""
    if len(data) < _HEADER.size:
        raise NotAMessage("a packet without a whole header")
    size, kind, dropped = _HEADER.unpack_from(data)
    if not _HEADER.size <= size <= len(data):
        raise NotAMessage("a header with an impossible size")
    shape = _SHAPES.get(kind)
    if shape is None:
        return Packet(kind, dropped, None)
    try:
        return Packet(kind, dropped, shape.FromString(data[size:]))
    except DecodeError as error:
        raise NotAMessage(f"a message of type {kind} that cannot be read") from error


def _shapes() -> dict[int, type[Message]]:
    """The classes of messages, made from the table."""
    file = descriptor_pb2.FileDescriptorProto(name="trace.proto", package="trace", syntax="proto3")
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            made = message.field.add(name=field, number=number)
            made.label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
            made.type = _TYPES.get(kind.rstrip("*"), _Field.TYPE_MESSAGE)
            if made.type == _Field.TYPE_MESSAGE:
                made.type_name = f".trace.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        kind: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"trace.{name}"))
        for kind, name in _KINDS.items()
    }


_SHAPES = _shapes()
