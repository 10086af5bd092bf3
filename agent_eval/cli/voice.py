"""Standard streams that fall silent where they cannot be written, in place of ending a run.

A log on a full disk, a terminal that is gone, a reader that has seen enough: none of it is a reason
to end what is being recorded.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import BinaryIO, TextIO, cast


class Voice(TextIOBase):
    """A text stream that takes everything; `why` says since when nothing of it arrives."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.why: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or say nothing from here on."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fall_silent(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or say nothing from here on."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)

    def _fall_silent(self, error: OSError) -> None:
        """Lead the stream nowhere: what it still holds would fail once more as Python ends."""
        self.why = error
        with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), self._stream.fileno())

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the stream does with text it cannot encode."""
        return self._stream.errors

    @property
    def buffer(self) -> BinaryIO:
        """The stream's bytes."""
        return self._stream.buffer


@contextmanager
def lasting(out: TextIO, error: TextIO) -> Iterator[tuple[Voice, Voice]]:
    """Have both standard streams as voices."""
    voices = Voice(out), Voice(error)
    with redirect_stdout(cast("TextIO", voices[0])), redirect_stderr(cast("TextIO", voices[1])):
        yield voices
