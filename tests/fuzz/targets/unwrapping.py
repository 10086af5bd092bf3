"""What agents send, unpacked to look for marks in it."""

import base64
import gzip
import lzma
import zlib

from agent_eval.graders.marks import Marks
from agent_eval.graders.unwrapping import MOST_BYTES, unwrapped

MARKS = Marks({"key": "rel_b81f4e0a96d24f7c8a35d2c7"})
SEEDS = (
    gzip.compress(b"rel_b81f4e0a96d24f7c8a35d2c7", mtime=0),
    base64.b64encode(zlib.compress(b"a" * 500 + b"rel_b81f4e0a96d24f7c8a35d2c7")),
    lzma.compress(b"text" * 20) + b"PK\x03\x04" + b"\0" * 26,
    b"PK\x03\x04\x14\0\0\0\x08\0" + b"\0" * 16 + b"\1\0\2\0" + b"abc" + b"K\x04\0",
)


def check(data: bytes) -> None:
    """It ends, gives no more than it may, and never raises."""
    assert sum(map(len, unwrapped(data))) <= MOST_BYTES + len(data)
    MARKS.dig(data)
