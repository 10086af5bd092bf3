"""PID 1's network, as far as it can be tried outside of a container: names."""

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.test_init import loaded

NETWORK = loaded("network")
HEAD = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0)


def asking(*labels: bytes, kind: int = 1, head: bytes = HEAD) -> bytes:
    """A question as programs ask it."""
    name = b"".join(bytes([len(label)]) + label for label in labels)
    return head + name + b"\0" + struct.pack(">HH", kind, 1)


def test_a_question_is_read_and_answered() -> None:
    data = asking(b"Echo", b"internal")
    assert NETWORK.question(data + b"more") == ("echo.internal", 1, len(data))
    told = NETWORK.answer(data, 1, socket.inet_aton("127.128.0.7"))
    assert struct.unpack_from(">HHHH", told) == (7, 0x8180, 1, 1)
    assert told.startswith(data[12:], 12)
    assert told.endswith(bytes([127, 128, 0, 7]))
    assert struct.unpack_from(">HHHH", NETWORK.answer(data, 28, b"\x7f\x80\0\1")) == (
        7,
        0x8180,
        1,
        0,
    )
    assert struct.unpack_from(">HHHH", NETWORK.answer(data, 1, b"")) == (7, 0x8183, 1, 0)


def test_what_is_no_question_is_thrown_away() -> None:
    whole = asking(b"a", b"b")
    for wrong in (
        *(whole[:length] for length in range(len(whole))),
        asking(),
        asking(*[b"x" * 63] * 4),
        asking(b"a", head=struct.pack(">HHHHHH", 7, 0x8000, 1, 0, 0, 0)),
        asking(b"a", head=struct.pack(">HHHHHH", 7, 0x2800, 1, 0, 0, 0)),
        asking(b"a", head=struct.pack(">HHHHHH", 7, 0, 2, 0, 0, 0)),
        HEAD + b"\xc0\x0c\0\1\0\1",
        HEAD + b"\x40" + b"a" * 64 + b"\0\0\1\0\1",
        whole[:-1] + b"\3",
    ):
        assert NETWORK.question(wrong) is None


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_are_a_plain_name_or_nothing(data: bytes, headed: bool) -> None:
    data = HEAD + data if headed else data
    found = NETWORK.question(data)
    if found is None:
        return
    name, kind, end = found
    assert 0 < len(name) <= 1016
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert end <= len(data)
    for address in (b"", b"\x7f\x80\0\1"):
        told = NETWORK.answer(data[:end], kind, address)
        assert len(told) <= end + 16
        assert told[:2] == data[:2]


@given(st.lists(st.binary(min_size=1, max_size=63), min_size=1, max_size=3))
def test_names_that_differ_in_more_than_their_case_are_told_apart(labels: list[bytes]) -> None:
    name = NETWORK.question(asking(*labels))[0]
    back = [
        b"".join(
            bytes([int(part[:3])]) + part[3:].encode() if at else part.encode()
            for at, part in enumerate(label.split("\\"))
        )
        for label in name.split(".")
    ]
    assert back == [label.lower() for label in labels]
