"""gVisor's packets: real ones are read, and no bytes do harm."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox import gvisor_wire as wire
from agent_eval.sandbox.gvisor_facts import Translator

BECAME = bytes.fromhex(
    "0a5008c3e58cf1c6b18bf51810072007324036366130333634383938386437636162383635633035"
    "62643434383765386630663966633861613230353665313365343462396662636134336363613035"
    "63311200187520e80728e80730e807"
)
"""A setresuid(1000, 1000, 1000) as gVisor sent it."""


def packet(kind: int, body: bytes, dropped: int = 0) -> bytes:
    return struct.pack("<HHI", 8, kind, dropped) + body


def test_a_packet_as_gvisor_sent_it() -> None:
    got = wire.read_packet(packet(wire.SETRESID, BECAME, 3))
    assert got.dropped == 3
    assert (got.message.context.process, got.message.sysno) == (7, 117)
    assert (got.message.real, got.message.effective, got.message.saved) == (1000,) * 3


def test_a_longer_header_of_a_later_release_is_skipped() -> None:
    data = struct.pack("<HHI", 12, wire.SETRESID, 0) + b"more" + BECAME
    assert wire.read_packet(data).message.effective == 1000


def test_a_kind_that_was_not_asked_for_has_no_message() -> None:
    assert wire.read_packet(packet(999, b"\xff")).message is None


@pytest.mark.parametrize(
    "data", [b"", b"\x08\x00", struct.pack("<HHI", 7, 2, 0), struct.pack("<HHI", 9, 2, 0)]
)
def test_an_impossible_header_is_refused(data: bytes) -> None:
    with pytest.raises(wire.NotAMessage):
        wire.read_packet(data)


KINDS = st.sampled_from([2, 3, 4, 6, 7, 10, 11, 14, 15, 24])


@given(KINDS, st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(kind: int, body: bytes) -> None:
    try:
        got = wire.read_packet(packet(kind, body))
    except wire.NotAMessage:
        return
    list(Translator(["/etc"]).facts(kind, got.message))


@given(KINDS, st.integers(0, len(BECAME) - 1), st.binary(max_size=4))
def test_a_real_message_with_other_bytes_in_it_is_read_or_refused(
    kind: int, at: int, other: bytes
) -> None:
    body = BECAME[:at] + other + BECAME[at + len(other) :]
    try:
        got = wire.read_packet(packet(kind, body))
    except wire.NotAMessage:
        return
    list(Translator().facts(kind, got.message))
