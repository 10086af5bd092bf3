"""Reading from the terminal without standing in the way of anything else.

Nothing here blocks the loop that keeps a sandbox alive, and a wait that is cancelled leaves the
terminal as it was. What was typed before a question stood on the screen answers nothing.
"""

import os
import shlex
import shutil
import tempfile
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from agent_eval.basics.display import printable
from agent_eval.errors import OperatorError

EDITORS = ("sensible-editor", "nano", "vi")
"""Tried in this order where neither VISUAL nor EDITOR says which."""


class Keyboard:
    """The terminal that a person types at."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def key(self, ask: Callable[[], None]) -> str:
        """Ask, and take the next key as it is pressed; what was typed before is thrown away."""
        with self._kept():
            tty.setcbreak(self._fd, termios.TCSAFLUSH)
            ask()
            return await self._read()

    async def line(self, ask: Callable[[], None]) -> str:
        """Ask, and take the next line, without its end; what was typed before is thrown away."""
        termios.tcflush(self._fd, termios.TCIFLUSH)
        ask()
        return (await self._read()).rstrip("\r\n")

    async def _read(self) -> str:
        await anyio.wait_readable(self._fd)
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            data = b""
        if not data:  # the terminal is gone, and with it the person
            await anyio.sleep_forever()
        return data.decode("utf-8", "replace")

    async def edited(self, text: str, suffix: str) -> str | None:
        """The text as an editor hands it back, control characters as escapes; None if unchanged."""
        offered = printable(text)
        with tempfile.TemporaryDirectory(prefix="agent-eval-") as folder, self._kept():
            file = anyio.Path(folder, f"edit{suffix}")
            await file.write_text(offered, encoding="utf-8", errors="backslashreplace")
            async with await anyio.open_process(
                [*editor(), str(file)], stdin=None, stdout=None, stderr=None
            ) as process:
                status = await process.wait()
            given = (await file.read_bytes()).decode("utf-8", "replace")
        return None if status or given.rstrip("\n") == offered.rstrip("\n") else given

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Leave the terminal's settings as they were."""
        before = termios.tcgetattr(self._fd)
        try:
            yield
        finally:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, before)


def editor() -> list[str]:
    """The command of the person's editor."""
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    found = shlex.split(wanted) if wanted else [each for each in EDITORS if shutil.which(each)][:1]
    if not found or shutil.which(found[0]) is None:
        raise OperatorError("there is no editor: set EDITOR to the command of one")
    return found
