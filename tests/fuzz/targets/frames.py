"""The form of the pipe: bytes of PID 1 become frames."""

from agent_eval.sandbox.frames import BadFrame, Decoder, Frame, encode
from tests.fuzz.targets.pieces import cut

MOST = 4096
SEEDS = (
    encode(0, 0, b'{"op":"ready"}') + encode(1, 7, b"data") + encode(2, 7, b""),
    b"\xff\xff\xff\xff\x00\x00\x00\x00\x00",
    b"\x00\x00\x00\x05\x09\x00\x00\x00\x00",
)


def check(data: bytes) -> None:
    """Whole or in pieces the frames are the same, and nothing is kept beyond one frame."""
    frames, end = decoded([data])
    assert (frames, end) == decoded(list(cut(data)))
    written = b"".join(encode(*frame) for frame in frames)
    assert data.startswith(written)
    assert end or len(data) - len(written) < MOST + 9


def decoded(pieces: list[bytes]) -> tuple[list[Frame], str]:
    """The frames, and what was wrong after them."""
    decoder, frames = Decoder(MOST), []
    try:
        for piece in pieces:
            for frame in decoder.feed(piece):
                assert len(frame[2]) <= MOST
                frames.append(frame)
    except BadFrame as error:
        return frames, str(error)
    return frames, ""
