"""The form of what crosses the pipe."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.frames import (
    CONTROL,
    DATA,
    END,
    MAX_PAYLOAD_BYTES,
    BadFrame,
    Decoder,
    Frame,
    encode,
)

FRAMES = st.lists(
    st.tuples(st.sampled_from((CONTROL, DATA, END)), st.integers(0, 2**32 - 1), st.binary())
)


def pieces_of(data: bytes, cuts: list[float]) -> list[bytes]:
    """The data in pieces, cut at parts of its length."""
    places = sorted(int(cut * len(data)) for cut in cuts)
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(FRAMES, st.lists(st.floats(0, 1)))
def test_frames_survive_any_split(frames: list[Frame], cuts: list[float]) -> None:
    data = b"".join(encode(*frame) for frame in frames)
    decoder = Decoder()
    found = [frame for piece in pieces_of(data, cuts) for frame in decoder.feed(piece)]
    assert found == frames
    assert list(decoder.feed(b"")) == []


@given(FRAMES, st.floats(0, 1))
def test_a_frame_comes_out_as_soon_as_it_is_whole(frames: list[Frame], cut: float) -> None:
    data = b"".join(encode(*frame) for frame in frames)
    at = int(cut * len(data))
    decoder, whole, size = Decoder(), 0, 0
    for frame in frames:
        size += len(encode(*frame))
        whole += size <= at
    assert list(decoder.feed(data[:at])) == frames[:whole]
    assert list(decoder.feed(data[at:])) == frames[whole:]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (struct.pack(">IBI", 0, DATA, 1), "a frame of 0 bytes"),
        (struct.pack(">IBI", 4, DATA, 1), "a frame of 4 bytes"),
        (struct.pack(">IBI", 2**32 - 1, DATA, 1), "a frame of 4294967295 bytes"),
        (struct.pack(">IBI", MAX_PAYLOAD_BYTES + 6, DATA, 1), f"of {MAX_PAYLOAD_BYTES + 6} bytes"),
        (struct.pack(">IBI", 5, 10, 1), "a frame of type 10"),
        (struct.pack(">IBI", 5, 255, 1), "a frame of type 255"),
        (b"HTTP/1.1 400 Bad Request", "a frame of 1213486160 bytes"),
    ],
)
def test_absurd_heads_are_refused_before_anything_is_waited_for(head: bytes, words: str) -> None:
    decoder = Decoder()
    good = encode(DATA, 1, b"good")
    frames = decoder.feed(good + head + b"more")
    assert next(frames) == (DATA, 1, b"good"), "what came before the error counts"
    with pytest.raises(BadFrame, match=words):
        next(frames)


def test_the_largest_frame_passes_and_an_empty_one_too() -> None:
    largest = (CONTROL, 2**32 - 1, b"x" * MAX_PAYLOAD_BYTES)
    assert list(Decoder().feed(encode(*largest))) == [largest]
    assert list(Decoder().feed(encode(END, 0, b""))) == [(END, 0, b"")]


def test_no_more_is_kept_than_one_frame_that_is_not_whole() -> None:
    decoder, kept = Decoder(), 0
    frame = encode(DATA, 1, b"x" * MAX_PAYLOAD_BYTES)
    stream = frame * 20
    at, count = 0, 0
    while at < len(stream):
        step = random.choice((1, 1000, 65536, 131072))
        count += len(list(decoder.feed(stream[at : at + step])))
        kept = max(kept, len(decoder._buffer))
        at += step
    assert count == 20
    assert kept < len(frame)


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(data: bytes) -> None:
    decoder = Decoder(max_payload_bytes=64)
    try:
        for kind, channel, payload in decoder.feed(data):
            assert kind in (CONTROL, DATA, END)
            assert 0 <= channel < 2**32
            assert len(payload) <= 64
    except BadFrame:
        return
    assert len(decoder._buffer) < 64 + 9


@given(st.binary(), FRAMES, st.lists(st.floats(0, 1)))
def test_what_comes_before_the_greeting_is_thrown_away(
    before: bytes, frames: list[Frame], cuts: list[float]
) -> None:
    """Such as the rest of a frame that another harness was being sent."""
    greeting = b"~~~~ and what nobody can guess"
    data = before + greeting + b"".join(encode(*frame) for frame in frames)
    decoder = Decoder(after=greeting)
    assert [frame for piece in pieces_of(data, cuts) for frame in decoder.feed(piece)] == frames
